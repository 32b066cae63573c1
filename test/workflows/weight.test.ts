/** What a recovery point costs beyond what changed: bytes and requests, by the kind of object. */
import { expect } from "chai";
import { usualRetention } from "../../runtime/domain/history/retention.ts";
import { parseStoreKey, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { readDirectory } from "../../runtime/repository/content/pack-directory.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { silently, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { seeded } from "../support/seeded.ts";
import { LockingMemoryStore } from "../support/servers/memory-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const collections = Array.from({ length: 10 }, (_, n) => `notes-${n}`);
const dimensions = 768;
const points = 1_000;

describe("weight of a recovery point", function () {
  this.timeout(240_000);
  let server: QdrantServer;
  let practice: RecoveryPractice;

  before("ten collections of 768 dimensions", async () => {
    server = await QdrantServer.start();
    practice = await RecoveryPractice.start();
    const random = seeded(1);
    for (const name of collections) {
      const client = clientOf(server);
      await client.createCollection(name, { vectors: { size: dimensions, distance: "Cosine" } });
      for (let first = 0; first < points; first += 500) {
        const batch = Array.from({ length: 500 }, (_, n) => point(first + n, random));
        await client.upsert(name, { wait: true, points: batch });
      }
    }
    await practice.capture(databaseOf(server), "full");
  });

  after(() => server?.stop());

  /** Adds up what a capture stores, in bytes, beside the chunks themselves. */
  async function cost(capture: () => Promise<unknown>) {
    const { objects } = practice.stores.repository;
    const before = new Set(objects.keys());
    await capture();
    const added = [...objects].flatMap(([key, bytes]) =>
      before.has(key) ? [] : [{ parsed: parseStoreKey(key), bytes }],
    );
    const repository = await OpenRepository.open(practice.stores, practice.wrap);
    const sum = { ofCollections: 0, beside: 0, writesBesidePacks: 0, packs: 0 };
    for (const { bytes, parsed } of added) {
      if (parsed?.kind === "pack") {
        const { chunks } = await readDirectory(repository, { id: parsed.id });
        const frames = new Map(chunks.map(({ frame }) => [frame.offset, frame.length]));
        const ofChunks = [...frames.values()].reduce((total, length) => total + length, 0);
        sum.ofCollections += bytes.length - ofChunks;
        sum.packs += 1;
        continue;
      }
      sum.writesBesidePacks += 1;
      if (parsed?.kind === "tree" || parsed?.kind === "facts") sum.ofCollections += bytes.length;
      else sum.beside += bytes.length;
    }
    return sum;
  }

  const change = async (name: string, ...ids: number[]) => {
    const random = seeded(ids[0] ?? 0);
    await clientOf(server).upsert(name, { wait: true, points: ids.map((id) => point(id, random)) });
  };
  const incremental = () => practice.capture(databaseOf(server), "incremental");

  it("in which one point changed is that of the changed content, and little beside", async () => {
    for (const id of [100, 200, points + 1]) {
      await change("notes-3", id);
      const { beside, ofCollections, packs, writesBesidePacks } = await cost(incremental);
      expect(packs).to.equal(2);
      expect(writesBesidePacks, "plan, tree and manifest").to.be.at.most(4);
      expect(ofCollections, "bytes of the changed collection beside its chunks").to.be.at.most(8_000);
      expect(beside, "bytes beside the collections").to.be.at.most(8_000);
    }
  });

  it("in which all samples of a collection changed has facts of its own, which are small too", async () => {
    await change("notes-4", ...Array.from({ length: points }, (_, id) => id));
    await cost(incremental);
    await change("notes-4", 5);
    const { ofCollections, writesBesidePacks } = await cost(incremental);
    expect(writesBesidePacks, "plan, facts, tree and manifest").to.equal(4);
    expect(ofCollections).to.be.at.most(16_000);
  });

  it("with locks asks five questions more; the first of four hours asks for everything, and extends what is locked for less", async () => {
    const startMs = Date.parse("2026-03-01T00:00:00.000Z");
    let quarter = 0;
    const clock = clockShowing(() => new Date(startMs + quarter * 15 * 60_000));
    const locked = new LockingMemoryStore(clock.now);
    const stores = { repository: locked, control: storesWithEpoch().control };
    const told = { clock, progress: silently, toolVersion: "test" };
    const requests = async () => {
      const before = { ...locked.lockRequests, keys: new Set(locked.objects.keys()) };
      const opened = await OpenRepository.openOrCreate(stores, practice.wrap);
      const repository = opened.lockedBy({ retention: usualRetention, clock });
      const type = quarter === 0 ? "full" : "incremental";
      await captureRecoveryPoint({ region: "east", type, database: databaseOf(server), repository, ...told });
      const created = [...locked.objects.keys()].filter((key) => !before.keys.has(key));
      const { extended, questions } = locked.lockRequests;
      return {
        writesBesidePacks: created.filter((key) => !key.startsWith(storeLayout.packs)).length,
        packs: created.filter((key) => key.startsWith(storeLayout.packs)).length,
        questions: questions - before.questions,
        extended: extended - before.extended,
      };
    };
    await requests();
    const usual = { writesBesidePacks: 3, packs: 2, questions: 5, extended: 0 };
    for (quarter of [1, 2, 17]) {
      await change("notes-6", quarter);
      const { extended, questions, ...others } = await requests();
      expect(others).to.deep.equal({ writesBesidePacks: usual.writesBesidePacks, packs: usual.packs });
      const isFirstOfFourHours = quarter === 17;
      // Of ten collections: their trees, facts and packs, asked before and after.
      expect(questions).to.be.at.most(isFirstOfFourHours ? 80 : usual.questions);
      expect(extended).to.be.at.most(isFirstOfFourHours ? 20 : usual.extended);
      expect(extended > 0).to.equal(isFirstOfFourHours);
    }
    quarter = 18;
    await change("notes-6", quarter);
    expect(await requests()).to.deep.equal(usual);
  });

  it("in which every collection changed costs each the same", async () => {
    for (const name of collections) await change(name, 300);
    const { beside, ofCollections } = await cost(incremental);
    expect(ofCollections).to.be.at.most(collections.length * 8_000);
    expect(beside).to.be.at.most(8_000);
  });
});

function point(id: number, random: () => number) {
  const vector = Array.from({ length: dimensions }, () => random() - 0.5);
  return { id, vector, payload: { text: `text ${id}`, group: id % 7 } };
}
