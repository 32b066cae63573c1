/**
 * A repository of many recovery points, as replication makes it in weeks, pruned from beginning to end within bounds of time, memory
 * and requests. What it holds is made up when it is asked for; only what was deleted is remembered.
 */
import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect } from "chai";
import { retentionSchema } from "../../runtime/domain/history/retention.ts";
import { newId, timeOfId } from "../../runtime/domain/identifier.ts";
import { parseStoreKey, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import type { PrunableStore } from "../../runtime/ports/prunable-store.ts";
import type { ManifestFacts } from "../../runtime/repository/prune/candidates.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { pruneRepository } from "../../runtime/workflows/prune/prune-repository.ts";
import { dayMs, hourMs, PrunedRegion, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { isProof } from "../support/how-many.ts";
import { looksOf } from "../support/servers/looks-of.ts";
import type { MemoryStore } from "../support/servers/memory-store.ts";

/** Of these a recovery point has the last one alone, and shares the others with those after it. */
const packsInTree = 8;
const endMs = Date.parse("2026-06-01T00:00:00.000Z");
const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const numberOf = (id: string) => Number.parseInt(id.slice(-8), 16);
/** A look at the memory takes a while: what nobody holds any more is collected before. */
const readsForALook = 50_000;
setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** What is held, in bytes. */
function held(): number {
  collectGarbage();
  const { external, heapUsed } = process.memoryUsage();
  return heapUsed + external;
}

class MadeUpRepository implements ObjectStore, PrunableStore {
  reads = 0;
  readonly deleted = new Set<string>();
  readonly ids: readonly string[];
  readonly #firstMs: number;
  readonly #treeOf: readonly string[];
  readonly #packOf: readonly string[];
  /** A hundred recovery points share their facts. */
  readonly #everyHundredth: readonly string[];
  readonly #numberOfTree: ReadonlyMap<string, number>;
  readonly #before: number;
  #peak = 0;

  constructor(count: number, everyMs: number) {
    this.#firstMs = endMs - count * everyMs;
    const numbers = Array.from({ length: count }, (_, n) => n);
    const idOf = (n: number) =>
      newId(new Date(this.#firstMs + n * everyMs)).replace(/-.*/, `-${n.toString(16).padStart(8, "0")}`);
    this.ids = numbers.map(idOf);
    this.#treeOf = numbers.map((n) => hash(`tree ${n}`));
    this.#packOf = Array.from({ length: count + packsInTree }, (_, n) => hash(`pack ${n}`));
    this.#everyHundredth = Array.from({ length: Math.ceil(count / 100) }, (_, n) => hash(`facts ${n}`));
    this.#numberOfTree = new Map(this.#treeOf.map((id, n) => [id, n]));
    this.#before = held();
  }

  /** The most that was held while it was read: beside what is made up here, and with what is remembered of what was deleted. */
  get peakMiB(): number {
    return (this.#peak - this.#before) / 2 ** 20;
  }

  /** Its keys of all that a recovery point needs. */
  neededBy(id: string): string[] {
    const n = numberOf(id);
    const packs = this.#packOf.slice(n, n + packsInTree).map(storeLayout.pack);
    return [
      storeLayout.manifest(id),
      storeLayout.tree(this.#treeOf[n] ?? ""),
      storeLayout.collectionFacts(this.#factsOf(n)),
      ...packs,
    ];
  }

  #factsOf(n: number): string {
    return this.#everyHundredth[Math.floor(n / 100)] ?? "";
  }

  #count(): void {
    this.reads += 1;
    if (this.reads % readsForALook === 0) this.#peak = Math.max(this.#peak, held());
  }

  async get(key: string): Promise<Buffer> {
    this.reads += 1;
    throw new Error(`${key} is asked for`);
  }

  async checksumOf(key: string): Promise<string> {
    throw new Error(`${key} is asked for`);
  }

  async *list(prefix: string) {
    const storedAt = new Date(this.#firstMs);
    const keys = {
      [storeLayout.recoveryPoints]: () => this.ids.map(storeLayout.manifest),
      [storeLayout.facts]: () => this.#everyHundredth.map(storeLayout.collectionFacts),
      [storeLayout.trees]: () => this.#treeOf.map(storeLayout.tree),
      [storeLayout.packs]: () => this.#packOf.map(storeLayout.pack),
    }[prefix];
    for (const key of keys?.() ?? []) if (!this.deleted.has(key)) yield { key, size: 1, storedAt };
  }

  async *folders(folder: string) {
    yield* [`${folder} is listed by nobody`].slice(1);
  }

  async sizeOf(key: string): Promise<number> {
    throw new Error(`${key} is asked for`);
  }

  async create(): Promise<"created"> {
    throw new Error("nothing is created beside recovery points");
  }

  async delete(keys: readonly string[]) {
    for (const key of keys) this.deleted.add(key);
    return [];
  }

  /** Nothing was replicated: its stream is empty. */
  withStream(): this {
    return this;
  }

  get history(): this {
    return this;
  }

  async readRecord(place: string): Promise<ManifestFacts> {
    this.#count();
    const parsed = parseStoreKey(place);
    if (parsed?.kind !== "manifest" || this.deleted.has(place)) throw new Error(`${place} is asked for`);
    const id = parsed.recoveryPointId;
    const startedAt = timeOfId(id)?.toISOString() ?? "";
    const tree = { id: this.#treeOf[numberOf(id)] ?? "", size: 1 };
    return {
      format: 1,
      id,
      type: "incremental",
      kinds: ["qdrant"],
      region: "east",
      epoch: 1,
      startedAt,
      finishedAt: startedAt,
      collections: [{ name: "notes", facts: this.#factsOf(numberOf(id)), shards: [{ isExact: true, tree }] }],
      folders: [],
    };
  }

  async readTree(id: string) {
    this.#count();
    const first = this.#numberOfTree.get(id) ?? Number.NaN;
    if (this.deleted.has(storeLayout.tree(id))) throw new Error(`tree ${first} is asked for, and gone`);
    return { packs: this.#packOf.slice(first, first + packsInTree).map((pack) => ({ id: pack, size: 1 })) };
  }
}

/** What a prune does, in this order; it is killed once in each. */
const phases = {
  "takes its turn": /^prunes\/turns\//,
  "writes what it drops": /^prunes\/\d+\/parts\//,
  plans: /^prunes\/\d+\/plan\.json$/,
  begins: /^prunes\/\d+\/begun\.json$/,
  "deletes recovery points": /^recovery-points\//,
  "deletes what they needed": /^trees\//,
  "ends a part": /^prunes\/\d+\/done\//,
  ends: /^prunes\/\d+\/done\.json$/,
};

describe("prune of a large repository", function () {
  this.timeout(300_000);
  let time: TestTime;
  let control: MemoryStore;

  beforeEach(async () => {
    time = new TestTime(new Date(endMs).toISOString());
    control = new PrunedRegion((await ageKeys()).wrap, time).controlStore;
  });

  const prune = (store: MadeUpRepository, retention: object, { run, killIn }: { run: string; killIn?: RegExp }) => {
    const killed = new KilledIn(killIn, control);
    const repository = Object.assign(store, {
      stores: { repository: store, control: killed.control },
      description: { format: 1, id: "made-up", key: "none" },
    }) as unknown as OpenRepository;
    return pruneRepository({
      repository,
      prunable: killed.prunable(store),
      prunableControl: killed.prunable(control),
      retention: retentionSchema.parse(retention),
      giveUp: [],
      acceptsFewer: false,
      clock: time,
      progress: silently,
      run,
      // Every other run of this test has ended.
      runner: { mark: run, isDead: () => true },
    });
  };

  /** What is left has all that it needs. */
  function expectWhole(store: MadeUpRepository): number {
    const left = store.ids.filter((id) => !store.deleted.has(storeLayout.manifest(id)));
    for (const key of left.flatMap((id) => store.neededBy(id))) {
      if (store.deleted.has(key)) expect.fail(`${key} is needed, and gone`);
    }
    return left.length;
  }

  it("of 100,000 recovery points takes no 256 MiB, and leaves what is kept whole", async () => {
    const count = 100_000;
    const store = new MadeUpRepository(count, 60_000);
    const { open } = await prune(store, {}, { run: "one" });
    expect(open?.plan.dropped.recoveryPoints).to.be.greaterThan(99_000);
    expect(open?.plan.dropped.packs).to.be.greaterThan(95_000);
    expect(store.reads, "two for each kept, one for each other").to.be.below(count + 3 * 1_000);
    expect(open?.plan.dropped.facts, "facts that no kept recovery point names").to.be.greaterThan(100);
    time.pass(dayMs + hourMs);
    const { executed } = await prune(store, {}, { run: "two" });
    expect(executed?.done.deleted.recoveryPoints).to.equal(open?.plan.dropped.recoveryPoints);
    expect(expectWhole(store)).to.equal(open?.plan.kept.length);
    console.info(`      ${Math.round(store.peakMiB)} MiB`);
    expect(store.peakMiB, "MiB more than before").to.be.within(1, 256);
  });

  const count = isProof ? 100_000 : 5_000;
  it(`of a tenth of ${count} recovery points, killed in every phase and run again, completes, and touches nothing that is needed`, async () => {
    // Ten in nine quarters of an hour: one of ten shares its slot.
    const store = new MadeUpRepository(count, 13.5 * 60_000);
    const retention = { days: 36_500, quarterHourlyDays: 36_500, fourHourlyDays: 36_500 };
    let runs = 0;
    for (const [phase, killIn] of Object.entries(phases)) {
      if (phase === "begins") {
        expect((await prune(store, retention, { run: "plans" })).open?.plan.dropped.recoveryPoints).to.equal(
          count / 10,
        );
        time.pass(dayMs + hourMs);
      }
      runs += 1;
      expect(await codeOf(prune(store, retention, { run: `run-${runs}`, killIn })), phase).to.equal("UNREACHABLE");
      expectWhole(store);
    }
    const { executed } = await prune(store, retention, { run: "last" });
    expect(executed, "the plan that was begun").to.not.equal(undefined);
    expect(expectWhole(store)).to.equal(count - count / 10);
    if (!isProof) return;
    console.info(`      ${Math.round(store.peakMiB)} MiB`);
    expect(store.peakMiB, "MiB more than before").to.be.within(1, 256);
  });
});

/** A process that dies when it first writes or deletes what a phase writes or deletes; of several deletes at once half are done. */
class KilledIn {
  readonly control: ObjectStore;
  readonly #killIn: RegExp | undefined;
  #isDead = false;

  constructor(killIn: RegExp | undefined, control: MemoryStore) {
    this.#killIn = killIn;
    this.control = {
      ...looksOf(control),
      get: (...request) => control.get(...request),
      list: (...request) => control.list(...request),
      create: async (...request) => {
        this.#refuseDead(request[0]);
        return control.create(request[0], request[1]);
      },
    };
  }

  prunable(inner: PrunableStore): PrunableStore {
    return {
      delete: async (keys) => {
        const wasDead = this.#isDead;
        try {
          this.#refuseDead(keys[0] ?? "");
        } catch (error) {
          if (!wasDead) await inner.delete(keys.slice(0, Math.floor(keys.length / 2)));
          throw error;
        }
        return inner.delete(keys);
      },
    };
  }

  #refuseDead(key: string): void {
    this.#isDead ||= this.#killIn?.test(key) === true;
    if (this.#isDead) throw new DrError("UNREACHABLE", `injected: ${key}`);
  }
}
