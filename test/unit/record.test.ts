/** For every kind of record: what is written is read back as it was, and what would not be is not written. QDRANT_DR_SEED chooses other values. */
import { expect } from "chai";
import { z } from "zod";
import { exactText } from "../../runtime/domain/exact-json.ts";
import { runRecordSchema } from "../../runtime/domain/monitoring/runs.ts";
import { capturePartSchema, capturePlanSchema } from "../../runtime/domain/recovery-points/capture-plan.ts";
import { folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import {
  attestationSchema,
  recoveryPointSchema,
  repositorySchema,
} from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { epochRecordSchema } from "../../runtime/domain/roles/epoch.ts";
import { fenceRecordSchema, openingRecordSchema } from "../../runtime/domain/roles/gate.ts";
import { hasCode } from "../../runtime/errors.ts";
import { capturedRecordSchema } from "../../runtime/repository/catalog/captured-records.ts";
import { alertRecordSchema, takenSchema } from "../../runtime/repository/control/alert-records.ts";
import { ownerSchema, receiptSchema } from "../../runtime/repository/control/failover-records.ts";
import { linkSchema } from "../../runtime/repository/control/lease.ts";
import { restoreRecordSchema } from "../../runtime/repository/control/restore-records.ts";
import { beatSchema, turnEndSchema, turnSchema } from "../../runtime/repository/control/schedule-records.ts";
import { snapshotRecordSchema } from "../../runtime/repository/control/snapshot-records.ts";
import { standbyStateSchema } from "../../runtime/repository/control/standby-records.ts";
import { claimRecord, createRecord, readRecord } from "../../runtime/repository/record.ts";
import { divergenceSchema } from "../../runtime/workflows/failover/report-divergence.ts";
import { errorOf } from "../support/expect-code.ts";
import { seeded } from "../support/seeded.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_130);
const valuesOfEach = 400;

const kinds: Readonly<Record<string, z.ZodType<object>>> = {
  "plan of a capture": capturePlanSchema,
  "part of a capture": capturePartSchema,
  "manifest of a recovery point": recoveryPointSchema,
  "tree of a shard": shardTreeSchema,
  "tree of a folder": folderTreeSchema,
  repository: repositorySchema,
  attestation: attestationSchema,
  epoch: epochRecordSchema,
  fence: fenceRecordSchema,
  opening: openingRecordSchema,
  "link of a lease": linkSchema,
  "owner of a failover": ownerSchema,
  "step of a failover": receiptSchema,
  divergence: divergenceSchema,
  restore: restoreRecordSchema,
  run: runRecordSchema,
  snapshot: snapshotRecordSchema,
  "state of a standby": standbyStateSchema,
  "captured state": capturedRecordSchema,
  "turn of a schedule": turnSchema,
  "end of a scheduled run": turnEndSchema,
  "sign of life of a scheduled run": beatSchema,
  alert: alertRecordSchema,
  "receipt of an alert": takenSchema,
};

type Schema = z.core.JSONSchema.BaseSchema;

/** Values of a schema; one in some hundred is odd, and may not be of it. */
class Values {
  readonly #random: () => number;
  readonly #root: Schema;

  constructor(root: Schema, random: () => number) {
    this.#root = root;
    this.#random = random;
  }

  next(): unknown {
    return this.#of(this.#root, 0);
  }

  #of(schema: Schema, depth: number): unknown {
    if (this.#random() < 0.004)
      return this.#pick([Number.NaN, Number.POSITIVE_INFINITY, null, undefined, 2n ** 60n, "", {}]);
    if (schema.$ref !== undefined) return depth > 6 ? null : this.#of(this.#referred(schema.$ref), depth + 1);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices !== undefined) return this.#of(this.#pick(choices as Schema[]), depth + 1);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum !== undefined) return this.#pick(schema.enum);
    if (schema.type === "object") return this.#object(schema, depth);
    if (schema.type === "array") return this.#array(schema, depth);
    if (schema.type === "string") return this.#string(schema);
    if (schema.type === "boolean") return this.#random() < 0.5;
    if (schema.type === "integer") return this.#pick([1, 2, 511, Number.MAX_SAFE_INTEGER, schema.minimum ?? -7]);
    if (schema.type === "number") return this.#pick([0.1, 1e-7, -5e300, 3, schema.minimum ?? Number.MIN_VALUE]);
    return null;
  }

  #object({ additionalProperties, properties = {}, required = [] }: Schema, depth: number): object {
    const members = Object.entries(properties)
      .filter(([name]) => required.includes(name) || this.#random() < 0.5)
      .map(([name, member]) => [name, this.#of(member as Schema, depth + 1)] as const);
    const names = typeof additionalProperties === "object" && depth < 6 ? ["a", "__proto", "ü\u0000"] : [];
    const more = names.map((name) => [name, this.#of(additionalProperties as Schema, depth + 1)] as const);
    return Object.fromEntries([...members, ...more]);
  }

  #array({ items, minItems = 0, prefixItems }: Schema, depth: number): unknown[] {
    if (prefixItems !== undefined) return prefixItems.map((item) => this.#of(item as Schema, depth + 1));
    const length = Math.max(minItems, depth > 6 ? 0 : Math.floor(this.#random() * 3));
    return Array.from({ length }, () => this.#of((items ?? {}) as Schema, depth + 1));
  }

  #string({ format, pattern = "" }: Schema): string {
    const hex = /\{(32|64)\}\$$/.exec(pattern)?.[1];
    if (hex !== undefined) return "0f".repeat(Number(hex) / 2);
    if (pattern.startsWith("^[a-z]")) return this.#pick(["files", "a-2", "Not A Name"]);
    if (format === "date-time") return this.#pick(["2026-01-31T23:59:59.999Z", "0000-01-01T00:00:00Z"]);
    if (pattern !== "") return this.#pick(["+010000-01-01T00:00:00.000Z", "-271821-04-20T00:00:00.000Z"]);
    return this.#pick(["a", "b/c", "ein Wört", "\u2028\u0000", "\ud800", "日本", `long ${"x".repeat(50)}`]);
  }

  #referred(reference: string): Schema {
    const names = reference.split("/").slice(1);
    return names.reduce<unknown>((at, name) => new Map(Object.entries(at as object)).get(name), this.#root) as Schema;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }
}

describe("records", function () {
  this.timeout(60_000);

  for (const [kind, schema] of Object.entries(kinds)) {
    it(`${kind}: what is written is read back as it was, and nothing else is written`, async () => {
      const values = new Values(z.toJSONSchema(schema, { unrepresentable: "any" }), seeded(seed));
      let written = 0;
      for (let round = 0; round < valuesOfEach; round += 1) {
        const value = values.next() as object;
        const store = new MemoryStore();
        const error = await errorOf(createRecord(store, "here", schema, value));
        if (error === undefined) {
          written += 1;
          expect(await readRecord(store, "here", schema), exactText(value)).to.deep.equal(
            withoutAbsent(schema.parse(value)),
          );
        } else {
          expect(hasCode(error, "NOT_SUPPORTED"), error.stack).to.equal(true);
          expect([...store.objects.keys()]).to.deep.equal([]);
        }
      }
      expect(written).to.be.greaterThan(valuesOfEach / 20);
    });
  }

  it("say of what cannot be written where it would have been, and which field it is", async () => {
    const link = { region: "east", seconds: Number.POSITIVE_INFINITY, at: "2026-01-01T00:00:00.000Z" };
    const error = await errorOf(createRecord(new MemoryStore(), "leases/1", linkSchema, link));
    expect(error?.message).to.contain("leases/1").and.to.contain("seconds");
  });

  it("keep what was there first, and hide nothing that they do not know from who claims it", async () => {
    const store = new MemoryStore();
    const ours = { run: "ours", at: "2026-01-01" };
    expect(await claimRecord(store, "owner", ownerSchema, { ...ours, run: "theirs" })).to.include({ run: "theirs" });
    expect(await claimRecord(store, "owner", ownerSchema, ours)).to.include({ run: "theirs" });
    store.objects.set("owner", Buffer.from("?"));
    expect((await errorOf(claimRecord(store, "owner", ownerSchema, ours)))?.message).to.contain("owner");
  });
});

/** Members that are undefined are not there. */
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutAbsent(member)]));
}
