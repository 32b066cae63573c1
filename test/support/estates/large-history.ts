/**
 * What reading a large history costs: requests to the store, and memory. The repository is made up when it is asked for: its listings
 * have a thousand keys a page, as S3's, and its objects are real ones, sealed and named by their content.
 */
import { createHash } from "node:crypto";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { z } from "zod";
import { AgeKeyWrap } from "../../../runtime/adapters/age-key-wrap.ts";
import { usualRetention } from "../../../runtime/domain/history/retention.ts";
import type { CollectionFacts } from "../../../runtime/domain/recovery-points/collection-facts.ts";
import type { RecoveryPoint } from "../../../runtime/domain/recovery-points/recovery-point.ts";
import {
  controlLayout,
  folderBelow,
  parseStoreKey,
  storeLayout,
} from "../../../runtime/domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../../runtime/domain/recovery-points/stored-content.ts";
import { DrError } from "../../../runtime/errors.ts";
import type { ObjectStore, ReadRequest, StoredObject } from "../../../runtime/ports/object-store.ts";
import { BucketView } from "../../../runtime/repository/catalog/bucket-view.ts";
import { NewestRecoveryPointsReader } from "../../../runtime/repository/catalog/newest-recovery-points.ts";
import { readCatalog, readNewestRecoveryPoint } from "../../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../../runtime/repository/repository.ts";
import { CopyPlan } from "../../../runtime/workflows/copy/plan-copy.ts";
import { newestFew } from "../../../runtime/workflows/list-recovery-points.ts";

const pageSize = 1_000;
/** As the history is chosen: a state each 15 minutes, and nothing is ever thinned. */
const everyMs = 15 * 60_000;
/** Packs that a recovery point has alone, and those that it shares with the ones before it. */
const objectsEach = 100;
const packsShared = 8;
const fullEvery = 96;
/** As many as retention leaves of a history. */
const thinned = 320;

export interface HistoryReads {
  readonly newestRequests: number;
  readonly listRequests: number;
  /** What is brought to a region that has a history of its own, the newest first. */
  readonly copyPlanRequests: number;
  readonly scrapeRequests: number;
  readonly peakRssMiB: number;
}

/** @param recoveryPoints how many there are; each has a hundred objects of its own. */
export async function measureHistoryReads(recoveryPoints: number): Promise<HistoryReads> {
  const now = new Date("2026-06-01T12:07:00.000Z");
  const store = new MadeUpHistory(recoveryPoints, now);
  const identity = await generateIdentity();
  const wrap = new AgeKeyWrap({ recipients: [await identityToRecipient(identity)], identity });
  const repository = await OpenRepository.openOrCreate({ repository: store, control: store }, wrap);
  await store.begin(repository);
  const there = new MadeUpHistory(thinned, new Date(now.getTime() - 24 * 3_600_000));
  const other = await OpenRepository.openOrCreate({ repository: there, control: there }, wrap);
  await there.begin(other);
  let peak = process.memoryUsage().rss;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  const requestsOf = async (act: () => Promise<unknown>, ...others: readonly MadeUpHistory[]) => {
    const asked = () => [store, ...others].reduce((sum, { requests }) => sum + requests, 0);
    const before = asked();
    await act();
    peak = Math.max(peak, process.memoryUsage().rss);
    return asked() - before;
  };
  try {
    return {
      newestRequests: await requestsOf(async () => {
        const { newest } = await readNewestRecoveryPoint(repository, now);
        if (newest?.id !== store.newestId)
          throw new Error(`${newest?.id} was found, and ${store.newestId} is the newest`);
      }),
      listRequests: await requestsOf(() => readCatalog(repository, newestFew)),
      copyPlanRequests: await requestsOf(async () => {
        const views = { source: await BucketView.read(repository), destination: await BucketView.read(other) };
        const plan = await CopyPlan.make({ ...views, retention: usualRetention, since: undefined, now });
        const wanted = plan.wanted();
        // A day in quarters of an hour, a month in four hours, and a year in days.
        const tiers = 24 * 4 + 30 * 6 + 365;
        if (wanted[0] !== store.newestId || wanted.length > tiers)
          throw new Error(`${wanted.length} are wanted, of which ${wanted[0]} is the first`);
      }, there),
      scrapeRequests: await requestsOf(() => new NewestRecoveryPointsReader(repository, "east").read(now)),
      peakRssMiB: Math.round(peak / 2 ** 20),
    };
  } finally {
    clearInterval(watch);
  }
}

/** Also the control store: its records are few. */
class MadeUpHistory implements ObjectStore {
  requests = 0;
  readonly #objects = new Map<string, Buffer>();
  readonly #count: number;
  readonly #now: Date;
  #repository: OpenRepository | undefined;
  #facts = "";

  constructor(count: number, now: Date) {
    this.#count = count;
    this.#now = now;
  }

  get newestId(): string {
    return this.#idOf(this.#count - 1);
  }

  async begin(repository: OpenRepository): Promise<void> {
    const key = await repository.keys.key(repository.description.key);
    const nothing: CollectionFacts = { format: 1, config: {}, payloadIndexes: {}, samples: [], canaries: [] };
    this.#facts = await repository.createFacts(key, nothing);
    const first = { epoch: 1, active: "east", reason: "initial", run: "bench", at: "2020-01-01T00:00:00.000Z" };
    this.#objects.set(controlLayout.epoch(1), Buffer.from(JSON.stringify(first)));
    this.#repository = repository;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    this.requests += 1;
    const { length, offset = 0 } = request;
    const bytes = this.#objects.get(key) ?? (await this.#make(key));
    if (bytes === undefined) throw new DrError("OBJECT_NOT_FOUND", `there is no ${key}`);
    return length === undefined ? bytes : bytes.subarray(offset, offset + length);
  }

  async checksumOf(): Promise<undefined> {
    this.requests += 1;
    return undefined;
  }

  async sizeOf(key: string): Promise<number | undefined> {
    this.requests += 1;
    if (parseStoreKey(key)?.kind === "pack") return packSize;
    return (this.#objects.get(key) ?? (await this.#make(key)))?.length;
  }

  async *folders(folder: string): AsyncGenerator<string> {
    const found = new Set<string>();
    if (folder === storeLayout.recoveryPoints) {
      const dayMs = 24 * 3_600_000;
      for (let at = this.#timeOf(0); at <= this.#now.getTime() + dayMs; at += dayMs) {
        const day = new Date(Math.min(at, this.#timeOf(this.#count - 1))).toISOString().slice(0, 10);
        found.add(day);
      }
    }
    for (const key of this.#objects.keys()) {
      const name = folderBelow(folder, key);
      if (name !== undefined) found.add(name);
    }
    this.requests += Math.max(1, Math.ceil(found.size / pageSize));
    yield* found;
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    let listed = 0;
    for (const object of this.#listed(prefix)) {
      if (listed % pageSize === 0) this.requests += 1;
      listed += 1;
      yield object;
    }
    if (listed === 0) this.requests += 1;
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    this.requests += 1;
    if (this.#objects.has(key)) return "exists";
    this.#objects.set(key, Buffer.from(bytes));
    return "created";
  }

  *#listed(prefix: string): Generator<StoredObject> {
    if (prefix.startsWith(storeLayout.packs)) throw new Error("packs are listed");
    if (prefix.startsWith(storeLayout.trees)) throw new Error("trees are listed");
    if (prefix.startsWith(storeLayout.recoveryPoints)) {
      const [first, last] = this.#numbersIn(prefix);
      for (let n = first; n < last; n += 1) {
        const key = storeLayout.manifest(this.#idOf(n));
        if (key.startsWith(prefix)) yield { key, size: 1_000, storedAt: new Date(this.#timeOf(n) + 1_000) };
      }
      return;
    }
    for (const [key, bytes] of this.#objects) if (key.startsWith(prefix)) yield { key, size: bytes.length };
  }

  /** Of the month that a prefix names, or of all time: a listing that is made up must not cost what a real one does not. */
  #numbersIn(prefix: string): [number, number] {
    const month = /^recovery-points\/(\d{4})-(\d\d)-/.exec(prefix);
    if (month === null) return [0, this.#count];
    const [year, number] = [Number(month[1]), Number(month[2])];
    const numberAt = (ms: number) => Math.ceil((ms - this.#timeOf(0)) / everyMs);
    const first = Math.max(0, numberAt(Date.UTC(year, number - 1)));
    return [first, Math.min(this.#count, numberAt(Date.UTC(year, number)))];
  }

  /** The object of a key that tells which it is; remembered, so that trees are found by their names. */
  async #make(key: string): Promise<Buffer | undefined> {
    const parsed = parseStoreKey(key);
    if (parsed?.kind !== "manifest" || this.#repository === undefined) return undefined;
    const before = this.requests;
    const n = Number.parseInt(parsed.recoveryPointId.slice(-8), 16);
    await this.#repository.createRecoveryPoint(await this.#recoveryPoint(this.#repository, n));
    this.requests = before;
    return this.#objects.get(key);
  }

  async #recoveryPoint(repository: OpenRepository, n: number): Promise<RecoveryPoint> {
    const at = new Date(this.#timeOf(n)).toISOString();
    const key = await repository.keys.key(repository.description.key);
    const packs = Array.from({ length: packsShared }, (_, shared) => packOf((n - shared) * objectsEach));
    const tree = await repository.createTree(key, treeSchema, { packs, of: n });
    const times = { startedAt: at, finishedAt: at };
    const shard = { id: 0, peer: 1, tree, method: "partial-snapshot", isExact: true, ...times } as const;
    const counts = { pointsBefore: 1, pointsAfter: 1 };
    return {
      format: 1,
      id: this.#idOf(n),
      type: n % fullEvery === 0 ? "full" : "incremental",
      kinds: ["qdrant"],
      region: "east",
      epoch: 1,
      time: at,
      ...times,
      qdrantVersion: "1.16.3",
      toolVersion: "bench",
      collections: [{ name: "notes", key: key.id, facts: this.#facts, ...counts, shards: [shard] }],
      aliases: [],
      folders: [],
    };
  }

  #timeOf(n: number): number {
    return this.#now.getTime() - (this.#count - n) * everyMs;
  }

  #idOf(n: number): string {
    const time = new Date(this.#timeOf(n)).toISOString().replaceAll(/[-:.]/g, "");
    return `${time}-${n.toString(16).padStart(8, "0")}`;
  }
}

const packSize = 8 * 1024 * 1024;

function packOf(n: number): Pack {
  return { id: createHash("sha256").update(`pack ${n}`).digest("hex"), size: packSize };
}

/** What a reader of packs needs of a tree, and what makes it another one each time. */
const treeSchema = treePacksSchema.extend({ of: z.number() });
