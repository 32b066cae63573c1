/** Damage that is there, and damage that was only on its way; points of a real Qdrant in a store in memory. */
import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { readRotation } from "../../runtime/repository/control/verification-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { verifyRegion } from "../../runtime/workflows/verify/verify-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { looksOf } from "../support/servers/looks-of.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

/** Flips a byte of so many answers with bytes of packs. */
function flipping(store: ObjectStore, answers: number): ObjectStore {
  let left = answers;
  return {
    ...looksOf(store),
    create: (...request) => store.create(...request),
    list: (prefix) => store.list(prefix),
    checksumOf: (key) => store.checksumOf(key),
    async get(key, range) {
      const bytes = Buffer.from(await store.get(key, range));
      if (key.startsWith(storeLayout.packs) && left > 0) {
        left -= 1;
        bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      }
      return bytes;
    },
  };
}

describe("verify", () => {
  let server: QdrantServer;
  let practice: RecoveryPractice;

  before(async () => {
    server = await QdrantServer.start();
    const client = clientOf(server);
    await client.createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    const points = Array.from({ length: 50 }, (_, id) => ({ id, payload: { id }, vector: [id, 1, 2, 3] }));
    await client.upsert("notes", { wait: true, points });
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
  });

  after(async () => {
    await server?.stop();
  });

  async function verified(answers: number) {
    const recoveryPoint = await practice.capture(databaseOf(server));
    const stores = { repository: flipping(practice.stores.repository, answers), control: practice.stores.control };
    const repository = await OpenRepository.open(stores, practice.wrap);
    const told = { clock: systemClock, progress: silently, region: "east" };
    return codeOf(verifyRecoveryPoint(repository, recoveryPoint, told));
  }

  async function states() {
    const repository = await OpenRepository.open(practice.stores, practice.wrap);
    return (await readCatalog(repository)).entries.map(({ state }) => state);
  }

  it("reads again what came damaged, and keeps the point when it is whole then", async () => {
    expect(await verified(1)).to.equal(undefined);
    expect(await states()).to.deep.equal(["complete"]);
  });

  it("quarantines what is damaged each time it is read", async () => {
    expect(await verified(1_000)).to.equal("OBJECT_CORRUPT");
    expect(await states()).to.deep.equal(["quarantined"]);
  });

  it("what is damaged of the newest counts at once, in whatever slot it is, until it was read whole there", async () => {
    await practice.capture(databaseOf(server));
    const [pack = ""] = [...practice.stores.repository.objects.keys()].filter((key) =>
      key.startsWith(storeLayout.packs),
    );
    const whole = practice.stores.repository.objects.get(pack) ?? Buffer.alloc(0);
    const open = () => OpenRepository.open(practice.stores, practice.wrap);
    const verify = (day: number) => {
      const clock = { ...systemClock, now: () => new Date(Date.now() + day * 24 * 3_600_000) };
      return verifyRegion({ open, tier: "chunks", region: "east", clock, progress: silently });
    };
    const counted = async () => {
      const { control, repository } = practice.stores;
      const { id } = (await OpenRepository.open({ control, repository }, practice.wrap)).description;
      return (await readRotation(control, id))?.rotation.damaged.map(({ key }) => key);
    };
    await verify(0);
    expect(await counted()).to.deep.equal([]);
    practice.stores.repository.objects.set(pack, Buffer.alloc(whole.length, 7));
    // No slot is due again so soon.
    expect(await codeOf(verify(0))).to.equal("OBJECT_CORRUPT");
    expect(await counted()).to.deep.equal([pack]);
    practice.stores.repository.objects.set(pack, whole);
    // The recovery point stays quarantined until it is healed; its slot is read again.
    for (let day = 1; day <= 30; day += 7) await verify(day).catch(() => undefined);
    expect(await counted()).to.deep.equal([]);
  });

  it("a quarantine that cannot be read is one all the same; another finding that cannot be read is none", async () => {
    const { id } = await practice.capture(databaseOf(server));
    practice.stores.repository.objects.set(storeLayout.attestation(id, "verified", "x"), Buffer.from("?"));
    expect(await states()).to.deep.equal(["complete"]);
    practice.stores.repository.objects.set(storeLayout.attestation(id, "quarantined", "x"), Buffer.from("?"));
    expect(await states()).to.deep.equal(["quarantined"]);
  });

  it("a quarantine that is listed and cannot be found is reported, and is one all the same", async () => {
    const { id } = await practice.capture(databaseOf(server));
    const key = storeLayout.attestation(id, "quarantined", "x");
    const { objects } = practice.stores.repository;
    objects.set(key, Buffer.from("?"));
    const whole: ObjectStore = practice.stores.repository;
    const repository: ObjectStore = {
      ...looksOf(whole),
      list: (prefix) => whole.list(prefix),
      checksumOf: (asked) => whole.checksumOf(asked),
      create: (...created) => whole.create(...created),
      get: async (asked, request) => {
        if (asked === key) throw new DrError("OBJECT_NOT_FOUND", `there is no ${key}`);
        return whole.get(asked, request);
      },
    };
    const opened = await OpenRepository.open({ ...practice.stores, repository }, practice.wrap);
    const { entries, unreadable } = await readCatalog(opened);
    expect(entries.map(({ state }) => state)).to.deep.equal(["quarantined"]);
    expect(unreadable).to.deep.equal([key]);
  });
});
