/**
 * A repository of which bits flip and objects vanish: by runs of `verify` every byte is read within 30 simulated days, and all that
 * was damaged is found and healed from the other region. Over a folder and a bucket of a real S3 server; points are of a real Qdrant.
 * QDRANT_DR_SEED chooses other damage, QDRANT_DR_ROUNDS more of it.
 */
import { expect } from "chai";
import { controlLayout, parseStoreKey, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { checkObject } from "../../runtime/repository/content/check-object.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { folderCapture } from "../../runtime/workflows/folders/capture-folder.ts";
import { documentFolder } from "../../runtime/workflows/folders/document-folder.ts";
import { heal } from "../../runtime/workflows/heal/heal.ts";
import { verifyRegion } from "../../runtime/workflows/verify/verify-region.ts";
import { allOf } from "../support/all-of.ts";
import { type DamagedStore, damagedBucket, damagedFolder } from "../support/estates/damaged-store.ts";
import { dayMs, hourMs, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, firstEpoch, silently } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { seeded } from "../support/seeded.ts";
import { looksOf } from "../support/servers/looks-of.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_130);
const moreRounds = Number(process.env["QDRANT_DR_ROUNDS"] ?? 0);
const isHealable = /^(packs|trees|facts)\/|\/manifest$/;

describe("verify and heal", function () {
  this.timeout(300_000);
  let server: QdrantServer;
  let seaweed: SeaweedServer;
  let wrap: KeyWrap;

  before(async () => {
    [server, seaweed, { wrap }] = await Promise.all([QdrantServer.start(), SeaweedServer.start(), ageKeys()]);
    const client = clientOf(server);
    await client.createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    const points = Array.from({ length: 50 }, (_, id) => ({ id, payload: { id }, vector: [id, 1, 2, 3] }));
    await client.upsert("notes", { wait: true, points });
  });

  after(async () => {
    await Promise.all([server?.stop(), seaweed?.stop()]);
  });

  for (const kind of ["folder", "bucket"] as const) {
    describe(`over a ${kind}`, () => {
      let east: DamagedStore;
      let estate: Estate;
      const daysApart = kind === "folder" ? 2 : 6;
      let whole: ReadonlyMap<string, Buffer>;

      beforeEach(async () => {
        east = kind === "folder" ? damagedFolder() : await damagedBucket(seaweed, `heal-${Date.now()}`);
        estate = new Estate(wrap, east);
        await estate.capture(server, ["qdrant"]);
        for (let number = 0; number < 5; number += 1) await estate.capture(server, ["config"], `text ${number} `);
        await estate.copy();
        whole = await estate.objects();
      });

      afterEach(() => east.close());

      it("reads every byte once within 30 days, and finds and heals every flipped bit and every deleted object", async () => {
        const random = seeded(seed);
        // That a manifest is gone is noticed once it has been seen.
        expect(await estate.month(daysApart)).to.deep.equal({ healed: [], share: 1 });
        // In a second round stand-ins are damaged as well.
        for (let round = 0; round < (kind === "folder" ? 2 : 1) + moreRounds; round += 1) {
          const damaged = await estate.damage([...whole.keys()], random);
          const report = await estate.month(daysApart);
          const found = new Set(report.healed);
          expect([...damaged].filter((key) => !found.has(key))).to.deep.equal([]);
          expect(report.share).to.equal(1);
          await estate.expectWhole(whole);
        }
        expect(estate.readWhole.size).to.be.at.least(whole.size);
      });

      it("without another region names what is damaged, and quarantines what needs it, until it is healed", async () => {
        const { control } = estate;
        const [pack = ""] = [...whole.keys()].filter((key) => key.startsWith(storeLayout.packs));
        await east.replace(pack, flipped(whole.get(pack), 0.5));
        const request = { ...estate.told, open: () => estate.open(), objects: east.store, region: "east" };
        const alone = await heal({ ...request, from: undefined, readsAll: true });
        expect(alone.healed).to.deep.equal([]);
        expect(alone.unhealed.map(({ key }) => key)).to.deep.equal([pack]);
        expect(alone.quarantined).to.not.deep.equal([]);
        const states = async () =>
          (await readCatalog(await estate.open())).entries.map(({ id, state }) => ({ id, state }));
        const quarantined = (await states()).filter(({ state }) => state === "quarantined").map(({ id }) => id);
        expect(quarantined).to.have.members([...alone.quarantined]);
        // Told once, however often it is looked at.
        const listed = (await allOf(east.store.list(storeLayout.recoveryPoints))).length;
        await heal({ ...request, from: undefined, readsAll: true });
        expect((await allOf(east.store.list(storeLayout.recoveryPoints))).length).to.equal(listed);

        const healed = await heal({ ...request, from: await estate.west(), readsAll: false });
        expect(healed.healed.map(({ key, place }) => [key, place])).to.deep.equal([
          [pack, storeLayout.healedObject(pack, 1)],
        ]);
        expect(healed.released).to.have.members(quarantined);
        expect((await states()).every(({ state }) => state === "complete")).to.equal(true);
        expect(await allOf(control.list(controlLayout.heals))).to.have.length(1);
        // The damaged object is as it was: it may be locked.
        expect((await east.store.get(pack)).equals(whole.get(pack) ?? Buffer.alloc(0))).to.equal(false);
        // In a bucket that was lost and filled again nothing stands in for anything: the object itself is read.
        await east.delete(storeLayout.healedObject(pack, 1));
        await east.replace(pack, whole.get(pack) ?? Buffer.alloc(0));
        await estate.expectWhole(whole);
      });

      it("does not take from the other region what is damaged there too", async () => {
        const [tree = ""] = [...whole.keys()].filter((key) => key.startsWith(storeLayout.trees));
        await east.delete(tree);
        estate.westStore.objects.set(tree, flipped(whole.get(tree), 0.9));
        const request = { ...estate.told, open: () => estate.open(), objects: east.store, region: "east" };
        const { healed, unhealed } = await heal({ ...request, from: await estate.west(), readsAll: false });
        expect([healed, unhealed.map(({ key }) => key)]).to.deep.equal([[], [tree]]);
        expect(unhealed[0]?.because).to.contain("the other region's is damaged too");
        expect(await allOf(east.store.list(tree))).to.deep.equal([]);
        expect(await allOf(east.store.list(storeLayout.healed))).to.deep.equal([]);
      });

      it("a full capture stores anew what could not be healed", async () => {
        for (const key of whole.keys()) {
          if (key.startsWith(storeLayout.packs)) await east.replace(key, flipped(whole.get(key), 0.3));
        }
        const request = { ...estate.told, open: () => estate.open(), objects: east.store, region: "east" };
        await heal({ ...request, from: undefined, readsAll: true });
        const made = await estate.capture(server, ["qdrant"]);
        const { read } = await verifyRegion({
          ...estate.told,
          open: () => estate.open(),
          tier: "chunks",
          recoveryPoint: made,
          region: "east",
        });
        expect(read?.bytes).to.be.greaterThan(0);
      });
    });
  }
});

function flipped(bytes: Buffer | undefined, where: number): Buffer {
  const copy = Buffer.from(bytes ?? Buffer.alloc(1));
  const at = Math.min(copy.length - 1, Math.floor(copy.length * where));
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << (at % 8)), at);
  return copy;
}

class Estate {
  readonly time = new TestTime();
  readonly control = new MemoryStore(this.time.now);
  readonly westStore = new MemoryStore(this.time.now);
  readonly #westControl = new MemoryStore(this.time.now);
  readonly told = { clock: this.time, progress: silently };
  /** Keys of objects that were read from their first to their last byte. */
  readonly readWhole = new Set<string>();
  readonly #wrap: KeyWrap;
  readonly #east: DamagedStore;

  constructor(wrap: KeyWrap, east: DamagedStore) {
    this.#wrap = wrap;
    this.#east = east;
    for (const control of [this.control, this.#westControl]) {
      control.objects.set(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
    }
  }

  open(): Promise<OpenRepository> {
    const { store } = this.#east;
    const repository: ObjectStore = {
      create: (...request) => store.create(...request),
      list: (...request) => store.list(...request),
      ...looksOf(store),
      get: (key, request) => {
        if (request?.offset === undefined) this.readWhole.add(key);
        return store.get(key, request);
      },
    };
    return OpenRepository.openOrCreate({ repository, control: this.control }, this.#wrap);
  }

  west(): Promise<OpenRepository> {
    return OpenRepository.open({ repository: this.westStore, control: this.#westControl }, this.#wrap);
  }

  async capture(server: QdrantServer, kinds: ("qdrant" | "config")[], text = ""): Promise<string> {
    const source = documentFolder({
      async *documents() {
        const bytes = Buffer.from(text.repeat(20_000));
        for (const path of ["a", "b"])
          yield { path, bytes: Buffer.concat([Buffer.from(path), bytes]), changedAt: new Date(0) };
      },
    });
    // As far apart as the other region keeps them.
    this.time.pass(5 * hourMs);
    const report = await captureRecoveryPoint({
      ...{ region: "east", type: "full", kinds, database: databaseOf(server), ...this.told, toolVersion: "test" },
      folders: kinds.includes("config") ? [folderCapture({ kind: "config", name: "etc", source }, silently)] : [],
      repository: await this.open(),
    });
    return report.recoveryPoint;
  }

  async copy(): Promise<void> {
    const stores = { repository: this.westStore, control: this.#westControl };
    await copyRecoveryPoints(await this.open(), { stores, wrap: this.#wrap }, silently, this.time);
  }

  /** What heals from another region, by their keys. */
  async objects(): Promise<ReadonlyMap<string, Buffer>> {
    const found = new Map<string, Buffer>();
    for (const { key } of await allOf(this.#east.store.list(""))) {
      if (isHealable.test(key) && parseStoreKey(key) !== undefined) found.set(key, await this.#east.store.get(key));
    }
    return found;
  }

  /** Flips a bit of a third of the objects, or of what stands in for them; deletes as many. */
  async damage(keys: readonly string[], random: () => number): Promise<ReadonlySet<string>> {
    const damaged = new Set<string>();
    const there = new Set((await allOf(this.#east.store.list(""))).map(({ key }) => key));
    for (const key of keys) {
      const copies = [key, ...[1, 2, 3].map((copy) => storeLayout.healedObject(key, copy))].filter((each) =>
        there.has(each),
      );
      const place = copies.at(-1) ?? key;
      const chance = random();
      if (chance < 1 / 3) await this.#east.delete(place);
      else if (chance < 2 / 3) await this.#east.replace(place, flipped(await this.#east.store.get(place), random()));
      else continue;
      damaged.add(key);
    }
    return damaged;
  }

  verify({ heals }: { readonly heals: boolean }) {
    return this.west().then((from) =>
      verifyRegion({
        ...this.told,
        open: () => this.open(),
        tier: "chunks",
        heal: heals ? { from, objects: this.#east.store } : undefined,
        region: "east",
      }),
    );
  }

  async month(daysApart: number): Promise<{ readonly healed: readonly string[]; readonly share: number }> {
    const healed: string[] = [];
    let share = 0;
    for (let day = 0; day < 30; day += daysApart) {
      this.time.pass(daysApart * dayMs);
      const report = await this.verify({ heals: true });
      healed.push(...(report.healed?.healed.map(({ key }) => key) ?? []));
      share = report.share?.share ?? 0;
    }
    return { healed, share };
  }

  async expectWhole(whole: ReadonlyMap<string, Buffer>): Promise<void> {
    const repository = await this.open();
    for (const [key, bytes] of whole) {
      const now = await repository.stores.repository.get(key);
      await checkObject(repository, key, now);
      expect(now.equals(bytes), key).to.equal(true);
    }
    const { entries } = await readCatalog(repository);
    expect(entries.map(({ state }) => state)).to.deep.equal(entries.map(() => "complete"));
  }
}
