/**
 * Objects that nobody can read, at the key of every kind of record: each is named and not obeyed, and captures, listings,
 * restores and the state of the region go on without it. A real Qdrant, stores in memory.
 */

import { expect } from "chai";
import { newId } from "../../runtime/domain/identifier.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { controlLayout, dayOf, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { DrError } from "../../runtime/errors.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { CaptureSession } from "../../runtime/repository/catalog/capture-session.ts";
import { CapturedChain, type CapturedRecord } from "../../runtime/repository/catalog/captured-records.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { readEpochs } from "../../runtime/repository/control/epochs.ts";
import { FailoverRecords } from "../../runtime/repository/control/failover-records.ts";
import { Lease } from "../../runtime/repository/control/lease.ts";
import { recordRun } from "../../runtime/repository/control/run-records.ts";
import {
  readStandbyKnowledge,
  StandbyRecords,
  type StandbyState,
} from "../../runtime/repository/control/standby-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { diagnoseStore, placesOf } from "../../runtime/workflows/doctor/diagnose-store.ts";
import { Guard } from "../../runtime/workflows/gate/guard.ts";
import { WatchedRuns } from "../../runtime/workflows/monitoring/watched-runs.ts";
import { observeRegion } from "../../runtime/workflows/status/observe-region.ts";
import {
  findNewestRecoveryPoint,
  type ObservedRegion,
  patience,
} from "../../runtime/workflows/status/observed-region.ts";
import { firstEpoch, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const garbage = Buffer.from("?");
const protection = async () => ({ keepsVersions: false, lockedDays: 0 });
const secondEpoch: EpochRecord = { ...firstEpoch, epoch: 2, reason: "aborted", at: "2026-01-02T00:00:00.000Z" };
const old = newId(new Date(Date.now() - 20 * 60_000));
const late = newId(new Date(Date.now() - 60_000));

describe("records that cannot be read", function () {
  this.timeout(120_000);
  let server: QdrantServer;
  let target: QdrantServer;
  let practice: RecoveryPractice;
  let repository: OpenRepository;
  let told: string[];
  let recoveryPoints: RecoveryPoint[];

  before(async () => {
    [server, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    await clientOf(server).createCollection("notes", {
      vectors: { size: 2, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
    practice.stores.control.objects.set(controlLayout.epoch(2), Buffer.from(JSON.stringify(secondEpoch)));
    repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
    told = [];
    await emptied(databaseOf(target));
    recoveryPoints = [await captured(), await captured(), await captured()];
    told = [];
  });

  after(async () => {
    await Promise.all([server?.stop(), target?.stop()]);
  });

  const progress = ({ detail, step }: ProgressEvent) => void told.push(`${step} ${detail}`);
  const control = () => practice.stores.control;

  let written = 0;
  /** With a new point each time, so that there is something to store. */
  async function captured(): Promise<RecoveryPoint> {
    written += 1;
    await clientOf(server).upsert("notes", { wait: true, points: [{ id: written, vector: [written, 1] }] });
    const { recoveryPoint } = await captureRecoveryPoint({
      region: "east",
      type: "incremental",
      database: databaseOf(server),
      repository,
      clock: systemClock,
      progress,
      toolVersion: "test",
    });
    return repository.readRecoveryPoint(recoveryPoint);
  }

  /** Where one stands that cannot be read, and who names it. */
  const places: readonly (readonly [
    what: string,
    store: "repository" | "control",
    key: (recoveryPoints: readonly RecoveryPoint[]) => string,
    named: { readonly by: readonly ("capture" | "listing" | "status" | "restore")[] },
  ])[] = [
    ["epoch that is not the newest", "control", () => controlLayout.epoch(1), { by: ["capture", "listing", "status"] }],
    ["restore that began", "control", () => controlLayout.restore(late), { by: ["capture", "status", "restore"] }],
    ["restore that ended", "control", () => controlLayout.restoreDone(old), { by: ["status"] }],
    ["snapshot that was left", "control", () => controlLayout.snapshot(old, "making"), { by: ["capture"] }],
    [
      "state of a standby",
      "control",
      () => controlLayout.standbyState(new Date(Date.now() - 60_000), "held", late),
      { by: ["status"] },
    ],
    ["plan of a capture", "repository", () => storeLayout.capturePlan("night"), { by: ["capture"] }],
    ["part of a capture", "repository", () => storeLayout.capturePart("night", 0), { by: [] }],
    [
      "manifest",
      "repository",
      ([, , newest]) => storeLayout.manifest(newest?.id ?? ""),
      { by: ["capture", "listing"] },
    ],
    [
      "finding about a point",
      "repository",
      ([first]) => storeLayout.attestation(first?.id ?? "", "verified", old),
      { by: ["listing"] },
    ],
    [
      "tree",
      "repository",
      ([, , newest]) => storeLayout.tree(newest?.collections[0]?.shards[0]?.tree.id ?? ""),
      { by: ["listing"] },
    ],
    ["run", "control", () => controlLayout.run(new Date(), late, "full"), { by: [] }],
    ["turn of a standby", "control", () => controlLayout.standbyTurn(1), { by: [] }],
    ["step of a failover", "control", () => controlLayout.failoverStep(2, "copy", "started", "x"), { by: [] }],
  ];
  for (const [what, store, place, named] of places) {
    it(`${what}: captures, listing, status and restores go on, and it is named`, async () => {
      const key = place(recoveryPoints);
      practice.stores[store].objects.set(key, garbage);
      const next = await captured();
      const saidBy = { capture: told.join("\n"), listing: "", status: "", restore: "" };
      const { entries, unreadable } = await readCatalog(repository);
      const reasons = entries.flatMap((entry) => [entry.id, ...entry.reasons]);
      saidBy.listing = [...reasons, ...unreadable].join("\n");
      expect(entries.find(({ id }) => id === next.id)?.state).to.equal("complete");
      expect(entries.find(({ id }) => id === recoveryPoints[1]?.id)?.state).to.equal("complete");
      saidBy.status = (await status()).join("\n");
      told = [];
      const request = { repository, recoveryPoint: next, target: databaseOf(target), clock: systemClock, progress };
      await restoreRecoveryPoint({ ...request, targetName: "elsewhere" });
      saidBy.restore = told.join("\n");
      expect(await contentOf(databaseOf(target), "notes")).to.deep.equal(await contentOf(databaseOf(server), "notes"));
      for (const one of named.by) expect(saidBy[one], one).to.contain(key);
    });
  }

  /** What it says is wrong; that it knows the role and the newest point is asserted. */
  async function status(): Promise<readonly string[]> {
    const observed: ObservedRegion = {
      region: "east",
      stores: practice.stores,
      database: databaseOf(server),
      publicDatabase: undefined,
      gate: undefined,
      declared: {},
      repository: async () => repository,
      traffic: () => {
        throw new Error("there is no public name");
      },
    };
    const found = findNewestRecoveryPoint(observed, systemClock, patience);
    const { newestRecoveryPoint, problems, role } = await observeRegion(observed, found, systemClock, patience);
    expect(role).to.equal("active");
    expect(newestRecoveryPoint?.id).to.be.a("string");
    return problems;
  }

  it("names that are not ours, which nobody may read, are ignored: captures, listing, status, restores and a gate that starts", async () => {
    const left = [".DS_Store", "", "Thumbs.db", "._0000000002.json", "0000000003.json~", "0000000003 (copy).json"];
    const folders = [
      "epochs",
      "restores",
      "snapshots",
      "standby/states",
      "failovers",
      "runs",
      "packs",
      "trees",
      "sessions",
    ];
    const foreign = [
      ...[...folders, "recovery-points", `runs/${dayOf(new Date())}`].flatMap((folder) =>
        left.map((name) => `${folder}/${name}`),
      ),
      ...["restores/._a.started.json", "snapshots/._a.making.json", "lost+found/a", "notes.txt"],
    ];
    for (const store of Object.values(practice.stores)) {
      for (const key of foreign) store.objects.set(key, garbage);
      const get = store.get.bind(store);
      store.get = async (key: string, range?: { readonly offset: number; readonly length: number }) => {
        if (foreign.includes(key)) throw new DrError("ACCESS_DENIED", key);
        return get(key, range);
      };
    }
    const before = recoveryPoints.at(-1)?.collections[0]?.shards[0]?.tree.id ?? "";
    const next = await captured();
    expect(told.filter((line) => line.startsWith("ignore"))).to.deep.equal([]);
    const lineageOf = async (tree: string) => (await repository.readTree(tree, shardTreeSchema)).lineage;
    expect(await lineageOf(next.collections[0]?.shards[0]?.tree.id ?? ""), "lineage").to.equal(await lineageOf(before));
    const { entries, unreadable } = await readCatalog(repository);
    expect(entries.map(({ state }) => state)).to.deep.equal(["complete", "complete", "complete", "complete"]);
    expect(unreadable).to.deep.equal([]);
    expect(await status()).to.deep.equal([]);
    const request = { repository, recoveryPoint: next, target: databaseOf(target), clock: systemClock, progress };
    await restoreRecoveryPoint({ ...request, targetName: "elsewhere" });
    const gate = {
      region: "east",
      mode: "availability",
      control: control(),
      lease: undefined,
      carryEpoch: async () => undefined,
    } as const;
    const guard = new Guard({ ...gate, peerControl: undefined, seen: undefined, remember: () => undefined });
    expect(await guard.look()).to.deep.include({ isOpen: true, blind: [] });
    // What this tool writes itself is nobody else's, wherever it stands.
    const own = [
      controlLayout.scheduledBeat("full", 1, 1),
      controlLayout.alert(1),
      controlLayout.prunePart(1, "run", 0),
    ];
    for (const key of own) practice.stores.control.objects.set(key, garbage);
    practice.stores.repository.objects.set(storeLayout.inStream(storeLayout.pack("ab")), garbage);
    const doctor = await diagnoseStore({ places: placesOf(practice.stores), protection });
    expect(doctor.foreign.count).to.equal(2 * foreign.length);
  });

  it("a restore of which nothing can be read makes the next capture trust no version of before", async () => {
    const key = controlLayout.restore(late);
    control().objects.set(key, garbage);
    const { collections } = await captured();
    const { lineage } = await repository.readTree(collections[0]?.shards[0]?.tree.id ?? "", shardTreeSchema);
    expect(lineage).to.contain(key);
  });

  it("a plan of the own session ends it with the way out, and another session goes on", async () => {
    const session = new CaptureSession(repository, "night");
    const sealed = Buffer.concat([Buffer.from("0".repeat(32)), Buffer.alloc(100)]);
    for (const bytes of [garbage, sealed]) {
      practice.stores.repository.objects.set(storeLayout.capturePlan("night"), bytes);
      const error = await errorOf(session.plan());
      expect(error?.code).to.equal("OBJECT_CORRUPT");
      expect(error?.hint).to.contain("another session name");
    }
    expect(await new CaptureSession(repository, "day").plan()).to.equal(undefined);
  });

  it("an epoch that is the newest is believed by nobody, and nothing older in its place", async () => {
    control().objects.set(controlLayout.epoch(3), garbage);
    expect(await codeOf(readEpochs(control()))).to.equal("OBJECT_CORRUPT");
    expect(await codeOf(captured())).to.equal("OBJECT_CORRUPT");
  });

  it("a link of a lease that may be its end lets nobody hold the lease", async () => {
    control().objects.set(controlLayout.leaseLink(2, 1), garbage);
    const lease = new Lease(control(), { region: "east", seconds: 10, clock: new SimulatedClock() });
    expect(await codeOf(lease.renew(2))).to.equal("OBJECT_CORRUPT");
    expect(lease.isHeld(2)).to.equal(false);
  });

  it("a failover whose owner nobody can read is taken over", async () => {
    control().objects.set(controlLayout.failoverOwner(2, 1), garbage);
    const records = new FailoverRecords(control(), 2, "ours", systemClock, { mark: "here", isDead: () => false });
    (await records.takeOver())();
    await records.refuseUnlessOwner();
  });

  it("a state of a standby counts as something that was done to it since the one before", async () => {
    const records = new StandbyRecords(control(), "ours");
    const hourAgo = new Date(Date.now() - 3_600_000);
    const state: StandbyState = {
      format: 1,
      at: hourAgo.toISOString(),
      recoveryPoint: "p",
      region: "east",
      epoch: 2,
      asOf: hourAgo.toISOString(),
      isExact: true,
      processes: [],
      fingerprints: {},
      collections: [],
    };
    await records.hold(state);
    expect(await readStandbyKnowledge(control(), new Date())).to.deep.equal({ held: state, making: [] });
    control().objects.set(controlLayout.standbyState(new Date(), "held", late), garbage);
    const { begunAt, held } = await readStandbyKnowledge(control(), new Date());
    expect(held).to.deep.equal(state);
    expect(Date.parse(begunAt ?? "")).to.be.greaterThan(hourAgo.getTime());
  });

  it("what was begun in a later hour than the newest state is not forgotten", async () => {
    const records = new StandbyRecords(control(), "ours");
    const [held, begun] = [new Date("2026-03-01T10:59:00.000Z"), new Date("2026-03-01T11:01:00.000Z")];
    await records.hold({
      format: 1,
      at: held.toISOString(),
      recoveryPoint: "p",
      region: "east",
      epoch: 2,
      asOf: held.toISOString(),
      isExact: true,
      processes: [],
      fingerprints: {},
      collections: [],
    });
    await records.begin(begun, []);
    expect((await readStandbyKnowledge(control(), new Date("2026-03-01T11:02:00.000Z"))).begunAt).to.equal(
      begun.toISOString(),
    );
  });

  it("a captured state in the chain is passed over, by who tells and by who hears", async () => {
    const record = (n: number): CapturedRecord => ({
      format: 1,
      run: "ours",
      at: `2026-01-01T00:00:0${n}.000Z`,
      recoveryPoint: `p${n}`,
      isChanged: true,
      asOf: "2026-01-01T00:00:00.000Z",
      fullAt: "2026-01-01T00:00:00.000Z",
      readBytes: 0,
      storedBytes: 0,
      seconds: 0,
    });
    const [telling, hearing] = [await CapturedChain.open(control(), 2), await CapturedChain.open(control(), 2)];
    await telling.publish(control(), record(1));
    control().objects.set(controlLayout.standbyCapture(2, 2), garbage);
    expect((await (await CapturedChain.open(control(), 2)).newest())?.recoveryPoint).to.equal("p1");
    await telling.publish(control(), record(3));
    expect(control().objects.has(controlLayout.standbyCapture(2, 3))).to.equal(true);
    expect((await hearing.newer())?.recoveryPoint).to.equal("p3");
  });

  it("the record of a run is named once, and the other runs are told", async () => {
    const at = new Date().toISOString();
    await recordRun(control(), {
      run: "full",
      region: "east",
      startedAt: at,
      finishedAt: at,
      exitCode: 0,
      toolVersion: "test",
    });
    const key = controlLayout.run(new Date(), late, "verify");
    control().objects.set(key, garbage);
    const named: string[] = [];
    const runs = new WatchedRuns(control(), systemClock, (each) => named.push(each));
    await runs.read();
    expect((await runs.read()).full?.succeededAt).to.equal(at);
    expect(named).to.deep.equal([key]);
  });
});
