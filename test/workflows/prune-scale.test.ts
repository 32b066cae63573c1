/**
 * A repository of many recovery points, as replication makes it in weeks, pruned from beginning to end within bounds of time, memory
 * and requests. What it holds is made up when it is asked for; only what was deleted is remembered.
 */
import { createHash } from "node:crypto";
import { expect } from "chai";
import { retentionSchema } from "../../runtime/domain/history/retention.ts";
import { newId, timeOfId } from "../../runtime/domain/identifier.ts";
import { parseStoreKey, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import type { PrunableStore } from "../../runtime/ports/prunable-store.ts";
import type { ManifestFacts } from "../../runtime/repository/prune/candidates.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { pruneRepository } from "../../runtime/workflows/prune/prune-repository.ts";
import { dayMs, hourMs, PrunedRegion, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";

const recoveryPoints = 100_000;
const everyMs = 60_000;
/** Of these a recovery point has the last one alone, and shares the others with those after it. */
const packsInTree = 8;

const time = new TestTime("2026-06-01T00:00:00.000Z");
const firstMs = time.now().getTime() - recoveryPoints * everyMs;
const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const ids = Array.from({ length: recoveryPoints }, (_, n) => {
  return newId(new Date(firstMs + n * everyMs)).replace(/-.*/, `-${n.toString(16).padStart(8, "0")}`);
});
const numberOf = (id: string) => Number.parseInt(id.slice(-8), 16);
const treeOf = Array.from({ length: recoveryPoints }, (_, n) => hash(`tree ${n}`));
const packOf = Array.from({ length: recoveryPoints + packsInTree }, (_, n) => hash(`pack ${n}`));
/** A hundred recovery points share their facts. */
const everyHundredth = Array.from({ length: Math.ceil(recoveryPoints / 100) }, (_, n) => hash(`facts ${n}`));
const factsOf = (n: number) => everyHundredth[Math.floor(n / 100)] ?? "";
const numberOfTree = new Map(treeOf.map((id, n) => [id, n]));

class MadeUpRepository implements ObjectStore, PrunableStore {
  reads = 0;
  readonly deleted = new Set<string>();

  async get(key: string): Promise<Buffer> {
    this.reads += 1;
    throw new Error(`${key} is asked for`);
  }

  async checksumOf(key: string): Promise<string> {
    throw new Error(`${key} is asked for`);
  }

  async *list(prefix: string) {
    const storedAt = new Date(firstMs);
    const keys = {
      [storeLayout.recoveryPoints]: () => ids.map(storeLayout.manifest),
      [storeLayout.facts]: () => everyHundredth.map(storeLayout.collectionFacts),
      [storeLayout.trees]: () => treeOf.map(storeLayout.tree),
      [storeLayout.packs]: () => packOf.map(storeLayout.pack),
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
    this.reads += 1;
    const parsed = parseStoreKey(place);
    if (parsed?.kind !== "manifest" || this.deleted.has(place)) throw new Error(`${place} is asked for`);
    const id = parsed.recoveryPointId;
    const startedAt = timeOfId(id)?.toISOString() ?? "";
    const tree = { id: treeOf[numberOf(id)] ?? "", size: 1 };
    return {
      format: 1,
      id,
      type: "incremental",
      kinds: ["qdrant"],
      region: "east",
      epoch: 1,
      startedAt,
      finishedAt: startedAt,
      collections: [{ name: "notes", facts: factsOf(numberOf(id)), shards: [{ isExact: true, tree }] }],
      folders: [],
    };
  }

  async readTree(id: string) {
    this.reads += 1;
    const first = numberOfTree.get(id) ?? Number.NaN;
    if (this.deleted.has(storeLayout.tree(id))) throw new Error(`tree ${first} is asked for, and gone`);
    return { packs: packOf.slice(first, first + packsInTree).map((pack) => ({ id: pack, size: 1 })) };
  }
}

describe("prune of a large repository", function () {
  this.timeout(120_000);

  it("of 100,000 recovery points takes no 256 MiB, and leaves what is kept whole", async () => {
    const { controlStore } = new PrunedRegion((await ageKeys()).wrap, time);
    const store = new MadeUpRepository();
    const repository = Object.assign(store, {
      stores: { repository: store, control: controlStore },
      description: { format: 1, id: "made-up", key: "none" },
    }) as unknown as OpenRepository;
    const request = {
      repository,
      prunable: store,
      prunableControl: controlStore,
      retention: retentionSchema.parse({}),
      giveUp: [],
      acceptsFewer: false,
      clock: time,
      progress: silently,
      runner: { mark: undefined, isDead: () => true },
    };
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 20);
    try {
      const { open } = await pruneRepository({ ...request, run: "one" });
      expect(open?.plan.dropped.recoveryPoints).to.be.greaterThan(99_000);
      expect(open?.plan.dropped.packs).to.be.greaterThan(95_000);
      expect(store.reads, "two for each kept, one for each other").to.be.below(recoveryPoints + 3 * 1_000);
      expect(open?.plan.dropped.facts, "facts that no kept recovery point names").to.be.greaterThan(100);
      time.pass(dayMs + hourMs);
      const { executed } = await pruneRepository({ ...request, run: "two" });
      expect(executed?.done.deleted.recoveryPoints).to.equal(open?.plan.dropped.recoveryPoints);
      for (const id of open?.plan.kept ?? []) {
        const needed = [storeLayout.manifest(id), storeLayout.tree(treeOf[numberOf(id)] ?? "")];
        needed.push(storeLayout.collectionFacts(factsOf(numberOf(id))));
        for (let pack = 0; pack < packsInTree; pack += 1)
          needed.push(storeLayout.pack(packOf[numberOf(id) + pack] ?? ""));
        for (const key of needed) expect(store.deleted.has(key), key).to.equal(false);
      }
      expect((peak - before) / 2 ** 20, "MiB more than before").to.be.below(256);
    } finally {
      clearInterval(watch);
    }
  });
});
