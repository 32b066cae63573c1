/**
 * Whatever collections Qdrant takes, their captures restore them: digit for digit, with every setting. QDRANT_DR_SEEDS says of how many
 * systems (`QDRANT_DR_SEEDS=300 npm run test:only -- test/workflows/odd-data.test.ts` is the bar), QDRANT_DR_SEED where they begin.
 */
import { expect } from "chai";
import { canonicalJson, lineOf, parseExactly } from "../../runtime/domain/exact-json.ts";
import { missingInWords } from "../../runtime/domain/recovery-points/missing.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { toDrError } from "../../runtime/errors.ts";
import { databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { type OddCollection, type OddSystem, oddSystem } from "../support/odd-systems.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const seeds = Number(process.env["QDRANT_DR_SEEDS"] ?? 3);
const isLong = process.env["QDRANT_DR_SEEDS"] !== undefined;
const firstSeed = Number(process.env["QDRANT_DR_SEED"] ?? 1);

interface Server {
  readonly url: string;
  readonly apiKey: string;
}

class Refusal extends Error {}

/** As Qdrant writes it: no JSON is parsed on the way. Throws a Refusal when it says no. */
async function textOf({ apiKey, url }: Server, method: string, path: string, body?: string): Promise<string> {
  const headers = { "api-key": apiKey, "content-type": "application/json" };
  const ask = () => fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
  // Each can be asked twice: a connection that was kept may be closed just then.
  const answer = await ask().catch((error: unknown) => {
    if (error instanceof TypeError) return ask();
    throw error;
  });
  const text = await answer.text();
  if (!answer.ok) throw new Refusal(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
  return text;
}

const pathOf = ({ name }: Pick<OddCollection, "name">) => `/collections/${encodeURIComponent(name)}`;

/** Answers what Qdrant refused: the generator means more than Qdrant takes. */
async function make(server: Server, { aliases, collections }: OddSystem): Promise<string[]> {
  const refused: string[] = [];
  const attempt = async (act: () => Promise<unknown>) => {
    try {
      await act();
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refused.push(error.message);
      return false;
    }
  };
  for (const each of collections) {
    const path = pathOf(each);
    if (!(await attempt(() => textOf(server, "PUT", path, JSON.stringify(each.settings))))) continue;
    for (const key of each.shardKeys) {
      await attempt(() => textOf(server, "PUT", `${path}/shards`, `{"shard_key":${key}}`));
    }
    for (const key of each.deletedKeys) {
      await attempt(() => textOf(server, "POST", `${path}/shards/delete`, `{"shard_key":${key}}`));
    }
    for (const [field_name, field_schema] of each.indexes) {
      await attempt(() =>
        textOf(server, "PUT", `${path}/index?wait=true`, JSON.stringify({ field_name, field_schema })),
      );
    }
    for (const upsert of each.upserts) await attempt(() => textOf(server, "PUT", `${path}/points?wait=true`, upsert));
    for (const patch of each.patches) await attempt(() => textOf(server, "PATCH", path, JSON.stringify(patch)));
  }
  for (const { alias, collection } of aliases) {
    const actions = [{ create_alias: { alias_name: alias, collection_name: collection } }];
    await attempt(() => textOf(server, "POST", "/collections/aliases", JSON.stringify({ actions })));
  }
  return refused;
}

/** Limits may refuse some of it, on purpose. */
async function change(server: Server, { collections }: OddSystem): Promise<void> {
  for (const each of collections) {
    for (const upsert of each.laterUpserts) {
      await textOf(server, "PUT", `${pathOf(each)}/points?wait=true`, upsert).catch(() => undefined);
    }
    if (each.laterDeletes.length === 0) continue;
    const ids = `{"points":[${each.laterDeletes.join(",")}]}`;
    await textOf(server, "POST", `${pathOf(each)}/points/delete?wait=true`, ids).catch(() => undefined);
  }
}

/**
 * All that a server tells of a collection: settings and indexes as equal JSON; points as they are written, but for the order of named
 * vectors, which is another in each answer: the same digits at the same places, and the same bytes in all.
 */
async function told(server: Server, name: string) {
  const path = pathOf({ name });
  const { result } = parseExactly(await textOf(server, "GET", path)) as {
    result: {
      config: Record<string, unknown>;
      payload_schema: Record<string, { data_type: unknown; params?: unknown }>;
    };
  };
  const strict = (result.config["strict_mode_config"] ?? {}) as { enabled?: boolean; max_query_limit?: number };
  const limit = Math.min(100, strict.enabled === true ? (strict.max_query_limit ?? 100) : 100);
  const pages: string[] = [];
  for (let offset = ""; ; ) {
    const body = `{"limit":${limit},"with_payload":true,"with_vector":true${offset}}`;
    const page = await textOf(server, "POST", `${path}/points/scroll`, body);
    const [, points, next] = /^\{"result":\{"points":(.*),"next_page_offset":([^,}]+)\},"status"/s.exec(page) ?? [];
    if (points === undefined) throw new Error(`a page of ${name}: ${page.slice(0, 200)}`);
    pages.push(points);
    if (next === "null") break;
    offset = `,"offset":${next}`;
  }
  const indexes = Object.entries(result.payload_schema).map(([field, { data_type, params }]) => [
    field,
    data_type,
    params,
  ]);
  return {
    config: canonicalJson(result.config),
    indexes: canonicalJson(Object.fromEntries(indexes.map(([field, ...schema]) => [field, schema]))),
    points: pages.map((page) => lineOf(parseExactly(page))).join("\n"),
    bytes: [...pages.join("\n")].sort().join(""),
  };
}

describe("captures of odd systems", function () {
  this.timeout(Math.max(120_000, seeds * 60_000));
  const started: QdrantServer[] = [];
  let alone: readonly [source: QdrantServer, target: QdrantServer];
  /** In cluster mode, without which there are no shard keys. */
  let clustered: readonly [source: QdrantServer, target: QdrantServer];

  before(async () => {
    const start = async (mode: "alone" | "first") => {
      const server = await QdrantServer.start(mode);
      started.push(server);
      return server;
    };
    [alone, clustered] = await Promise.all([
      Promise.all([start("alone"), start("alone")]),
      Promise.all([start("first"), start("first")]),
    ]);
  });

  after(async () => {
    await Promise.all(started.map((server) => server.stop()));
  });

  it(`of ${seeds} systems, all are restored as they were, and none is stopped by its content`, async () => {
    const wrong: string[] = [];
    const tell = (what: string) => {
      wrong.push(what);
      if (isLong) console.log(what);
    };
    let refusals = 0;
    let collections = 0;
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      const system = oddSystem(seed);
      const hasShardKeys = system.collections.some(({ shardKeys }) => shardKeys.length > 0);
      const [source, target] = hasShardKeys ? clustered : alone;
      const [own, other] = [databaseOf(source), databaseOf(target)];
      await emptied(own);
      const practice = await RecoveryPractice.start();
      const refused = await make(source, system);
      refusals += refused.length;
      if (isLong) for (const each of refused) console.log(`seed ${seed}: ${each}`);
      const names = await own.collections();
      collections += names.length;
      if (isLong) console.log(`seed ${seed}: ${names.length} collections${hasShardKeys ? ", shard keys" : ""}`);
      for (const type of ["full", "incremental"] as const) {
        try {
          if (type === "incremental") await change(source, system);
          const recoveryPoint: RecoveryPoint = await practice.capture(own, type);
          for (const each of recoveryPoint.missing ?? []) tell(`seed ${seed}, ${type}: ${missingInWords(each)}`);
          await emptied(other);
          await practice.restore(recoveryPoint, other);
          for (const name of names) {
            const [wanted, found] = await Promise.all([told(source, name), told(target, name)]);
            for (const part of ["config", "indexes", "points", "bytes"] as const) {
              if (wanted[part] === found[part]) continue;
              const at = [...wanted[part]].findIndex((char, n) => char !== [...found[part]][n]);
              const near = (text: string) => text.slice(Math.max(0, at - 60), at + 100);
              tell(`seed ${seed}, ${type}: ${part} of ${name}: ${near(found[part])} where ${near(wanted[part])}`);
            }
          }
          expect(await other.aliases()).to.have.deep.members(await own.aliases());
        } catch (error) {
          tell(`seed ${seed}, ${type}: ${toDrError(error).message}`);
        }
      }
    }
    if (isLong) {
      console.log(
        `${seeds} systems, ${collections} collections, ${refusals} requests refused by Qdrant, ${wrong.length} differences`,
      );
    }
    expect(wrong).to.deep.equal([]);
    expect(refusals, "Qdrant takes what is made").to.be.below(Math.max(3, collections));
  });
});
