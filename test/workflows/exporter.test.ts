/**
 * The exporter as a command, on a real Qdrant, a real S3 server, a real gate and a real Prometheus: what it serves is what is there, what is gone is
 * told and never made up, it writes nothing, and every query of the alerts and dashboards finds its metrics.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ageIdentities } from "../../runtime/adapters/age-identities.ts";
import { compose } from "../../runtime/composition/compose.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { newId } from "../../runtime/domain/identifier.ts";
import { alertsOf } from "../../runtime/domain/monitoring/alerts.ts";
import { dashboardsOf } from "../../runtime/domain/monitoring/dashboards.ts";
import { metrics } from "../../runtime/domain/monitoring/metrics.ts";
import { recordingsOf } from "../../runtime/domain/monitoring/recordings.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { kubernetesSchema } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { allOf } from "../support/all-of.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { signing, storeOf } from "../support/estates/test-trust.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { FrontProcess } from "../support/servers/front-process.ts";
import { PrometheusServer } from "../support/servers/prometheus-server.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { eventually } from "../support/time/eventually.ts";

type Served = ReadonlyMap<string, number>;

const longestMs = 30_000;

describe("qdrant-dr exporter", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-exporter-"));
  const stops: (() => Promise<unknown>)[] = [];
  let toStore: FaultProxy;
  let server: QdrantServer;
  let east: Region;
  let west: Region;
  let url: string;
  let stopExporter: () => Promise<void>;

  before(async () => {
    const [qdrant, store] = await Promise.all([QdrantServer.start(), SeaweedServer.start()]);
    server = qdrant;
    stops.push(
      () => qdrant.stop(),
      () => store.stop(),
    );
    toStore = await FaultProxy.start(store.endpoint);
    stops.push(() => toStore.stop());
    const { keys } = (await lonelyRegion("west", join(folder, "west"))).outputs;
    const regionOf = async (region: string, peer: string): Promise<Region> => {
      const { endpoint: _, ...outputs } = (await lonelyRegion(region, join(folder, region))).outputs;
      return {
        ...outputs,
        peer,
        keys,
        qdrant: { peers: [server.url], apiKey: server.apiKey },
        repository: { ...(await store.bucket(`${region}-repository`)), endpoint: toStore.url },
      };
    };
    east = await regionOf("east", "west");
    west = await regionOf("west", "east");
    for (const region of [east, west]) await claimEpoch(storeOf(region, "control"), firstEpoch);
    const gate = await FrontProcess.gate(join(folder, "gate"), "west", server, west.control, undefined, {
      JOURNAL: JSON.stringify({
        mode: "async",
        flushMilliseconds: 250,
        bufferBytes: 1_000_000,
        bufferSeconds: 60,
        onStoreDown: "refuse",
        spool: join(folder, "spool"),
        recipients: await Promise.all(
          [await ageIdentities.make(), await ageIdentities.make()].map(ageIdentities.recipientOf),
        ),
      }),
      JOURNAL_STORE: JSON.stringify({ kind: "file", folder }),
      SIGNING_KEY: signing,
    });
    stops.push(() => gate.stop());
    west = { ...west, gate: gate.asGate };
    const client = clientOf(server);
    await client.createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.upsert("notes", { wait: true, points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    // Captured in the east, brought to the west, and verified there.
    await run(["backup", "--stack", "east", "--type", "full"]);
    await run(["backup", "--stack", "east"]);
    await run(["copy", "--from", "east", "--to", "west"]);
    await run(["verify", "--stack", "west"]);
    await run(["restore", "--stack", "west", "--recovery-point", "no-such-point", "--to", server.url], 10);
    ({ stop: stopExporter, url } = await startExporter("west"));
  });

  after(async () => {
    await stopExporter?.();
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach(() => toStore.reset());

  async function depsWith(more: Partial<Deps> = {}): Promise<Deps> {
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    return { ...deps, access: async (stack) => new RegionAccess(stack === "east" ? east : west), ...more };
  }

  async function run(args: readonly string[], wanted = 0): Promise<void> {
    let said = "";
    const output = { out: () => undefined, err: (text: string) => (said += text) };
    expect(await runCheckedCli(args, await depsWith(), output), `${args.join(" ")}: ${said}`).to.equal(wanted);
  }

  async function startExporter(stack: string): Promise<{ url: string; stop: () => Promise<void> }> {
    let interrupt: () => Promise<void> = async () => undefined;
    const serving = Promise.withResolvers<string>();
    const deps = await depsWith({
      progress: ({ detail = "", step }) => (step === "serve" ? serving.resolve(detail) : undefined),
      onInterrupt: (clean) => {
        interrupt = clean;
        return () => undefined;
      },
    });
    const args = ["exporter", "--stack", stack, "--port", "0", "--every", "1"];
    const ended = runCheckedCli(args, deps, { out: () => undefined, err: (text) => serving.reject(new Error(text)) });
    const served = await serving.promise;
    return {
      url: served,
      stop: async () => {
        await interrupt();
        expect(await ended).to.equal(0);
      },
    };
  }

  async function served(from = url): Promise<Served> {
    const answer = await fetch(from);
    expect(answer.status).to.equal(200);
    expect(answer.headers.get("content-type")).to.match(/^text\/plain; version=0\.0\.4/);
    const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
  }

  async function servedOnce(holds: (metrics: Served) => boolean): Promise<Served> {
    let found: Served = new Map();
    const look = async () => {
      found = await served();
      return holds(found) && found;
    };
    return eventually("the metrics", look, { withinMs: longestMs, everyMs: 100 }).catch(() =>
      expect.fail(JSON.stringify([...found], undefined, 1)),
    );
  }

  const up = (found: Served, source: string) => found.get(`qdrant_dr_source_up{region="west",source="${source}"}`);
  const sources = ["control", "repository", "qdrant", "gate", "peer_control"];
  const allUp = (found: Served) => sources.every((source) => up(found, source) === 1);

  it("tells times of points, runs, role, epoch, gate and readiness as they are", async () => {
    const found = await servedOnce((now) => allUp(now) && now.has('qdrant_dr_readiness_score{region="west"}'));
    const { entries } = await readCatalog(await new RegionAccess(west).repository());
    const timeOf = (type: string) =>
      Date.parse(entries.find(({ recoveryPoint }) => recoveryPoint?.type === type)?.recoveryPoint?.time ?? "");
    const at = (name: string, labels = "") => found.get(`${name}{region="west"${labels}}`);
    for (const type of ["full", "incremental"]) {
      for (const name of ["recovery_point", "recovery_point_exact"]) {
        expect(at(`qdrant_dr_${name}_timestamp_seconds`, `,type="${type}"`)).to.equal(timeOf(type) / 1000);
      }
    }
    expect(at("qdrant_dr_recovery_point_verified_timestamp_seconds")).to.equal(timeOf("incremental") / 1000);
    expect(at("qdrant_dr_restorable_timestamp_seconds")).to.equal(timeOf("incremental") / 1000);
    expect(at("qdrant_dr_recovery_point_missing")).to.equal(0);
    expect(at("qdrant_dr_role", ',role="standby"')).to.equal(1);
    expect(at("qdrant_dr_role", ',role="active"')).to.equal(0);
    expect(found.get('qdrant_dr_role{region="east",role="active"}')).to.equal(1);
    expect(at("qdrant_dr_epoch")).to.equal(1);
    expect(at("qdrant_dr_gate_open")).to.equal(0);
    expect(at("qdrant_dr_journal_refuses_writes"), "it has not begun").to.equal(1);
    expect(at("qdrant_dr_readiness_score")).to.be.within(50, 99);
    expect(at("qdrant_dr_readiness_lost", ',check="recoveryPoint"')).to.equal(0);
    for (const kind of ["copy", "verify"]) {
      expect(at("qdrant_dr_run_exit_code", `,run="${kind}"`)).to.equal(0);
      expect(at("qdrant_dr_run_success_timestamp_seconds", `,run="${kind}"`)).to.be.closeTo(Date.now() / 1000, 100);
    }
    expect(at("qdrant_dr_run_exit_code", ',run="test-restore"')).to.equal(10);
    expect(at("qdrant_dr_run_success_timestamp_seconds", ',run="test-restore"')).to.equal(undefined);
  });

  it("writes nothing, however often it looks", async () => {
    const keys = async () => {
      const { control, repository } = new RegionAccess(west).stores;
      return [...(await allOf(control.list(""))), ...(await allOf(repository.list("")))].map(({ key }) => key).sort();
    };
    const before = await keys();
    const looked = (await served()).get('qdrant_dr_source_answer_timestamp_seconds{region="west",source="repository"}');
    await servedOnce(
      (now) =>
        (now.get('qdrant_dr_source_answer_timestamp_seconds{region="west",source="repository"}') ?? 0) >
        (looked ?? 0) + 2,
    );
    expect(await keys()).to.deep.equal(before);
  });

  it("a new run, a new standby state and a recovery point that was restored are seen", async () => {
    const { entries } = await readCatalog(await new RegionAccess(west).repository());
    const recoveryPoint = entries.at(-1)?.recoveryPoint;
    const asOf = new Date();
    const states = new StandbyRecords(storeOf(west, "control"), newId(asOf));
    await states.hold({
      format: 1,
      at: asOf.toISOString(),
      recoveryPoint: recoveryPoint?.id ?? "",
      region: "east",
      epoch: 1,
      asOf: asOf.toISOString(),
      followedAt: new Date(asOf.getTime() + 1000).toISOString(),
      isExact: false,
      exactAsOf: "2026-01-01T00:00:00.000Z",
      processes: [],
      fingerprints: {},
      collections: [],
    });
    const seconds = asOf.getTime() / 1000;
    const found = await servedOnce((now) => now.get('qdrant_dr_standby_timestamp_seconds{region="west"}') === seconds);
    expect(found.get('qdrant_dr_standby_followed_timestamp_seconds{region="west"}')).to.equal(seconds + 1);
    expect(found.get('qdrant_dr_standby_exact_timestamp_seconds{region="west"}')).to.equal(
      Date.parse("2026-01-01T00:00:00Z") / 1000,
    );
    // Nothing changed since: what the bucket can restore is as new.
    expect(found.get('qdrant_dr_restorable_timestamp_seconds{region="west"}')).to.equal(seconds);
    const before = found.get('qdrant_dr_run_success_timestamp_seconds{region="west",run="verify"}') ?? 0;
    await run(["verify", "--stack", "west"]);
    await servedOnce(
      (now) => (now.get('qdrant_dr_run_success_timestamp_seconds{region="west",run="verify"}') ?? 0) > before,
    );
    const restored = 'qdrant_dr_recovery_point_restored_timestamp_seconds{region="west"}';
    expect(found.get(restored)).to.equal(undefined);
    await run(["restore", "--stack", "west", "--test"]);
    const captured = Date.parse(recoveryPoint?.time ?? "") / 1000;
    await servedOnce((now) => now.get(restored) === captured);
  });

  it("every query of alerts and dashboards runs on Prometheus, and finds its metrics", async () => {
    const alerts = alertsOf({
      region: "west",
      peer: "east",
      namespace: "search",
      hasGate: true,
      objectives: { rpoMinutes: 15 },
      schedules: kubernetesSchema.shape.schedules.parse({}),
      replicate: { everySeconds: 10, tiers: {} },
    });
    const recordings = recordingsOf({ region: "west", objectives: { rpoMinutes: 15 } });
    const prometheus = await PrometheusServer.start([url], [...recordings, ...alerts]);
    try {
      const isRun = ({ health }: { health: string }) => health !== "unknown";
      const isScraped = async () =>
        (await prometheus.query(recordings.map(({ record }) => record).join(" or "))).length > 1 &&
        (await prometheus.rules()).every(isRun);
      await eventually("Prometheus to scrape and to run its rules", isScraped, { withinMs: longestMs, everyMs: 100 });
      for (const { health, lastError, name } of await prometheus.rules())
        expect(health, `${name} ${lastError}`).to.equal("ok");
      const panels = Object.values(dashboardsOf({ rpoMinutes: 15 })).flatMap((json) => JSON.parse(json).panels);
      const queries: string[] = panels
        .flatMap(({ targets }) => targets)
        .map(({ expr }) => expr.replaceAll("$region", "east|west"));
      const empty: string[] = [];
      for (const query of queries) if ((await prometheus.query(query)).length === 0) empty.push(query);
      expect(empty).to.deep.equal([]);
      const selectors = [...queries, ...[...recordings, ...alerts].map(({ expr }) => expr)].flatMap(
        (expr) => expr.match(/(?<![\w:])qdrant_dr_\w+/g) ?? [],
      );
      const found = await prometheus.query('count by (__name__) ({__name__=~"qdrant_dr_.+"})');
      const names = found.map(({ metric }) => metric["__name__"]);
      expect(names).to.include.members([...new Set(selectors)]);
      expect(names, "nothing is served that is not in the table").to.have.members(Object.keys(metrics));
      expect(new Set(selectors), "nothing is in the table that nobody asks for").to.have.keys(Object.keys(metrics));
    } finally {
      await prometheus.stop();
    }
  });

  it("a dead store: it is told, times stay as they were, and a scrape waits for nothing", async () => {
    const before = await servedOnce(allUp);
    toStore.plan = () => "503";
    const found = await servedOnce((now) => up(now, "repository") === 0);
    for (const [name, value] of before) {
      if (/^qdrant_dr_(recovery_point|restorable|run_)/.test(name)) expect(found.get(name), name).to.equal(value);
    }
    expect(up(found, "control")).to.equal(1);
    toStore.reset();
    await servedOnce(allUp);
  });

  it("a Qdrant that hangs is told, and comes back", async () => {
    server.pause();
    const found = await servedOnce((now) => up(now, "qdrant") === 0);
    expect(found.get('qdrant_dr_role{region="west",role="standby"}')).to.equal(1);
    server.resume();
    await servedOnce(allUp);
  });

  it("answers /healthz, and refuses to be told anything", async () => {
    const base = new URL(url).origin;
    expect((await fetch(`${base}/healthz`)).status).to.equal(200);
    expect((await fetch(`${base}/other`)).status).to.equal(404);
    expect((await fetch(url, { method: "POST" })).status).to.equal(405);
  });

  it("its port is taken, or its region is empty: one clear error, and nothing made up", async () => {
    await run(["exporter", "--stack", "west", "--port", new URL(url).port], 4);
    const { stop, url: other } = await startExporter("east");
    const found = await served(other);
    expect([...found.keys()].filter((name) => name.includes("standby_timestamp"))).to.deep.equal([]);
    await stop();
  });
});
