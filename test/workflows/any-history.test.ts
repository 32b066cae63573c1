/**
 * Any sequence of writes, merges, captures and accidents of the source: each recovery point restores to exactly what a
 * plain map says that the source held. QDRANT_DR_RUNS sets how many sequences are tried, QDRANT_DR_SEED which.
 */
import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import fc from "fast-check";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { CaptureType } from "../../runtime/domain/recovery-points/recovery-point.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { allOf } from "../support/all-of.ts";
import {
  ageKeys,
  asSeenElsewhere,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { howMany } from "../support/how-many.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const runs = howMany("QDRANT_DR_RUNS", { suite: 6, proof: 12 });
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_122);
/** A slow machine tries fewer, rather than for longer. */
const budgetMs = Math.max(60_000, runs * 3_000);
const collection = "notes";
const told = { clock: systemClock, progress: silently };

interface Point {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly vector: { readonly a: number[]; readonly b?: number[] };
}

/** What the source should hold. */
interface Model {
  readonly points: Map<number, Point>;
  readonly indexes: Map<string, string>;
}

type Write =
  | { readonly kind: "upsert" | "upsert without b"; readonly ids: number[]; readonly version: number }
  | { readonly kind: "set payload" | "overwrite payload"; readonly ids: number[]; readonly version: number }
  | { readonly kind: "update b"; readonly ids: number[]; readonly version: number }
  | { readonly kind: "delete" | "clear payload" | "delete b"; readonly ids: number[] }
  | { readonly kind: "delete by group"; readonly group: number }
  | { readonly kind: "burst"; readonly from: number; readonly version: number };

type Step =
  | Write
  | { readonly kind: "index"; readonly field: "group" | "version" }
  | { readonly kind: "capture"; readonly type: CaptureType }
  | { readonly kind: "restart" }
  /** The source is restored from one of its points. */
  | { readonly kind: "restored"; readonly from: number }
  /** The source goes back to an own snapshot, or to a copy of its disk; in between it was written to and captured. */
  | { readonly kind: "recovered" | "rolled back"; readonly between: readonly Write[] }
  /** The collection is dropped and made again, with every other point of the old one. */
  | { readonly kind: "rebuilt" };

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 });
const version = fc.integer({ min: 1, max: 1_000 });
const write: fc.Arbitrary<Write> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("upsert", "upsert without b"), ids, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("set payload", "overwrite payload"), ids, version }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("update b"), ids, version }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("delete", "clear payload", "delete b"), ids }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete by group"), group: fc.integer({ min: 0, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("burst"), from: fc.integer({ min: 1, max: 600 }), version }) },
) as fc.Arbitrary<Write>;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: write },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("index"), field: fc.constantFrom("group", "version") }) },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant("capture"),
      type: fc.constantFrom("full", "incremental", "incremental", "incremental"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restored"), from: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("recovered", "recovered", "rolled back"),
      between: fc.array(write, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("rebuilt", "restart") }) },
) as fc.Arbitrary<Step>;

const settings = {
  vectors: { a: { size: 2, distance: "Euclid" }, b: { size: 3, distance: "Euclid" } },
  // Merges, indexing and vacuums by the hundred points.
  optimizers_config: {
    default_segment_number: 1,
    max_segment_size: 200,
    indexing_threshold: 1,
    flush_interval_sec: 1,
    deleted_threshold: 0.1,
    vacuum_min_vector_number: 100,
  },
  wal_config: { wal_capacity_mb: 1 },
} as const;

describe("a recovery point after any history", function () {
  this.timeout(budgetMs + 120_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let wrap: KeyWrap;

  before(async () => {
    ({ wrap } = await ageKeys());
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    source = databaseOf(sourceServer);
    target = databaseOf(targetServer);
    client = clientOf(sourceServer);
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  async function contentOf(database: Qdrant): Promise<Map<number, Point>> {
    const found = await database.points(collection, await allOf(database.ids(collection)));
    return new Map(found.map(({ id, payload, vector }) => [Number(id), { payload, vector } as Point]));
  }

  /** Does one write to the source and to the model. */
  async function doWrite({ points }: Model, act: Write): Promise<void> {
    switch (act.kind) {
      case "upsert":
        return upsert(points, act.ids, act.version, true);
      case "upsert without b":
        // While it optimizes, Qdrant 1.16.3 leaves an overwritten point the named vector that it should lose.
        await remove(points, act.ids);
        return upsert(points, act.ids, act.version, false);
      case "burst": {
        const many = Array.from({ length: 150 }, (_, n) => act.from + n);
        await upsert(points, many, act.version, true);
        // More than a tenth: what deletes leave is to be cleaned up.
        return remove(
          points,
          many.filter((id) => id % 3 === 0),
        );
      }
      case "delete":
        return remove(points, act.ids);
      case "delete by group": {
        const filter = { must: [{ key: "group", match: { value: act.group } }] };
        await client.delete(collection, { wait: true, filter });
        for (const [id, { payload }] of points) if (payload["group"] === act.group) points.delete(id);
        return;
      }
      default:
        return change(points, act);
    }
  }

  async function upsert(points: Model["points"], which: readonly number[], version: number, hasB: boolean) {
    const made = which.map((id) => {
      const vector = { a: [id, version], ...(hasB ? { b: [id, version, 1] } : {}) };
      return { id, payload: { group: (id + version) % 5, version }, vector };
    });
    await client.upsert(collection, { wait: true, points: made });
    for (const { id, ...point } of made) points.set(id, point);
  }

  async function remove(points: Model["points"], which: number[]): Promise<void> {
    await client.delete(collection, { wait: true, points: which });
    for (const id of which) points.delete(id);
  }

  /** Changes those points that are there: others are an error to Qdrant. */
  async function change(
    points: Model["points"],
    act: Exclude<Write, { kind: "upsert" | "upsert without b" | "burst" | "delete" | "delete by group" }>,
  ): Promise<void> {
    const there = act.ids.filter((id) => points.has(id));
    if (there.length === 0) return;
    const update = (made: (point: Point, id: number) => Point) => {
      for (const id of there) points.set(id, made(points.get(id) as Point, id));
    };
    const chosen = { wait: true, points: there };
    switch (act.kind) {
      case "set payload": {
        const payload = { version: act.version, note: `note ${act.version}` };
        await client.setPayload(collection, { ...chosen, payload });
        return update((point) => ({ ...point, payload: { ...point.payload, ...payload } }));
      }
      case "overwrite payload": {
        const payload = { group: act.version % 5 };
        await client.overwritePayload(collection, { ...chosen, payload });
        return update((point) => ({ ...point, payload }));
      }
      case "clear payload":
        await client.clearPayload(collection, chosen);
        return update((point) => ({ ...point, payload: {} }));
      case "update b": {
        const vectorOf = (id: number) => [act.version, id, 2];
        const vectors = there.map((id) => ({ id, vector: { b: vectorOf(id) } }));
        await client.updateVectors(collection, { wait: true, points: vectors });
        return update((point, id) => ({ ...point, vector: { a: point.vector.a, b: vectorOf(id) } }));
      }
      case "delete b":
        await client.deleteVectors(collection, { ...chosen, vector: ["b"] });
        return update((point) => ({ ...point, vector: { a: point.vector.a } }));
    }
  }

  interface Taken {
    readonly recoveryPoint: string;
    readonly model: Model;
  }

  class Run {
    readonly stores: MemoryStores = storesWithEpoch();
    readonly taken: Taken[] = [];
    model: Model = { points: new Map(), indexes: new Map() };

    async do(each: Step): Promise<void> {
      switch (each.kind) {
        case "capture":
          return this.capture(each.type);
        case "index":
          return this.toggleIndex(each.field);
        case "restart":
          await sourceServer.kill();
          return sourceServer.restart();
        case "restored":
          return this.restore(each.from);
        case "recovered":
          return this.recover(each.between);
        case "rolled back":
          return this.rollBack(each.between);
        case "rebuilt":
          return this.rebuild();
        default:
          return doWrite(this.model, each);
      }
    }

    async capture(type: CaptureType): Promise<void> {
      const repository = await OpenRepository.openOrCreate(this.stores, wrap);
      const { isExact, recoveryPoint } = await captureRecoveryPoint({
        region: "east",
        type,
        database: source,
        repository,
        ...told,
        toolVersion: "test",
        allowEmpty: true,
      });
      // Nobody writes while it is taken, and optimizations end.
      expect(isExact, "exact").to.equal(true);
      this.taken.push({ recoveryPoint, model: copyOf(this.model) });
    }

    async toggleIndex(field: string): Promise<void> {
      if (this.model.indexes.delete(field)) {
        await client.deletePayloadIndex(collection, field, { wait: true });
        return;
      }
      await client.createPayloadIndex(collection, { field_name: field, field_schema: "integer", wait: true });
      this.model.indexes.set(field, "integer");
    }

    async restore(from: number): Promise<void> {
      const chosen = this.taken[from % Math.max(1, this.taken.length)];
      if (chosen === undefined) return;
      const repository = await OpenRepository.open(this.stores, wrap);
      await client.deleteCollection(collection);
      await restoreRecoveryPoint({
        repository,
        recoveryPoint: await repository.readRecoveryPoint(chosen.recoveryPoint),
        target: source,
        ...told,
      });
      this.model = copyOf(chosen.model);
    }

    /** By Qdrant's own means, of which nobody tells this tool. */
    async recover(between: readonly Write[]): Promise<void> {
      const before = copyOf(this.model);
      const snapshot = await client.createSnapshot(collection, { wait: true });
      await this.#divert(between);
      const location = new URL(`/collections/${collection}/snapshots/${snapshot?.name}`, sourceServer.url);
      const folder = join(sourceServer.folder, "snapshots", collection, location.pathname.split("/").at(-1) ?? "");
      await client.recoverSnapshot(collection, { location: `file://${folder}`, priority: "snapshot" });
      this.model = before;
    }

    /** A machine's snapshot put back. */
    async rollBack(between: readonly Write[]): Promise<void> {
      const storage = join(sourceServer.folder, "storage");
      const before = copyOf(this.model);
      await sourceServer.kill();
      await cp(storage, `${storage}-before`, { recursive: true });
      await sourceServer.restart();
      await this.#divert(between);
      await sourceServer.kill();
      await rm(storage, { recursive: true });
      await rename(`${storage}-before`, storage);
      await sourceServer.restart();
      this.model = before;
    }

    async #divert(between: readonly Write[]): Promise<void> {
      for (const each of between) await doWrite(this.model, each);
      await this.capture("incremental");
    }

    async rebuild(): Promise<void> {
      const kept = [...this.model.points].filter(([id]) => id % 2 === 0).reverse();
      await client.deleteCollection(collection);
      await client.createCollection(collection, settings);
      for (const [field, field_schema] of this.model.indexes) {
        await client.createPayloadIndex(collection, {
          field_name: field,
          field_schema: field_schema as "integer",
          wait: true,
        });
      }
      if (kept.length > 0) {
        const points = kept.map(([id, { payload, vector }]) => ({ id, payload, vector: { ...vector } }));
        await client.upsert(collection, { wait: true, points });
      }
      this.model = { points: new Map(kept), indexes: new Map(this.model.indexes) };
    }

    /** Every point that is called complete is what the source held. */
    async check(): Promise<void> {
      const repository = await asSeenElsewhere(this.stores, wrap);
      const { entries } = await readCatalog(repository);
      for (const { model, recoveryPoint: id } of this.taken) {
        const entry = entries.find((candidate) => candidate.id === id);
        expect(entry?.state, `${id}: ${entry?.reasons.join("; ")}`).to.be.oneOf(["complete", "quarantined"]);
        if (entry?.state === "quarantined") tally.quarantined += 1;
        if (entry?.state !== "complete" || entry.recoveryPoint === undefined) continue;
        await target.deleteCollection(collection);
        await restoreRecoveryPoint({
          repository: await asSeenElsewhere(this.stores, wrap),
          recoveryPoint: entry.recoveryPoint,
          target,
          ...told,
        });
        const restored = await contentOf(target);
        expect(
          byId(restored),
          `${id}, point ${this.taken.findIndex(({ recoveryPoint }) => recoveryPoint === id) + 1} of ${this.taken.length}`,
        ).to.deep.equal(byId(model.points));
        const { payloadIndexes } = await target.describe(collection);
        expect(Object.keys(payloadIndexes).sort()).to.deep.equal([...model.indexes.keys()].sort());
      }
    }
  }

  const tally = { sequences: 0, steps: 0, points: 0, quarantined: 0 };

  it(`is the source as it was, in up to ${runs} sequences`, async () => {
    const deadline = performance.now() + budgetMs;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
        if (performance.now() > deadline) return;
        const run = new Run();
        await client.deleteCollection(collection);
        await client.createCollection(collection, settings);
        for (const each of steps) await run.do(each);
        // The source itself is what the model says: otherwise it is not the captures that are wrong.
        expect(byId(await contentOf(source)), "the source").to.deep.equal(byId(run.model.points));
        await run.capture("full");
        await run.check();
        tally.sequences += 1;
        tally.steps += steps.length;
        tally.points += run.taken.length;
      }),
      { seed, numRuns: runs },
    );
    console.log(`      ${JSON.stringify(tally)}`);
    expect(tally.sequences).to.be.greaterThan(0);
  });
});

function copyOf({ indexes, points }: Model): Model {
  return { points: new Map(points), indexes: new Map(indexes) };
}

function byId(points: ReadonlyMap<number, Point>): [number, Point][] {
  return [...points].sort(([a], [b]) => a - b);
}
