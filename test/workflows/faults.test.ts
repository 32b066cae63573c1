/**
 * Every workflow killed at every call it makes to a store, then run again: nothing half-made looks whole, and the
 * second run completes. Stores are in memory, both Qdrants are real.
 */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { objectsOf } from "../../runtime/domain/recovery-points/catalog.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../runtime/domain/recovery-points/stored-content.ts";
import { DrError } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { StoredPoint, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { readEffectiveRole } from "../../runtime/repository/control/effective-role.ts";
import { readEpochs } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { verifyApplied, wholeRecoveryPoint } from "../../runtime/workflows/apply/verify-applied.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import type { FailoverRequest } from "../../runtime/workflows/failover/request.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { allOf } from "../support/all-of.ts";
import { planAndFailOver } from "../support/estates/change-roles.ts";
import { FakeStacks, FakeTraffic, regionNamed } from "../support/estates/fake-region.ts";
import {
  ageKeys,
  copyOf,
  firstEpoch,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { type FaultPlan, Faults } from "../support/faults/faulty-store.ts";
import { isProof } from "../support/how-many.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

/** A proof tries all of a clean run's calls, the suite this many: the first, the last, and some between. */
const sampled = 9;
const collection = "notes";
const alias = "current-notes";
const told = { clock: systemClock, progress: silently };
const contentPrefixes = [storeLayout.packs, storeLayout.trees, storeLayout.facts];

describe("workflows under faults", function () {
  this.timeout(120_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let wrap: KeyWrap;
  let recovery: KeyWrap;
  let stranger: KeyWrap;
  /** East's stores with a full point of an earlier state. */
  let eastBefore: MemoryStores;
  /** East's stores with a full and an incremental point, and west's with a copy of them; never changed by a test. */
  let east: MemoryStores;
  let west: MemoryStores;
  let written: StoredPoint[];

  before(async () => {
    ({ wrap, recovery, stranger } = await ageKeys());
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    source = databaseOf(sourceServer);
    target = databaseOf(targetServer);
    client = clientOf(sourceServer);
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
    await client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: alias, collection_name: collection } }],
    });
    const stores = storesWithEpoch();
    await write(1, 20);
    await capture(await OpenRepository.openOrCreate(stores, wrap), "full");
    eastBefore = copiesOf(stores);
    await write(21, 30);
    await client.delete(collection, { wait: true, points: [3, 25] });
    await capture(await OpenRepository.openOrCreate(stores, wrap), "incremental");
    east = stores;
    west = storesWithEpoch();
    await copyRecoveryPoints(await OpenRepository.open(east, wrap), { stores: west, wrap }, silently, systemClock);
    written = await contentOf(source);
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  afterEach("an empty target", async () => {
    for (const name of await target.collections()) await target.deleteCollection(name);
  });

  async function write(from: number, to: number): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { tag: `tag ${id % 3}` }, vector: [id, 1, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points });
  }

  function capture(repository: OpenRepository, type: "full" | "incremental") {
    return captureRecoveryPoint({ region: "east", type, database: source, repository, ...told, toolVersion: "test" });
  }

  async function contentOf(database: VectorDatabase): Promise<StoredPoint[]> {
    const points = await database.points(collection, await allOf(database.ids(collection)));
    return points.sort((a, b) => Number(a.id) - Number(b.id));
  }

  /** Every point that is called complete can be read to its last chunk. */
  async function verifyComplete(stores: MemoryStores, region: string): Promise<RecoveryPoint[]> {
    const repository = await OpenRepository.open(copiesOf(stores), wrap);
    const complete = (await readCatalog(repository)).entries.flatMap(({ recoveryPoint, state }) =>
      state === "complete" && recoveryPoint !== undefined ? [recoveryPoint] : [],
    );
    for (const recoveryPoint of complete) await verifyRecoveryPoint(repository, recoveryPoint, { ...told, region });
    return complete;
  }

  async function newestOf(stores: MemoryStores): Promise<{ repository: OpenRepository; recoveryPoint: RecoveryPoint }> {
    const repository = await OpenRepository.open(stores, wrap);
    const recoveryPoint = (await readCatalog(repository)).entries.findLast(
      ({ state }) => state === "complete",
    )?.recoveryPoint;
    if (recoveryPoint === undefined) throw new Error("no complete point");
    return { repository, recoveryPoint };
  }

  function failoverRequest(
    repository: OpenRepository,
    more: Partial<FailoverRequest> & Pick<FailoverRequest, "traffic" | "stacks">,
  ): FailoverRequest {
    return {
      kind: "failover",
      stack: "west",
      region: regionNamed("west"),
      repository,
      database: target,
      lostControl: undefined,
      run: "run-1",
      acceptedDataLossSeconds: 86_400,
      ...told,
      ...more,
    };
  }

  describe("killed at every call to a store, then run again", () => {
    it("capture: what is listed complete verifies, and the second run makes a point", async () => {
      const started = () => copiesOf(eastBefore);
      const run = async (stores: MemoryStores, faults: Faults) =>
        capture(await OpenRepository.openOrCreate(faulty(stores, faults), wrap), "incremental");
      const calls = await countCalls(async (faults) => run(started(), faults));

      for (const killAt of killPoints(calls)) {
        const stores = started();
        expect(await codeOf(run(stores, new Faults({ killAt }))), `killed at call ${killAt}`).to.equal("UNREACHABLE");
        const afterKill = await verifyComplete(stores, "east");
        expect(afterKill.length, `points after the kill at call ${killAt}`).to.be.within(1, 2);

        await run(stores, new Faults());
        expect((await verifyComplete(stores, "east")).length).to.equal(afterKill.length + 1);
      }
    });

    it("the first capture of all: an empty store becomes a repository with one point", async () => {
      const run = async (stores: MemoryStores, faults: Faults) =>
        capture(await OpenRepository.openOrCreate(faulty(stores, faults), wrap), "full");
      const calls = await countCalls(async (faults) => run(storesWithEpoch(), faults));

      for (const killAt of killPoints(calls)) {
        const stores = storesWithEpoch();
        expect(await codeOf(run(stores, new Faults({ killAt }))), `killed at call ${killAt}`).to.equal("UNREACHABLE");

        await run(stores, new Faults());
        expect(await verifyComplete(stores, "east"), `after the kill at call ${killAt}`).to.not.have.lengthOf(0);
      }
    });

    it("capture: a create that fails although it was done leaves nothing that looks whole and is not", async () => {
      const run = async (stores: MemoryStores, faults: Faults) =>
        capture(await OpenRepository.openOrCreate(faulty(stores, faults), wrap), "incremental");
      const clean = new Faults();
      await run(copiesOf(eastBefore), clean);
      const creates = clean.log.flatMap(({ method }, at) => (method === "create" ? [at + 1] : []));
      expect(creates.length).to.be.greaterThan(2);

      for (const call of creates) {
        const stores = copiesOf(eastBefore);
        const faults = new Faults({ at: new Map([[call, "after"]]) });
        expect(await codeOf(run(stores, faults)), `create at call ${call}`).to.equal("UNREACHABLE");
        await verifyComplete(stores, "east");
        await run(stores, new Faults());
        await verifyComplete(stores, "east");
      }
    });

    it("copy: what the destination lists complete verifies there, and the second run brings the rest", async () => {
      const run = async (destination: MemoryStores, faults: Faults) =>
        copyRecoveryPoints(
          await OpenRepository.open(faulty(copiesOf(east), faults), wrap),
          { stores: faulty(destination, faults), wrap },
          silently,
          systemClock,
        );
      const calls = await countCalls(async (faults) => run(storesWithEpoch(), faults));

      for (const killAt of killPoints(calls)) {
        const destination = storesWithEpoch();
        expect(await codeOf(run(destination, new Faults({ killAt }))), `killed at call ${killAt}`).to.equal(
          "UNREACHABLE",
        );
        if (destination.repository.objects.has(storeLayout.repository)) await verifyComplete(destination, "west");

        await run(destination, new Faults());
        expect(await verifyComplete(destination, "west"), `after the kill at call ${killAt}`).to.have.lengthOf(2);
      }
    });

    it("copy: one call that fails, before or after it acted, makes nothing look whole that is not", async () => {
      const run = async (destination: MemoryStores, faults: Faults) =>
        copyRecoveryPoints(
          await OpenRepository.open(faulty(copiesOf(east), faults), wrap),
          { stores: faulty(destination, faults), wrap },
          silently,
          systemClock,
        );
      const calls = await countCalls(async (faults) => run(storesWithEpoch(), faults));

      for (const call of killPoints(calls)) {
        for (const kind of ["before", "after"] as const) {
          const destination = storesWithEpoch();
          const code = await codeOf(run(destination, new Faults({ at: new Map([[call, kind]]) })));
          expect(code, `fails ${kind} call ${call}`).to.equal("UNREACHABLE");
          await run(destination, new Faults());
          expect(await verifyComplete(destination, "west"), `fails ${kind} call ${call}`).to.have.lengthOf(2);
        }
      }
    });

    it("copy: also into a bucket that holds points of its own, where both can be restored", async () => {
      const stores = storesWithEpoch();
      await capture(await OpenRepository.openOrCreate(stores, wrap), "full");
      const own = await verifyComplete(stores, "west");

      const report = await copyRecoveryPoints(
        await OpenRepository.open(east, wrap),
        { stores, wrap },
        silently,
        systemClock,
      );

      expect(report.copied).to.have.lengthOf(2);
      const complete = (await verifyComplete(stores, "west")).map(({ id }) => id);
      expect(complete).to.have.members([...own.map(({ id }) => id), ...report.copied]);
      const again = await copyRecoveryPoints(
        await OpenRepository.open(east, wrap),
        { stores, wrap },
        silently,
        systemClock,
      );
      expect(again).to.deep.include({ copied: [], objects: 0 });
      const repository = await OpenRepository.open(stores, wrap);
      await restoreRecoveryPoint({
        repository,
        recoveryPoint: await repository.readRecoveryPoint(report.copied[0] ?? ""),
        target,
        ...told,
      });
      expect(await contentOf(target)).to.deep.equal(written);
    });

    it("capture and copy: a store that answers slowly and out of order changes nothing but the time", async () => {
      const slow = () =>
        new Faults({ at: new Map(Array.from({ length: 500 }, (_, at) => [at + 1, at % 3 === 0 ? "slow" : "fast"])) });
      const stores = copiesOf(eastBefore);
      const repository = await OpenRepository.open(faulty(stores, slow()), wrap);
      await capture(repository, "incremental");
      const destination = storesWithEpoch();

      const report = await copyRecoveryPoints(
        repository,
        { stores: faulty(destination, slow()), wrap },
        silently,
        systemClock,
      );

      expect(report.copied).to.have.lengthOf(2);
      expect(await verifyComplete(destination, "west")).to.have.lengthOf(2);
    });

    it("restore: the second run throws the half-made collection away and restores every point", async () => {
      const run = async (stores: MemoryStores, faults: Faults) => {
        const { repository, recoveryPoint } = await newestOf(faulty(stores, faults) as unknown as MemoryStores);
        const whole = await wholeRecoveryPoint(repository, recoveryPoint);
        await restoreRecoveryPoint({ repository, recoveryPoint, target, discardUnfinished: true, ...told });
        return verifyApplied({ ...told, repository, target }, whole);
      };
      const calls = await countCalls(async (faults) => run(copiesOf(west), faults));
      await target.deleteCollection(collection);

      for (const killAt of killPoints(calls)) {
        const stores = copiesOf(west);
        expect(await codeOf(run(stores, new Faults({ killAt }))), `killed at call ${killAt}`).to.equal("UNREACHABLE");

        await run(stores, new Faults());
        expect(await contentOf(target), `after the kill at call ${killAt}`).to.deep.equal(written);
        expect(await target.aliases()).to.deep.equal([{ alias, collection }]);
        await target.deleteCollection(collection);
      }
    });

    it("failover: one epoch, every point there, clients led here, the stack active, whoever was killed when", async () => {
      const run = async (
        stores: MemoryStores,
        faults: Faults,
        more: Pick<FailoverRequest, "traffic" | "stacks" | "run">,
      ) => {
        const repository = await OpenRepository.open(faulty(stores, faults), wrap);
        return planAndFailOver(failoverRequest(repository, more));
      };
      const fresh = () => {
        const stores = copiesOf(west);
        return { stores, traffic: new FakeTraffic(), stacks: new FakeStacks(stores.control) };
      };
      const calls = await countCalls(async (faults) => {
        const { stores, ...acts } = fresh();
        await run(stores, faults, { ...acts, run: "run-1" });
      });
      await target.deleteCollection(collection);

      for (const killAt of killPoints(calls)) {
        const { stores, ...acts } = fresh();
        const what = `killed at call ${killAt}`;
        const faults = new Faults({ killAt });
        const code = await codeOf(run(stores, faults, { ...acts, run: "run-1" }));
        // The signs of life are given beside the steps: a kill may only hit one of them, or come after the last step.
        if (code === undefined && faults.calls >= killAt) expect(faults.log.at(-1)?.key, what).to.match(/\/alive\./);
        if (code !== undefined) expect(code, what).to.equal("UNREACHABLE");
        forgetSignsOfLife(stores);

        const report = await run(stores, new Faults(), { ...acts, run: "run-2" });

        expect(report.epoch, what).to.equal(2);
        expect(await readEpochs(stores.control), what).to.have.lengthOf(2);
        expect((await readEffectiveRole("west", stores.control)).role, what).to.equal("active");
        expect(acts.traffic.target, what).to.deep.equal({ region: "west", epoch: 2 });
        expect((await acts.stacks.region()).role, what).to.equal("active");
        expect(await contentOf(target), what).to.deep.equal(written);
        await target.deleteCollection(collection);
      }
    });
  });

  describe("what is not whole or not true", () => {
    it("a recovery point that lacks an object, or is listed in part, never looks complete", async () => {
      const full = (await readCatalog(await OpenRepository.open(west, wrap))).entries;
      expect(full.map(({ state }) => state)).to.deep.equal(["complete", "complete"]);
      const needed = new Map<string, Set<string>>();
      for (const { id, recoveryPoint } of full) needed.set(id, await neededKeys(recoveryPoint as RecoveryPoint));
      for (const prefix of contentPrefixes) {
        const keys = [...west.repository.objects.keys()].filter((key) => key.startsWith(prefix));
        expect(keys, prefix).to.not.be.empty;
        for (const key of keys) {
          const stores = copiesOf(west);
          stores.repository.objects.delete(key);
          const { entries } = await readCatalog(await OpenRepository.open(stores, wrap));
          const complete = entries.filter(({ state }) => state === "complete").map(({ id }) => id);
          expect(complete.length, `without ${key}`).to.be.lessThan(2);
          expect(complete, `without ${key}`).to.deep.equal(
            full.map(({ id }) => id).filter((id) => needed.get(id)?.has(key) === false),
          );
        }
      }
      // What is listed is judged as it is; of what is not, nothing is said.
      const newest = full.at(-1)?.id ?? "";
      const prefix = storeLayout.manifest(newest).slice(0, -`${newest}/manifest`.length);
      for (let to = 0; to < 2; to += 1) {
        const faults = new Faults({ shorten: { prefix, to } });
        const { entries } = await readCatalog(await OpenRepository.open(faulty(west, faults), wrap));
        expect(full).to.deep.include.members([...entries]);
        expect(entries.map(({ id }) => id)).to.not.include(newest);
      }
    });

    it("a listing or a question that fails makes the catalog fail, whichever it is", async () => {
      const asked = [storeLayout.recoveryPoints, controlLayout.epochs].map(
        (prefix) => ({ method: "list", prefix }) as const,
      );
      const questions = [storeLayout.recoveryPoints, ...contentPrefixes, controlLayout.epochs].map(
        (prefix) => ({ method: "get", prefix }) as const,
      );
      for (const refuse of [...asked, ...questions]) {
        const repository = await OpenRepository.open(faulty(west, new Faults({ refuse })), wrap);
        expect(await codeOf(readCatalog(repository)), `${refuse.method} ${refuse.prefix}`).to.equal("UNREACHABLE");
      }
    });

    it("a role is known from every epoch or not at all: short, empty and failing listings of the records", async () => {
      const stores = copiesOf(west);
      const second = { ...firstEpoch, epoch: 2, active: "west", previous: "east", reason: "failover", run: "run-1" };
      stores.control.objects.set(controlLayout.epoch(2), Buffer.from(JSON.stringify(second)));
      const roleSeen = (plan: FaultPlan) => readEffectiveRole("east", new Faults(plan).wrap(stores.control));

      expect((await roleSeen({})).role).to.equal("fenced");
      expect((await roleSeen({ shorten: { prefix: controlLayout.epochs, to: 1 } })).role).to.equal("fenced");
      for (const plan of [
        { shorten: { prefix: controlLayout.epochs, to: 0 } },
        { refuse: { method: "list", prefix: controlLayout.epochs } },
        { refuse: { method: "get", prefix: controlLayout.epoch(2) } },
      ] as const) {
        expect(await codeOf(roleSeen(plan)), JSON.stringify(plan)).to.equal("ROLE_UNKNOWN");
      }
    });

    it("a damaged pack is named by verify, and copy does not pass it on", async () => {
      const stores = copiesOf(east);
      const key = [...stores.repository.objects.keys()].find((candidate) => candidate.startsWith(storeLayout.packs));
      const pack = stores.repository.objects.get(key ?? "");
      if (key === undefined || pack === undefined) throw new Error("there is no pack");
      const damaged = Buffer.from(pack);
      damaged.writeUInt8(damaged.readUInt8(damaged.length >> 1) ^ 1, damaged.length >> 1);
      stores.repository.objects.set(key, damaged);
      const { repository, recoveryPoint } = await oldestOf(stores);

      const refusal = await errorOf(verifyRecoveryPoint(repository, recoveryPoint, { ...told, region: "east" }));
      expect(refusal?.code).to.equal("OBJECT_CORRUPT");
      expect(refusal?.message).to.include(key.split("/").at(-1));

      const destination = storesWithEpoch();
      expect(
        await codeOf(copyRecoveryPoints(repository, { stores: destination, wrap }, silently, systemClock)),
      ).to.equal("OBJECT_CORRUPT");
      expect(destination.repository.objects.has(key)).to.equal(false);
      expect(await verifyComplete(destination, "west")).to.deep.equal([]);
    });

    it("points that a deposed region wrote after the failover are ignored", async () => {
      const stores = copiesOf(east);
      const before = await newestOf(stores);
      const deposed = await OpenRepository.open(copiesOf(stores), wrap);
      const { recoveryPoint: late } = await capture(deposed, "full");
      const manifest = storeLayout.manifest(late);
      for (const [key, bytes] of (deposed.stores.repository as MemoryStores["repository"]).objects) {
        if (!stores.repository.objects.has(key)) stores.repository.objects.set(key, bytes);
      }
      const at = new Date(Date.parse(before.recoveryPoint.time) + 1).toISOString();
      const second = { ...firstEpoch, epoch: 2, active: "west", previous: "east", reason: "failover", run: "r", at };
      stores.control.objects.set(controlLayout.epoch(2), Buffer.from(JSON.stringify(second)));
      expect(stores.repository.objects.has(manifest)).to.equal(true);

      const { entries } = await readCatalog(await OpenRepository.open(stores, wrap));

      expect(entries.find(({ id }) => id === late)?.state).to.equal("deposed");
      expect((await newestOf(stores)).recoveryPoint.id).to.equal(before.recoveryPoint.id);
      expect(await codeOf(capture(await OpenRepository.open(stores, wrap), "full"))).to.equal("ROLE_REFUSES");
    });

    it("the offline recovery identity alone opens everything; a stranger's opens nothing", async () => {
      const stores = copiesOf(west);
      const repository = await OpenRepository.open(stores, recovery);
      const recoveryPoints = (await readCatalog(repository)).entries.map(
        ({ recoveryPoint }) => recoveryPoint as RecoveryPoint,
      );
      expect(recoveryPoints).to.have.lengthOf(2);
      for (const recoveryPoint of recoveryPoints)
        await verifyRecoveryPoint(repository, recoveryPoint, { ...told, region: "west" });

      const unopened = (await readCatalog(await OpenRepository.open(stores, stranger))).entries;

      expect(unopened.map(({ state }) => state)).to.deep.equal(["unreadable", "unreadable"]);
    });
  });

  describe("what must not be done", () => {
    it("a restore onto a live collection is refused and changes nothing, also when an earlier restore was killed", async () => {
      const stores = copiesOf(west);
      const { repository, recoveryPoint } = await newestOf(stores);
      const killed = await OpenRepository.open(faulty(stores, new Faults({ killAt: 10 })), wrap);
      // Who is killed removes nothing.
      const deleteCollection = () => Promise.reject(new DrError("UNREACHABLE", "killed"));
      const reached = Object.assign(databaseOf(targetServer), { deleteCollection });
      expect(
        await codeOf(restoreRecoveryPoint({ repository: killed, recoveryPoint, target: reached, ...told })),
      ).to.equal("UNREACHABLE");
      expect(await codeOf(restoreRecoveryPoint({ repository, recoveryPoint, target, ...told }))).to.equal(
        "TARGET_NOT_EMPTY",
      );
      await restoreRecoveryPoint({ repository, recoveryPoint, target, discardUnfinished: true, ...told });
      const live = clientOf(targetServer);
      const points = [{ id: 999, payload: { tag: "written since" }, vector: [1, 2, 3, 4] }];
      await live.upsert(collection, { wait: true, points });
      const before = await contentOf(target);
      const records = [...stores.control.objects.keys()];

      expect(await codeOf(restoreRecoveryPoint({ repository, recoveryPoint, target, ...told }))).to.equal(
        "TARGET_NOT_EMPTY",
      );

      expect(await contentOf(target)).to.deep.equal(before);
      expect(before.at(-1)?.id).to.equal(999);
      expect([...stores.control.objects.keys()]).to.deep.equal(records);
    });

    it("a failover that may lose more than is accepted is refused, says how much, and changes nothing", async () => {
      const stores = copiesOf(west);
      const keys = [...stores.control.objects.keys()];
      const acts = { traffic: new FakeTraffic(), stacks: new FakeStacks(stores.control) };
      const { repository, recoveryPoint } = await newestOf(stores);
      const clock = clockShowing(() => new Date(Date.parse(recoveryPoint.time) + 120_000));

      const request = failoverRequest(repository, { ...acts, clock, acceptedDataLossSeconds: 119 });
      const refusal = await errorOf(planAndFailOver(request));

      expect(refusal?.code).to.equal("DATA_LOSS_NOT_ACCEPTED");
      expect(refusal?.message).to.match(/\b2 min/);
      expect(refusal?.hint).to.include("--accept-data-loss 420");
      expect([...stores.control.objects.keys()]).to.deep.equal(keys);
      expect(acts.traffic.target).to.deep.equal({ region: "east", epoch: 1 });
      expect(acts.stacks.ups).to.equal(0);
      expect(await target.collections()).to.deep.equal([]);
    });

    it("of two failovers at once one wins; the other gets EPOCH_CONFLICT and has changed nothing", async () => {
      const stores = copiesOf(west);
      const acts = { traffic: new FakeTraffic(), stacks: new FakeStacks(stores.control) };
      const repository = await OpenRepository.open(stores, wrap);

      const outcomes = await Promise.allSettled(
        ["run-1", "run-2"].map((run) => planAndFailOver(failoverRequest(repository, { ...acts, run }))),
      );

      const won = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as DrError] : []));
      expect(won.map(({ epoch }) => epoch)).to.deep.equal([2]);
      expect(lost.map(({ code }) => code)).to.deep.equal(["EPOCH_CONFLICT"]);
      expect(acts.stacks.ups).to.equal(1);
      expect(await contentOf(target)).to.deep.equal(written);
    });

    it("a stack that does not update keeps no client waiting, and the next run finishes it", async () => {
      const stores = copiesOf(west);
      const acts = { traffic: new FakeTraffic(), stacks: new FakeStacks(stores.control) };
      acts.stacks.failures = 1;
      const repository = await OpenRepository.open(stores, wrap);

      expect(await codeOf(planAndFailOver(failoverRequest(repository, acts)))).to.equal("PULUMI_FAILED");
      expect(acts.traffic.target).to.deep.equal({ region: "west", epoch: 2 });
      expect(await contentOf(target)).to.deep.equal(written);

      // A run of its own, after the real silence of the first.
      const report = await planAndFailOver(failoverRequest(repository, { ...acts, run: "run-2" }));
      expect(report.epoch).to.equal(2);
      expect((await acts.stacks.region()).role).to.equal("active");
    });
  });

  async function oldestOf(stores: MemoryStores): Promise<{ repository: OpenRepository; recoveryPoint: RecoveryPoint }> {
    const repository = await OpenRepository.open(stores, wrap);
    const recoveryPoint = (await readCatalog(repository)).entries[0]?.recoveryPoint;
    if (recoveryPoint === undefined) throw new Error("no point");
    return { repository, recoveryPoint };
  }

  async function neededKeys(recoveryPoint: RecoveryPoint): Promise<Set<string>> {
    const repository = await OpenRepository.open(west, wrap);
    const packs = new Map<string, readonly Pack[]>();
    for (const { tree } of recoveryPoint.collections.flatMap(({ shards }) => shards)) {
      packs.set(tree.id, (await repository.readTree(tree.id, treePacksSchema)).packs);
    }
    return new Set(objectsOf(recoveryPoint, packs).keys());
  }

  function copiesOf(stores: MemoryStores): MemoryStores {
    return { repository: copyOf(stores.repository), control: copyOf(stores.control) };
  }

  function faulty(stores: MemoryStores, faults: Faults) {
    return { repository: faults.wrap(stores.repository), control: faults.wrap(stores.control) };
  }

  async function countCalls(run: (faults: Faults) => Promise<unknown>): Promise<number> {
    const faults = new Faults();
    await run(faults);
    expect(faults.calls).to.be.greaterThan(5);
    return faults.calls;
  }

  /** As after a longer silence than the runs wait for. */
  function forgetSignsOfLife(stores: MemoryStores): void {
    for (const key of [...stores.control.objects.keys()])
      if (key.includes("/alive.")) stores.control.objects.delete(key);
  }
});

/** Every sampling begins elsewhere, by the number of calls, so that a longer workflow is tried at other calls too. */
function killPoints(calls: number): number[] {
  const all = Array.from({ length: calls }, (_, at) => at + 1);
  if (isProof) return all;
  const stride = Math.ceil(calls / sampled);
  return all.filter((call) => call === 1 || call === calls || call % stride === calls % stride);
}
