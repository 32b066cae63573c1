/** Keys are rotated, and what was stored before stays readable: with a real Qdrant, in folders and in a bucket. */
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { keysOf } from "../../runtime/domain/recovery-points/recovery-point.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository, type RegionStores } from "../../runtime/repository/repository.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { testRestore } from "../../runtime/workflows/test-restore.ts";
import { planKeyRotation, rotateKeys } from "../../runtime/workflows/trust/rotate-keys.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import {
  copyOf,
  firstEpoch,
  type MemoryStores,
  silently,
  storesWithEpoch,
} from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { signed } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const told = { clock: systemClock, progress: silently, toolVersion: "test" };

describe("rotation of keys", function () {
  this.timeout(120_000);
  const [former, present, offline] = ["former", "present", "offline"] as const;
  const identities: Record<typeof former | typeof present | typeof offline, string> = {
    former: "",
    present: "",
    offline: "",
  };

  before(async () => {
    for (const name of [former, present, offline]) identities[name] = await generateIdentity();
  });

  async function holder(
    operational: typeof former | typeof present,
    ...opensWith: (keyof typeof identities)[]
  ): Promise<KeyWrap> {
    const recipients = await Promise.all([operational, offline].map((name) => identityToRecipient(identities[name])));
    return new AgeKeyWrap({ recipients, identity: opensWith.map((name) => identities[name]).join("\n") });
  }

  describe("with a Qdrant", () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-rotate-"));
    let server: QdrantServer;
    let bucket: SeaweedServer;
    let client: QdrantClient;
    let database: Qdrant;

    before(async () => {
      [server, bucket] = await Promise.all([QdrantServer.start(), SeaweedServer.start()]);
      client = clientOf(server);
      database = databaseOf(server);
      await client.createCollection("notes", { vectors: { size: 4, distance: "Euclid" } });
      const points = Array.from({ length: 500 }, (_, id) => ({ id, vector: [id, 1, 2, id % 7], payload: { id } }));
      await client.upsert("notes", { wait: true, points });
    });

    after(async () => {
      await Promise.all([server?.stop(), bucket?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    });

    const inFolder = async (name: string): Promise<StoreAddress> => {
      await mkdir(join(folder, name));
      return { kind: "file", folder: join(folder, name) };
    };
    for (const [where, addressOf] of [
      ["folders", inFolder],
      ["a bucket", (name: string) => bucket.bucket(name)],
    ] as const) {
      it(`the holders change, and captures make new data keys, in ${where}`, async () => {
        const stores: RegionStores = {
          repository: signed(openStore(await addressOf("repository")), "east", "repository"),
          control: signed(openStore(await addressOf("control")), "east", "control"),
        };
        await claimEpoch(stores.control, firstEpoch);
        const open = async (wrap: KeyWrap) => OpenRepository.open(stores, wrap);
        const capture = async (repository: OpenRepository) => {
          const { readBytes, recoveryPoint } = await captureRecoveryPoint({
            ...{ region: "east", type: "incremental", database, repository, ...told },
          });
          return { readBytes, recoveryPoint: await repository.readRecoveryPoint(recoveryPoint) };
        };
        const change = (id: number) =>
          client.upsert("notes", { wait: true, points: [{ id, vector: [1, 2, 3, 4], payload: { id } }] });

        const before = await OpenRepository.openOrCreate(stores, await holder(former, former));
        const first = await capture(before);

        // Whose recipients are changed reads on with the former identity beside the new one.
        const both = await open(await holder(present, present, former));
        const plan = await planKeyRotation(both, { newDataKeys: false });
        expect(plan).to.deep.include({ held: [], unopened: [], generation: 0 });
        expect(plan.toWrap).to.have.members([before.description.key, ...keysOf(first.recoveryPoint)]);
        const alone = await holder(present, present);
        expect(await codeOf((await open(alone)).readRecoveryPoint(first.recoveryPoint.id)), "before").to.equal(
          "KEY_UNAVAILABLE",
        );
        await rotateKeys(both, plan, systemClock);

        // The new identity alone opens everything, and builds on it.
        await change(1);
        const second = await capture(await open(alone));
        expect(keysOf(second.recoveryPoint)).to.deep.equal(keysOf(first.recoveryPoint));

        const renewing = await open(alone);
        const begins = await planKeyRotation(renewing, { newDataKeys: true });
        expect(begins).to.deep.include({ toWrap: [], begins: { retired: [before.description.key] } });
        expect(await rotateKeys(renewing, begins, systemClock)).to.equal(1);
        await change(2);
        const third = await capture(await open(alone));
        expect(third.readBytes, "the whole collection").to.be.greaterThan(second.readBytes);
        for (const key of keysOf(third.recoveryPoint)) expect(keysOf(first.recoveryPoint)).not.to.include(key);
        await change(3);
        const fourth = await capture(await open(alone));
        expect(keysOf(fourth.recoveryPoint), "one generation has one key").to.deep.equal(keysOf(third.recoveryPoint));
        expect(await planKeyRotation(await open(alone), { newDataKeys: false })).to.deep.include({ toWrap: [] });

        // What the former identity opened, it opens still; nothing since.
        const formerly = await open(await holder(former, former));
        expect((await formerly.readRecoveryPoint(first.recoveryPoint.id)).id).to.equal(first.recoveryPoint.id);
        for (const { recoveryPoint } of [third, fourth]) {
          expect(await codeOf(formerly.readRecoveryPoint(recoveryPoint.id))).to.equal("KEY_UNAVAILABLE");
        }

        const elsewhere = storesWithEpoch();
        const wrap = alone;
        const { copied } = await copyRecoveryPoints(
          await open(alone),
          { stores: elsewhere, wrap },
          silently,
          systemClock,
        );
        expect(copied).to.include(fourth.recoveryPoint.id);
        const [held, rescued] = [await open(alone), await open(await holder(present, offline))];
        const far = await OpenRepository.open(elsewhere, alone);
        for (const [repository, recoveryPoints] of [
          [held, [first, fourth]],
          [rescued, [first, fourth]],
          [far, [fourth]],
        ] as const) {
          const states = (await readCatalog(repository)).entries.map(({ state }) => state);
          expect(states.filter((state) => state !== "complete")).to.deep.equal([]);
          for (const { recoveryPoint } of recoveryPoints) {
            const { collections } = await testRestore({
              ...{ repository, region: "east", recoveryPoint, target: database, ...told },
              runner: { mark: "this run", isDead: () => true },
            });
            expect(collections.map(({ name }) => name)).to.deep.equal(["notes"]);
          }
        }
      });
    }
  });

  it("killed at every call and run again, it is done once, and what was stored opens at each moment", async () => {
    const stores = storesWithEpoch();
    const before = await OpenRepository.openOrCreate(stores, await holder(former, former));
    const id = await makeRecoveryPoint(before, new Date("2026-01-31T12:00:00.000Z"));
    await before.keys.obtain("a".repeat(32), { collection: "notes" }, before.description.key);
    const both = await holder(present, present, former);
    const rotate = async (within: RegionStores) => {
      const repository = await OpenRepository.open(within, both);
      return rotateKeys(repository, await planKeyRotation(repository, { newDataKeys: true }), systemClock);
    };
    let kills = 0;
    for (let killAt = 1; ; killAt += 1) {
      const [at, faults] = [
        { repository: copyOf(stores.repository), control: copyOf(stores.control) },
        new Faults({ killAt }),
      ];
      const wrapped = { repository: faults.wrap(at.repository), control: faults.wrap(at.control) };
      const ended = await codeOf(rotate(wrapped));
      for (const wrap of [await holder(former, former), both, await holder(present, offline)]) {
        expect((await (await OpenRepository.open(at, wrap)).readRecoveryPoint(id)).id).to.equal(id);
      }
      expect(await rotate(at), `killed at ${killAt}`).to.equal(1);
      const alone = await OpenRepository.open(at, await holder(present, present));
      expect((await alone.readRecoveryPoint(id)).id).to.equal(id);
      expect((await alone.keys.key("a".repeat(32))).purpose).to.deep.equal({ collection: "notes" });
      expect(await planKeyRotation(alone, { newDataKeys: true })).to.deep.include({ toWrap: [], unopened: [] });
      if (ended === undefined) break;
      kills += 1;
    }
    expect(kills).to.be.greaterThan(5);
  });

  it("names keys that do not open, wraps the others, and goes on with the offline identity", async () => {
    const stores: MemoryStores = storesWithEpoch();
    const repository = await OpenRepository.openOrCreate(stores, await holder(former, former));
    const strange = await OpenRepository.open(stores, await holder(present, present));
    const plan = await planKeyRotation(strange, { newDataKeys: false });
    expect(plan.unopened.map(({ key }) => key)).to.deep.equal([repository.description.key]);
    expect(plan.toWrap).to.deep.equal([]);
    const rescued = await OpenRepository.open(stores, await holder(present, offline));
    await rotateKeys(rescued, await planKeyRotation(rescued, { newDataKeys: false }), systemClock);
    const opened = await OpenRepository.open(stores, await holder(present, present));
    expect((await opened.sealingKey()).id).to.equal(repository.description.key);
  });
});
