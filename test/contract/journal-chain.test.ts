/** A region's journal as one chain of objects, over a folder and over S3: who writes, who stops, and what a reader believes. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ageIdentities } from "../../runtime/adapters/age-identities.ts";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import type { JournalEntry, PointsEntry } from "../../runtime/domain/journal/entry.ts";
import { beginOfJournal, type JournalPosition } from "../../runtime/domain/journal/position.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { newSigningKey, publicKeyOf } from "../../runtime/domain/trust/signing-key.ts";
import type { Trust } from "../../runtime/domain/trust/trust.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { JournalReader } from "../../runtime/repository/journal/journal-reader.ts";
import { JournalWriter, type TakeoverTries } from "../../runtime/repository/journal/journal-writer.ts";
import { SignedStore } from "../../runtime/repository/signed-store.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { codeOf } from "../support/expect-code.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const at = "2026-01-31T12:00:00.000Z";
const [eastGate, westGate, thief] = [newSigningKey(), newSigningKey(), newSigningKey()];
const trust: Trust = {
  id: "pair-of-a-test",
  keys: [
    { name: "gate of east", key: publicKeyOf(eastGate), job: "gate", region: "east" },
    { name: "gate of west", key: publicKeyOf(westGate), job: "gate", region: "west" },
    { name: "east's captures", key: publicKeyOf(thief), job: "capture", region: "east" },
  ],
};

function point(id: number): JournalEntry {
  const points = [`{"id":${id},"payload":{"n":${id}.0},"vector":[1.0]}`];
  return { kind: "points", at, collection: "items", isComplete: true, ids: [`${id}`], points };
}

/** Loses answers, after or before the request was done. */
class LossyStore extends SignedStore {
  lose: "answer" | "request" | undefined;

  override async create(...request: Parameters<ObjectStore["create"]>): Promise<"created" | "exists"> {
    const { lose } = this;
    this.lose = undefined;
    if (lose !== "request") {
      const answer = await super.create(...request);
      if (lose === undefined) return answer;
    }
    throw new Error(`the ${lose} is lost`);
  }
}

describe("journal", () => {
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-journal-"));
  let seaweed: SeaweedServer;
  let count = 0;

  before(async () => {
    seaweed = await SeaweedServer.start();
  });
  after(async () => {
    await seaweed.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const newStores: Readonly<Record<string, () => Promise<ObjectStore>>> = {
    async "a folder"() {
      const folder = join(root, `${++count}`);
      mkdirSync(folder);
      return new FileStore(folder);
    },
    S3: async () => openStore(await seaweed.bucket(`journal-${++count}`)),
  };

  for (const [name, newStore] of Object.entries(newStores)) {
    describe(`in ${name}`, () => {
      async function journal() {
        const bare = await newStore();
        const identity = await ageIdentities.make();
        const wrap = new AgeKeyWrap({ recipients: [await ageIdentities.recipientOf(identity)], identity });
        const as = (signingKey: string) =>
          new LossyStore(bare, { trust, trustId: trust.id, region: "west", store: "repository", signingKey });
        const store = as(eastGate);
        const takeOver = (writer: string, tries: TakeoverTries = {}) =>
          JournalWriter.takeOver({ store, region: "east", writer, wrap, clock: systemClock }, tries);
        const reader = new JournalReader(as(westGate), "east", wrap);
        return { as, bare, identity, reader, store, takeOver };
      }

      async function read(reader: JournalReader, from: JournalPosition = beginOfJournal): Promise<string[]> {
        const told: string[] = [];
        for (let position = from; ; ) {
          const next = await reader.next(position);
          if (next === undefined) return told;
          told.push(
            next.isTakeover ? "takeover" : next.entries.flatMap((e) => (e.kind === "points" ? e.ids : [])).join(),
          );
          position = next.position;
        }
      }

      it("is read as it was written, from any position, and by who has its key alone", async () => {
        const { bare, reader, takeOver } = await journal();
        expect(await reader.newest()).to.deep.equal(beginOfJournal);
        const { endOfOthers, writer } = await takeOver("first");
        expect(endOfOthers).to.deep.equal(beginOfJournal);
        const middle = await writer.append([point(1), point(2)]);
        await writer.append([]);
        const end = await writer.append([point(3)]);
        expect(await read(reader)).to.deep.equal(["takeover", "1,2", "", "3"]);
        expect(await read(reader, middle)).to.deep.equal(["", "3"]);
        expect(await reader.newest()).to.deep.equal(end);
        expect((await reader.next({ ...middle, number: 1, digest: "" }))?.entries).to.deep.equal([point(1), point(2)]);
        expect(await codeOf(reader.next({ number: 1, digest: "0".repeat(64) }))).to.equal("OBJECT_CORRUPT");
        const stored = await bare.get(storeLayout.journalObject("east", 2));
        expect(stored.includes("items")).to.equal(false);
      });

      it("has one writer: who finds its number taken stops, and what it had sent is nowhere", async () => {
        const { reader, store, takeOver } = await journal();
        const { writer: first } = await takeOver("first");
        const known = await first.append([point(1)]);
        const { endOfOthers, writer: second } = await takeOver("second");
        expect(endOfOthers).to.deep.equal(known);
        expect(await codeOf(first.append([point(2)]))).to.equal("APPLY_CONFLICT");
        await second.append([point(3)]);
        expect(await codeOf(first.append([point(2)]))).to.equal("APPLY_CONFLICT");
        expect(await read(reader)).to.deep.equal(["takeover", "1", "takeover", "3"]);
        // Whether a request was done or only its answer lost: sent again, it stands there once.
        const [fourth, fifth] = [[point(4)], [point(5)]];
        store.lose = "answer";
        await second.append(fourth).catch(() => undefined);
        await second.append(fourth);
        store.lose = "request";
        await second.append(fifth).catch(() => undefined);
        await second.append(fifth);
        expect(await read(reader)).to.deep.equal(["takeover", "1", "takeover", "3", "4", "5"]);
      });

      it("takes its own takeover for its own, when only the answer was lost", async () => {
        const { reader, store, takeOver } = await journal();
        const tries: TakeoverTries = {};
        store.lose = "answer";
        await takeOver("first", tries).catch(() => undefined);
        const { endOfOthers, termOfOthers, writer } = await takeOver("first", tries);
        expect({ endOfOthers, termOfOthers }).to.deep.equal({ endOfOthers: beginOfJournal, termOfOthers: undefined });
        await writer.append([point(1)]);
        expect(await read(reader)).to.deep.equal(["takeover", "1"]);
      });

      it("makes no object that no reader would open, and goes on", async () => {
        const { reader, takeOver } = await journal();
        const { writer } = await takeOver("first");
        const long: JournalEntry = {
          ...(point(1) as PointsEntry),
          points: [`{"a":"${"é".repeat(25 * 1024 * 1024)}"}`],
        };
        expect(await codeOf(writer.append([long]))).to.equal("NOT_SUPPORTED");
        await writer.append([point(2)]);
        expect(await read(reader)).to.deep.equal(["takeover", "2"]);
      });

      it("takes many who come at once one after another", async () => {
        const { reader, takeOver } = await journal();
        const taken = await Promise.all(["a", "b", "c", "d"].map((name) => takeOver(name)));
        const told = await Promise.all(taken.map(({ writer }) => codeOf(writer.append([point(1)]))));
        expect(told.filter((code) => code === undefined)).to.have.length(1);
        expect(await read(reader)).to.deep.equal([...Array(4).fill("takeover"), "1"]);
      });

      it("steps over what nobody signed who may write it, as a reader and as a writer", async () => {
        const { as, bare, reader, takeOver } = await journal();
        const key = (number: number) => storeLayout.journalObject("east", number);
        await bare.create(key(1), Buffer.from("not signed"));
        const { writer } = await takeOver("first");
        // What was signed for another number; the writer's own stands behind what stood there.
        for await (const behind of bare.list(`${key(1)}~`)) await bare.create(key(2), await bare.get(behind.key));
        // Captures have another key than the gate, and the other region's gate has no business there.
        expect(await codeOf(as(thief).create(key(4), Buffer.from("{}")))).to.equal("ACCESS_DENIED");
        expect(await codeOf(as(westGate).create(key(4), Buffer.from("{}")))).to.equal("ACCESS_DENIED");
        await writer.append([point(1)]);
        await bare.create(key(23_456), Buffer.from("not signed"));
        expect(await read(reader)).to.deep.equal(["takeover", "1"]);
        const { endOfOthers } = await takeOver("second");
        expect(endOfOthers.number).to.equal(2);
        expect(await read(reader)).to.deep.equal(["takeover", "1", "takeover"]);
      });

      it("names an object that is missing in its middle, and not the end", async () => {
        const { bare, reader, takeOver } = await journal();
        const { writer } = await takeOver("first");
        const end = await writer.append([point(1)]);
        await reader.refuseGap(end);
        const other = await newStore();
        for (const number of [1, 2, 4]) {
          if (number === 4) await writer.append([point(2)]).then(() => writer.append([point(3)]));
          const place = storeLayout.journalObject("east", number);
          await other.create(place, await bare.get(place));
        }
        const cut = new SignedStore(other, { trust, trustId: trust.id, region: "west", store: "repository" });
        const reading = new JournalReader(cut, "east", new AgeKeyWrap({ recipients: [], identity: undefined }));
        expect(await codeOf(reading.refuseGap(end))).to.equal("OBJECT_NOT_FOUND");
      });
    });
  }
});
