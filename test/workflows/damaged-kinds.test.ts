/**
 * Every kind of object that a repository has, once with one flipped bit and once without the object: which tier of `verify` finds it, and
 * whether `heal` brings it back from the other region. Over a folder and a bucket of a real S3 server; points are of a real Qdrant.
 */
import { expect } from "chai";
import {
  parseContentKey,
  parseStoreKey,
  type StoreKey,
  storeLayout,
} from "../../runtime/domain/recovery-points/store-layout.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { objectsNeeded } from "../../runtime/repository/content/objects-needed.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { folderCapture } from "../../runtime/workflows/folders/capture-folder.ts";
import { documentFolder } from "../../runtime/workflows/folders/document-folder.ts";
import { heal } from "../../runtime/workflows/heal/heal.ts";
import { healDescription } from "../../runtime/workflows/heal/heal-description.ts";
import { type ReadTier, verifyRegion } from "../../runtime/workflows/verify/verify-region.ts";
import { allOf } from "../support/all-of.ts";
import { type DamagedStore, damagedBucket, damagedFolder } from "../support/estates/damaged-store.ts";
import { hourMs, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, firstEpoch, silently } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { signed } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

interface Outcome {
  /** The least that finds it. */
  readonly found: ReadTier | "by nothing that is needed";
  /** `by hand`: it is refused by its name, and the object must go before it is healed. */
  readonly healed: "from the other region" | "from the control store" | "by hand" | "need not be";
}

const needed: Outcome = { found: "manifest", healed: "from the other region" };
/** A folder tells the checksum of a pack as it is, which `manifest` compares; the bucket tells none. */
const inBytes: Outcome = { ...needed, found: "chunks" };
/** What is of no use any more, or again by the next run. */
const needless: Outcome = { found: "by nothing that is needed", healed: "need not be" };

const outcomes: Readonly<Record<StoreKey["kind"], Readonly<Record<"flipped" | "deleted", Outcome>>>> = {
  repository: {
    flipped: { found: "manifest", healed: "by hand" },
    deleted: { found: "manifest", healed: "from the control store" },
  },
  pack: { flipped: inBytes, deleted: needed },
  tree: { flipped: needed, deleted: needed },
  facts: { flipped: needed, deleted: needed },
  manifest: { flipped: needed, deleted: needed },
  healed: { flipped: inBytes, deleted: inBytes },
  attestation: { flipped: needless, deleted: needless },
  "capture-plan": { flipped: needless, deleted: needless },
  "capture-part": { flipped: needless, deleted: needless },
  "capture-committed": { flipped: needless, deleted: needless },
  "session-alive": { flipped: needless, deleted: needless },
  // Its readers look at each object, by the digest in the next: test/contract/journal-chain.test.ts.
  journal: { flipped: needless, deleted: needless },
};

describe("damage of each kind of object", function () {
  this.timeout(120_000);
  let server: QdrantServer;
  let seaweed: SeaweedServer;
  let wrap: KeyWrap;

  before(async () => {
    [server, seaweed, { wrap }] = await Promise.all([QdrantServer.start(), SeaweedServer.start(), ageKeys()]);
    const client = clientOf(server);
    const wal_config = { wal_capacity_mb: 1 };
    await client.createCollection("notes", { vectors: { size: 4, distance: "Dot" }, wal_config });
    const points = Array.from({ length: 50 }, (_, id) => ({ id, payload: { id }, vector: [id, 1, 2, 3] }));
    await client.upsert("notes", { wait: true, points });
  });

  after(async () => {
    await Promise.all([server?.stop(), seaweed?.stop()]);
  });

  for (const place of ["folder", "bucket"] as const) {
    it(`is found and healed as the table says: in a ${place}`, async () => {
      const east = place === "folder" ? damagedFolder() : await damagedBucket(seaweed, `kinds-${Date.now()}`);
      try {
        const estate = new Estate(wrap, east);
        await estate.fill(server);
        const keys = await estate.keysByKind();
        expect([...keys.keys()]).to.have.members(Object.keys(outcomes));
        const seen: Record<string, object> = {};
        for (const [kind, key] of keys) {
          const flipped = await estate.outcome(key, "flipped");
          seen[kind] = { flipped, deleted: await estate.outcome(key, "deleted") };
        }
        const tellsChecksums = { pack: { flipped: needed }, healed: { flipped: needed, deleted: needed } };
        const expected = Object.entries(outcomes).map(([kind, outcome]) => [
          kind,
          { ...outcome, ...(place === "folder" && kind in tellsChecksums ? tellsChecksums[kind as "pack"] : {}) },
        ]);
        expect(seen).to.deep.equal(Object.fromEntries(expected));
      } finally {
        east.close();
      }
    });
  }
});

class Estate {
  readonly #time = new TestTime();
  readonly #told = { clock: this.#time, progress: silently };
  readonly #wrap: KeyWrap;
  readonly #east: DamagedStore;
  readonly #control = new MemoryStore(this.#time.now);
  readonly #westStore = new MemoryStore(this.#time.now);
  readonly #westControl = new MemoryStore(this.#time.now);
  /** As all was before any damage that is looked at. */
  #whole = new Map<string, Buffer>();
  #wholeControl = new Map<string, Buffer>();

  constructor(wrap: KeyWrap, east: DamagedStore) {
    this.#wrap = wrap;
    this.#east = east;
  }

  get #stores() {
    const repository = signed(this.#east.store, "east", "repository");
    return { repository, control: signed(this.#control, "east", "control") };
  }

  get #westStores() {
    const repository = signed(this.#westStore, "west", "repository");
    return { repository, control: signed(this.#westControl, "west", "control") };
  }

  /** A recovery point that two workers made, what was copied and verified of it, and a pack for which another stands in. */
  async fill(server: QdrantServer): Promise<void> {
    for (const { control } of [this.#stores, this.#westStores]) await claimEpoch(control, firstEpoch);
    const source = documentFolder({
      async *documents() {
        yield { path: "a", bytes: Buffer.alloc(20_000, "text "), changedAt: new Date(0) };
      },
    });
    const repository = await OpenRepository.openOrCreate(this.#stores, this.#wrap);
    const workers = [0, 1].map((index) =>
      captureRecoveryPoint({
        ...{
          region: "east",
          type: "full",
          kinds: ["qdrant", "config"],
          repository,
          ...this.#told,
          toolVersion: "test",
        },
        database: databaseOf(server),
        folders: [folderCapture({ kind: "config", name: "etc", source }, silently)],
        worker: { index, count: 2, session: "together" },
      }),
    );
    await Promise.all(workers);
    await copyRecoveryPoints(repository, { stores: this.#westStores, wrap: this.#wrap }, silently, this.#time);
    this.#time.pass(hourMs);
    await this.#verify("chunks");
    const { store } = this.#east;
    const [pack = ""] = await this.#keys(storeLayout.packs);
    await this.#east.replace(pack, flipped(pack, await store.get(pack)));
    await this.#heal();
    await this.#verify("chunks");
    await store.create(storeLayout.sessionAlive("together", "x"), Buffer.from("x"));
    await store.create(storeLayout.journalObject("west", 1), Buffer.from("x"));
    for (const key of await this.#keys("")) this.#whole.set(key, await store.get(key));
    this.#wholeControl = new Map(this.#control.objects);
  }

  /** One key of each kind, which the recovery point needs; of packs one that is read, and none for which another stands in. */
  async keysByKind(): Promise<Map<StoreKey["kind"], string>> {
    const repository = await this.#open();
    const { entries } = await readCatalog(repository);
    const [recoveryPoint] = entries.flatMap((entry) => entry.recoveryPoint ?? []);
    if (recoveryPoint === undefined) throw new Error("there is no recovery point");
    const needed = await objectsNeeded(repository, recoveryPoint);
    const found = new Map<StoreKey["kind"], string>();
    for (const key of this.#whole.keys()) {
      const parsed = parseStoreKey(key);
      if (parsed === undefined || this.#whole.has(storeLayout.healedObject(key, 1))) continue;
      if (parseContentKey(key) !== undefined && !needed.has(key)) continue;
      found.set(parsed.kind, key);
    }
    return found;
  }

  async outcome(key: string, damage: "flipped" | "deleted"): Promise<Outcome> {
    const bytes = this.#whole.get(key);
    if (bytes === undefined) throw new Error(`${key} is not there`);
    if (damage === "flipped") await this.#east.replace(key, flipped(key, bytes));
    else await this.#east.delete(key);
    try {
      const found = await this.#lowestTier(key);
      return { found, healed: await this.#healing(found) };
    } finally {
      await this.#rewind();
    }
  }

  async #lowestTier(key: string): Promise<Outcome["found"]> {
    for (const tier of ["manifest", "chunks"] as const) {
      const error = await errorOf(this.#verify(tier));
      if (error === undefined) continue;
      // What is named by its content may be told of by its id.
      const [id = key] = /[0-9a-f]{64}/.exec(key) ?? [];
      expect(`${error.message} ${error.hint}`).to.contain(id);
      return tier;
    }
    return "by nothing that is needed";
  }

  async #healing(found: Outcome["found"]): Promise<Outcome["healed"]> {
    if (found === "by nothing that is needed") {
      expect((await this.#heal()).unhealed).to.deep.equal([]);
      return "need not be";
    }
    let isDescribed = false;
    await healDescription(this.#stores, this.#wrap, () => {
      isDescribed = true;
    });
    const error = await errorOf(this.#heal());
    if (error?.message.includes(storeLayout.repository) === true) return "by hand";
    if (error !== undefined) throw error;
    await this.#verify("chunks");
    return isDescribed ? "from the control store" : "from the other region";
  }

  async #heal() {
    const from = await OpenRepository.open(this.#westStores, this.#wrap);
    const objects = this.#stores.repository;
    return heal({ ...this.#told, open: () => this.#open(), from, objects, region: "east", readsAll: true });
  }

  #open(): Promise<OpenRepository> {
    return OpenRepository.open(this.#stores, this.#wrap);
  }

  async #verify(tier: ReadTier): Promise<void> {
    await verifyRegion({ ...this.#told, open: () => this.#open(), tier, region: "east" });
  }

  async #keys(prefix: string): Promise<string[]> {
    return (await allOf(this.#east.store.list(prefix))).map(({ key }) => key);
  }

  async #rewind(): Promise<void> {
    const { store } = this.#east;
    for (const key of await this.#keys("")) {
      const bytes = this.#whole.get(key);
      if (bytes === undefined) await this.#east.delete(key);
      else if (!bytes.equals(await store.get(key))) await this.#east.replace(key, bytes);
    }
    for (const [key, bytes] of this.#whole) await store.create(key, bytes);
    this.#control.objects.clear();
    for (const [key, bytes] of this.#wholeControl) this.#control.objects.set(key, bytes);
  }
}

/**
 * Of a pack in the first frame: its directory, at the end, is read by no restore, and so by the rotation of `verify` alone. Of what is signed in
 * the content, behind the line of the signature.
 */
function flipped(key: string, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = key.includes(storeLayout.packs) ? 20 : copy.length - Math.ceil(copy.length / 4);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}
