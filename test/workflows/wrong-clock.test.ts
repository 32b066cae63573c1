/** Captures by clocks that are wrong, of a real Qdrant: what is restored, promised and counted as new rests on none of them alone. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { assessReadiness } from "../../runtime/domain/health/readiness.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { NewestRecoveryPointsReader } from "../../runtime/repository/catalog/newest-recovery-points.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { planFailover } from "../../runtime/workflows/failover/plan-failover.ts";
import { findRecoveryPoint } from "../../runtime/workflows/find-recovery-point.ts";
import { gatherReadiness } from "../../runtime/workflows/status/gather-readiness.ts";
import { findNewestRecoveryPoint, patience } from "../../runtime/workflows/status/observed-region.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { ageKeys, firstEpoch, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { UntimedStore } from "../support/servers/memory-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const minutes = (count: number): Clock => clockShowing(() => new Date(Date.now() + count * 60_000));
const day = 24 * 60;

describe("a capture by a wrong clock", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let database: Qdrant;
  let wrap: KeyWrap;
  let folder: string;
  let repository: OpenRepository;

  before(async () => {
    ({ wrap } = await ageKeys());
    server = await QdrantServer.start();
    database = databaseOf(server);
  });
  after(() => server?.stop());

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "qdrant-dr-clocks-"));
  });
  afterEach(async () => {
    await emptied(database);
    rmSync(folder, { recursive: true, force: true });
  });

  /** @param tells whether the store says when an object was stored. */
  async function open(tells: boolean): Promise<void> {
    const store = (): ObjectStore => (tells ? new FileStore(mkdtempSync(join(folder, "store-"))) : new UntimedStore());
    const stores = { repository: store(), control: store() };
    await claimEpoch(stores.control, firstEpoch);
    repository = await OpenRepository.openOrCreate(stores, wrap);
  }

  async function capture(clock: Clock, collection: string, said: string[] = []): Promise<string> {
    await clientOf(server).createCollection(collection, {
      vectors: { size: 2, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    const progress = ({ detail = "" }) => void said.push(detail);
    const told = { clock, progress, toolVersion: "test" };
    const request = { region: "east", type: "incremental", database, repository, ...told } as const;
    return (await captureRecoveryPoint(request)).recoveryPoint;
  }

  const find = (wanted: string, said: string[] = []) => {
    const progress = ({ detail = "" }) => void said.push(detail);
    return findRecoveryPoint(repository, wanted, {}, { clock: systemClock, progress });
  };
  const plan = (clock: Clock) => planFailover({ region: regionNamed("west"), repository, clock });
  const observed = () => ({
    region: "west",
    stores: repository.stores,
    database,
    publicDatabase: undefined,
    gate: undefined,
    declared: {},
    repository: async () => repository,
    traffic: () => expect.fail("there is none"),
  });

  async function readinessOf(clock: Clock) {
    const found = await findNewestRecoveryPoint(observed(), clock, patience);
    const objectives = { rtoMinutes: 30, rpoMinutes: 15 };
    const backend = { notAsked: "" };
    const facts = await gatherReadiness({
      region: observed(),
      found,
      objectives,
      otherEpoch: 1,
      backend,
      clock,
      patience,
    });
    return assessReadiness(facts).checks.find(({ name }) => name === "recoveryPoint");
  }

  for (const tells of [true, false]) {
    const where = tells ? "in a store that says when things were stored" : "in a store that does not";
    it(`a day ahead is followed by what was captured later, ${where}`, async () => {
      await open(tells);
      const before = await capture(minutes(-30), "before");
      const ahead = await capture(minutes(day), "ahead");
      // The first thing that a right clock captures, and one that is behind even what was first.
      const after = await capture(systemClock, "after");
      const behind = await capture(minutes(-60), "behind");

      expect([before, ahead, after, behind]).to.deep.equal([before, ahead, after, behind].sort());
      const latest = await find("latest");
      expect(latest.collections.map(({ name }) => name)).to.deep.equal(["after", "ahead", "before", "behind"]);
      expect((await plan(systemClock)).serveFrom.recoveryPoint.id).to.equal(behind);
      expect((await find(new Date(Date.now() + 60_000).toISOString())).id).to.equal(behind);
      const reader = new NewestRecoveryPointsReader(repository, "west");
      expect((await reader.read(new Date())).newest?.id).to.equal(behind);
    });

    it(`a day ahead is told, and counts as no newer than can be believed, ${where}`, async () => {
      await open(tells);
      await capture(minutes(-30), "before");
      const ahead = await capture(minutes(day), "ahead");

      // Its data are the newest all the same.
      const said: string[] = [];
      expect((await find("latest", said)).id).to.equal(ahead);
      expect(said.join()).to.match(/24 h ahead of the clock here/);
      const { dataLossSeconds, dataLossSecondsOf, serveFrom } = (await plan(minutes(20))) as Extract<
        Awaited<ReturnType<typeof plan>>,
        { kind: "failover" }
      >;
      expect(serveFrom.recoveryPoint.id).to.equal(ahead);
      // From when it was stored, or from the last time that can be believed.
      const least = (tells ? 20 : 50) * 60 - 30;
      expect(dataLossSeconds).to.be.within(least, least + 90);
      expect(dataLossSecondsOf["ahead"]).to.be.within(least, least + 90);
      expect(serveFrom.doubt).to.match(tells ? /ahead of the clock/ : /ahead of the clock here/);
      const check = await readinessOf(minutes(20));
      expect(check).to.include({ state: "poor", detail: serveFrom.doubt });
      const { byType, newest } = await new NewestRecoveryPointsReader(repository, "west").read(minutes(20).now());
      expect(newest).to.include({ id: ahead, doubt: serveFrom.doubt });
      expect(byType.incremental?.recoveryPoint.id === ahead, "as the newest by its time").to.equal(tells);
    });
  }

  it("is told at once, by the clock of Qdrant", async () => {
    await open(false);
    for (const [by, difference] of [
      [day, "24 h ahead of"],
      [-day, "24 h behind"],
    ] as const) {
      const said: string[] = [];
      await capture(minutes(by), difference.replaceAll(" ", "-"), said);
      expect(said.join("\n")).to.contain(`the clock here is ${difference} Qdrant's`);
    }
    const said: string[] = [];
    await capture(systemClock, "right", said);
    expect(said.join("\n")).not.to.contain("clock");
  });

  it("is the reader's, when all recovery points are of a time ahead: nothing is promised", async () => {
    await open(false);
    await capture(systemClock, "notes");
    const planned = await plan(minutes(-day));
    expect(planned.kind === "failover" && planned.dataLossSeconds).to.be.greaterThan(1e9);
    expect((await readinessOf(minutes(-day)))?.state).to.equal("poor");
  });
});
