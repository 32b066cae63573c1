/**
 * Whether a point that calls itself exact is: real servers, merges and indexing all the time, writers that never stop
 * while a capture is taken, and every write's acknowledgement logged. QDRANT_DR_ROUNDS sets how many captures are tried.
 */
import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { Semaphore } from "../../runtime/async/semaphore.ts";
import { isExact, type RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { DrError, hasCode } from "../../runtime/errors.ts";
import type { CollectionSnapshot, Optimizations, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { captureShard } from "../../runtime/workflows/capture/shard/capture-shard.ts";
import {
  ageKeys,
  asSeenElsewhere,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { eventually } from "../support/time/eventually.ts";
import { hastyClock } from "../support/time/hasty-clock.ts";

const rounds = Number(process.env["QDRANT_DR_ROUNDS"] ?? 8);
const builds = Number(process.env["QDRANT_DR_BUILDS"] ?? 2);
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_122);
const roundsPerCollection = 10;
const collection = "notes";
const dimensions = 24;
const writers = 3;
const idsPerWriter = 1_000;
const longestPauseMs = Number(process.env["QDRANT_DR_PAUSE"] ?? 100);

/** What one write made of one point; `version` 0 is a delete. One writer owns an id, so its writes are in order. */
interface Write {
  readonly version: number;
  readonly sentAt: number;
  ackedAt: number;
}

function vectorOf(id: number, version: number): number[] {
  const random = seeded(id * 7_919 + version);
  return Array.from({ length: dimensions }, () => Math.fround(random() * 2 - 1));
}

class Load {
  readonly history = new Map<number, Write[]>();
  acknowledged = 0;
  deletes = 0;
  #isRunning = false;
  #loops: Promise<void>[] = [];
  readonly #client: QdrantClient;
  readonly #random: () => number;
  #version = 0;

  constructor(client: QdrantClient, random: () => number) {
    this.#client = client;
    this.#random = random;
  }

  start(): void {
    this.#isRunning = true;
    this.#loops = Array.from({ length: writers }, (_, writer) => this.#write(writer));
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#loops);
  }

  /** Fills every writer's range, so that there is something to merge and to delete. */
  async fill(): Promise<void> {
    for (let writer = 0; writer < writers; writer += 1) {
      for (let from = 0; from < idsPerWriter; from += 250) {
        await this.#upsert(Array.from({ length: 250 }, (_, i) => writer * idsPerWriter + from + i));
      }
    }
  }

  async #write(writer: number): Promise<void> {
    while (this.#isRunning) {
      const ids = new Set<number>();
      const size = 5 + Math.floor(this.#random() * 40);
      while (ids.size < size) ids.add(writer * idsPerWriter + Math.floor(this.#random() * idsPerWriter));
      if (this.#random() < 0.35) await this.delete([...ids]);
      else await this.#upsert([...ids]);
      // Leaves the optimizers moments in which none runs: only then can a capture be exact.
      await sleep(this.#random() * longestPauseMs);
    }
  }

  async #upsert(ids: number[]): Promise<void> {
    this.#version += 1;
    const version = this.#version;
    const points = ids.map((id) => ({ id, payload: { version }, vector: vectorOf(id, version) }));
    await this.#logged(ids, version, () => this.#client.upsert(collection, { wait: true, points }));
  }

  async delete(ids: number[]): Promise<void> {
    this.deletes += 1;
    await this.#logged(ids, 0, () => this.#client.delete(collection, { wait: true, points: ids }));
  }

  async #logged(ids: number[], version: number, act: () => Promise<unknown>): Promise<void> {
    const write: Write = { version, sentAt: Date.now(), ackedAt: Number.POSITIVE_INFINITY };
    for (const id of ids) {
      const writes = this.history.get(id);
      if (writes === undefined) this.history.set(id, [write]);
      else writes.push(write);
    }
    await act();
    write.ackedAt = Date.now();
    this.acknowledged += 1;
  }
}

/** The versions that a point may have in a capture that lasted from `startedAt` to `finishedAt`. */
function allowedVersions(writes: readonly Write[], startedAt: number, finishedAt: number): Set<number> {
  const settled = writes.findLastIndex(({ ackedAt }) => ackedAt < startedAt);
  const later = writes.slice(settled + 1).filter(({ sentAt }) => sentAt <= finishedAt);
  return new Set([writes[settled]?.version ?? 0, ...later.map(({ version }) => version)]);
}

interface Wrong {
  undone: number;
  lost: number;
  stale: number;
  invented: number;
}

/** When a state was taken, in milliseconds: what was acknowledged before is in it, what was sent afterwards is not. */
interface Taken {
  readonly startedAt: number;
  readonly finishedAt: number;
}

function takenOf(recoveryPoint: RecoveryPoint): Taken {
  const shard = recoveryPoint.collections[0]?.shards[0];
  return { startedAt: Date.parse(shard?.startedAt ?? ""), finishedAt: Date.parse(shard?.finishedAt ?? "") };
}

async function compare(target: VectorDatabase, load: Load, { finishedAt, startedAt }: Taken): Promise<Wrong> {
  const found = new Map<number, number>();
  const wrong: Wrong = { undone: 0, lost: 0, stale: 0, invented: 0 };
  const ids: number[] = [];
  for await (const id of target.ids(collection)) ids.push(Number(id));
  for (let from = 0; from < ids.length; from += 500) {
    for (const { id, payload, vector } of await target.points(collection, ids.slice(from, from + 500))) {
      const { version } = payload as { version: number };
      found.set(Number(id), version);
      // A vector belongs to its payload's version, or the point was never written like this.
      const expected = vectorOf(Number(id), version);
      const isRight = (vector as number[]).every((value, at) => Math.fround(value) === expected[at]);
      if (!isRight) wrong.invented += 1;
    }
  }
  for (const id of found.keys()) if (!load.history.has(id)) wrong.invented += 1;
  for (const [id, writes] of load.history) {
    const version = found.get(id) ?? 0;
    const allowed = allowedVersions(writes, startedAt, finishedAt);
    if (allowed.has(version)) continue;
    if (version === 0) wrong.lost += 1;
    else if (allowed.size === 1 && allowed.has(0)) wrong.undone += 1;
    else wrong.stale += 1;
  }
  return wrong;
}

/** Counts what optimizations did during the streams, and reads some streams slowly, so that they last. */
class WatchedQdrant extends Qdrant {
  isSlow = false;
  readonly #answers: (Optimizations | undefined)[] = [];
  #firstByte = 0;
  #atEnd: Optimizations | undefined;

  /** Optimizations that began after the first byte of the last stream and before its end. */
  get beganDuringStream(): number {
    const atFirstByte = new Set(this.#answers[this.#firstByte]?.begun);
    return (this.#atEnd?.begun ?? []).filter((mark) => !atFirstByte.has(mark)).length;
  }

  override async optimizations(...request: Parameters<Qdrant["optimizations"]>): Promise<Optimizations | undefined> {
    const answer = await super.optimizations(...request);
    this.#answers.push(answer);
    return answer;
  }

  override async captureShard(...request: Parameters<Qdrant["captureShard"]>): Promise<Readable | undefined> {
    const stream = await super.captureShard(...request);
    this.#firstByte = this.#answers.length;
    this.#atEnd = undefined;
    if (stream === undefined) return undefined;
    const passed = new PassThrough();
    const feed = async () => {
      let bytes = 0;
      for await (const piece of stream) {
        bytes += (piece as Buffer).length;
        if (!passed.write(piece)) await once(passed, "drain");
        // A slow reader is the event here: it makes the server hold its frozen segments for longer.
        if (this.isSlow && bytes > 64 * 1024) {
          bytes = 0;
          await sleep(20);
        }
      }
      this.#atEnd = await super.optimizations(request[0], request[1]);
      passed.end();
    };
    feed().catch((error: Error) => passed.destroy(error));
    return passed;
  }
}

/** A server without the space for a snapshot. */
class NoSnapshots extends Qdrant {
  override createSnapshot(): Promise<never> {
    return Promise.reject(new DrError("QDRANT_REFUSED", "no space left"));
  }
}

/** Knows the times of the last collection snapshot, whatever the clock of the capture says. */
class TimedSnapshots extends Qdrant {
  taken: Taken = { startedAt: 0, finishedAt: 0 };

  override async createSnapshot(...request: Parameters<Qdrant["createSnapshot"]>): Promise<CollectionSnapshot> {
    const startedAt = Date.now();
    const snapshot = await super.createSnapshot(...request);
    this.taken = { startedAt, finishedAt: Date.now() };
    return snapshot;
  }
}

const smallSegments = {
  vectors: { size: dimensions, distance: "Euclid" },
  optimizers_config: {
    default_segment_number: 1,
    indexing_threshold: 50,
    max_segment_size: 400,
    flush_interval_sec: 1,
    deleted_threshold: 0.2,
    vacuum_min_vector_number: 100,
  },
  wal_config: { wal_capacity_mb: 1 },
} as const;

describe("an exact capture", () => {
  let source: QdrantServer;
  let target: QdrantServer;
  let client: QdrantClient;

  before(async () => {
    [source, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    client = new QdrantClient({ url: source.url, headers: { "api-key": source.apiKey }, checkCompatibility: false });
  });

  after(async () => {
    await Promise.all([source?.stop(), target?.stop()]);
  });

  afterEach(async () => {
    await client.deleteCollection(collection);
    await new Qdrant({ peers: [target.url], apiKey: target.apiKey }).deleteCollection(collection);
  });

  it(`holds every acknowledged write and delete, in ${rounds} captures under merging load`, async function () {
    this.timeout(Math.max(60_000, rounds * 30_000));
    const { wrap } = await ageKeys();
    const database = new WatchedQdrant({ peers: [source.url], apiKey: source.apiKey });
    const restored = new Qdrant({ peers: [target.url], apiKey: target.apiKey });
    const tally = { exact: 0, inexact: 0, wrongExact: 0, wrongInexact: 0, beganInExact: 0, deletes: 0, incremental: 0 };
    const wrongs: string[] = [];

    for (let first = 0; first < rounds; first += roundsPerCollection) {
      const random = seeded(seed + first);
      const stores = storesWithEpoch();
      const repository = await OpenRepository.openOrCreate(stores, wrap);
      await client.deleteCollection(collection);
      await client.createCollection(collection, smallSegments);
      const load = new Load(client, random);
      await load.fill();
      for (let round = first; round < Math.min(rounds, first + roundsPerCollection); round += 1) {
        database.isSlow = random() < 0.5;
        const wanted = load.acknowledged + 20 + Math.floor(random() * 100);
        load.start();
        await eventually("writes to be acknowledged", () => load.acknowledged >= wanted, { everyMs: 5 });
        const report = await captureRecoveryPoint({
          region: "east",
          type: random() < 0.3 ? "full" : "incremental",
          database,
          repository,
          clock: systemClock,
          progress: silently,
          toolVersion: "test",
        });
        await load.stop();

        const elsewhere = await asSeenElsewhere(stores, wrap);
        const recoveryPoint = await elsewhere.readRecoveryPoint(report.recoveryPoint);
        await restoreRecoveryPoint({
          repository: elsewhere,
          recoveryPoint,
          target: restored,
          clock: systemClock,
          progress: silently,
        });
        const wrong = await compare(restored, load, takenOf(recoveryPoint));
        await restored.deleteCollection(collection);

        const isWrong = Object.values(wrong).some((count) => count > 0);
        if (isExact(recoveryPoint)) {
          tally.exact += 1;
          if (database.beganDuringStream > 0) tally.beganInExact += 1;
          if (isWrong) tally.wrongExact += 1;
          if (isWrong)
            wrongs.push(
              `seed ${seed} round ${round}: ${JSON.stringify({ ...wrong, began: database.beganDuringStream })}`,
            );
        } else {
          tally.inexact += 1;
          if (isWrong) tally.wrongInexact += 1;
        }
        if (recoveryPoint.type === "incremental" && recoveryPoint.base !== undefined) tally.incremental += 1;
      }
      tally.deletes += load.deletes;
    }

    console.log(`      ${JSON.stringify(tally)}`);
    expect(wrongs, "exact points that are wrong").to.deep.equal([]);
    expect(tally.exact, "captures that called themselves exact").to.be.greaterThan(0);
    expect(tally.deletes, "deletes during the rounds").to.be.greaterThan(rounds);
  });

  /** A collection with an index build that lasts for many seconds, and deletes that were acknowledged during it. */
  async function deletesDuringBuild(database: Qdrant, random: () => number) {
    await client.createCollection(collection, {
      ...smallSegments,
      optimizers_config: { default_segment_number: 1, indexing_threshold: 0, flush_interval_sec: 1 },
      hnsw_config: { m: 32, ef_construct: 2_000, max_indexing_threads: 1 },
    });
    const load = new Load(client, random);
    await load.fill();
    const [shard] = await database.shards(collection);
    if (shard === undefined) throw new Error("the collection has no shard");
    await client.updateCollection(collection, { optimizers_config: { indexing_threshold: 1 } });
    const build = async () => {
      const seen = await database.optimizations(collection, shard);
      return (seen?.running ?? 0) > 0 && seen;
    };
    const optimizations = await eventually("an index build to begin", build, { everyMs: 5 });
    // An optimization is remembered a moment before deletes begin to miss the segments it works on: many, one by one.
    const from = Math.floor(random() * 100);
    for (let id = from; id < from + 60; id += 1) await load.delete([id * 7]);
    return { load, shard, begun: optimizations.begun };
  }

  it("is not claimed during an index build without a collection snapshot: deletes come back, and the comparison sees it", async function () {
    this.timeout(120_000);
    const { wrap } = await ageKeys();
    const stores = storesWithEpoch();
    const repository = await OpenRepository.openOrCreate(stores, wrap);
    const database = new NoSnapshots({ peers: [source.url], apiKey: source.apiKey });
    const restored = new Qdrant({ peers: [target.url], apiKey: target.apiKey });
    const { begun, load, shard } = await deletesDuringBuild(database, seeded(seed));

    const capture = await captureShard({
      database,
      repository,
      key: await repository.keys.make({ collection }),
      collection,
      shard,
      lineage: "east/1/test",
      isFull: true,
      clock: systemClock,
      patience: { quietMs: 0, attempts: 1, usesSnapshot: true },
      permits: new Semaphore(1),
    });
    const report = await captureRecoveryPoint({
      region: "east",
      type: "full",
      database,
      repository,
      clock: hastyClock(),
      progress: silently,
      toolVersion: "test",
    });
    const atEnd = await database.optimizations(collection, shard);
    const elsewhere = await asSeenElsewhere(stores, wrap);
    const recoveryPoint = await elsewhere.readRecoveryPoint(report.recoveryPoint);
    const request = { repository: elsewhere, recoveryPoint, target: restored, clock: systemClock, progress: silently };
    // A point that came back may be in the answer to a query that is compared.
    await restoreRecoveryPoint(request).catch((error: unknown) => {
      if (!hasCode(error, "VERIFICATION_FAILED")) throw error;
    });
    const wrong = await compare(restored, load, takenOf(recoveryPoint));
    await restored.deleteCollection(collection);

    expect(atEnd?.running, "builds that outlasted the captures").to.be.greaterThan(0);
    expect(atEnd?.begun, "builds that began").to.deep.equal(begun);
    expect(capture).to.include({ isExact: false, method: "partial-snapshot" });
    expect(report.isExact).to.equal(false);
    expect(isExact(recoveryPoint)).to.equal(false);
    expect(wrong).to.deep.include({ lost: 0, stale: 0, invented: 0 });
    expect(wrong.undone, "deletes that came back").to.be.greaterThan(0);
  });

  it(`is taken from a collection snapshot when an index build outlasts patience, with writers going on, in ${builds} builds`, async function () {
    this.timeout(Math.max(300_000, builds * 60_000));
    const { wrap } = await ageKeys();
    const database = new TimedSnapshots({ peers: [source.url], apiKey: source.apiKey });
    const restored = new Qdrant({ peers: [target.url], apiKey: target.apiKey });
    const tally = { exact: 0, ended: 0, wrongEnded: 0, deletes: 0 };
    const wrongs: string[] = [];
    // Writers make small segments, whose indexing may end while the snapshot is made, three times in a row.
    for (let build = 0; build < builds || (tally.exact === 0 && build < builds + 8); build += 1) {
      const random = seeded(seed + 1_000 * (build + 1));
      const stores = storesWithEpoch();
      const repository = await OpenRepository.openOrCreate(stores, wrap);
      await client.deleteCollection(collection);
      const { load, shard } = await deletesDuringBuild(database, random);
      const users = (await client.createSnapshot(collection)) as { name: string };
      const kept = await database.snapshots(collection, shard);
      const wanted = load.acknowledged + Math.floor(random() * 60);
      load.start();
      await eventually("writes to be acknowledged", () => load.acknowledged >= wanted, { everyMs: 5 });

      const report = await captureRecoveryPoint({
        region: "east",
        type: random() < 0.5 ? "full" : "incremental",
        database,
        repository,
        clock: hastyClock(),
        progress: silently,
        toolVersion: "test",
      });
      await load.stop();

      const elsewhere = await asSeenElsewhere(stores, wrap);
      const recoveryPoint = await elsewhere.readRecoveryPoint(report.recoveryPoint);
      await restoreRecoveryPoint({
        repository: elsewhere,
        recoveryPoint,
        target: restored,
        clock: systemClock,
        progress: silently,
      });
      const wrong = await compare(restored, load, database.taken);
      await restored.deleteCollection(collection);
      const captured = recoveryPoint.collections[0]?.shards[0];
      const tree = await elsewhere.readTree(captured?.tree.id ?? "", shardTreeSchema);
      expect(captured?.method).to.equal("collection-snapshot");
      expect(tree.segments, "no base for the next capture").to.deep.equal({});
      expect(await database.snapshots(collection, shard), "the user's own snapshots").to.deep.equal(kept);
      await client.deleteSnapshot(collection, users.name);
      const isWrong = Object.values(wrong).some((count) => count > 0);
      if (!isExact(recoveryPoint)) tally.ended += 1;
      if (!isExact(recoveryPoint) && isWrong) tally.wrongEnded += 1;
      if (isExact(recoveryPoint)) tally.exact += 1;
      if (isExact(recoveryPoint) && isWrong) wrongs.push(`seed ${seed} build ${build}: ${JSON.stringify(wrong)}`);
      tally.deletes += load.deletes;
    }

    console.log(`      ${JSON.stringify(tally)}`);
    expect(wrongs, "exact points that are wrong").to.deep.equal([]);
    expect(tally.exact, "captures that called themselves exact").to.be.greaterThan(0);
  });
});
