/**
 * Proves by promtool that each alert of a region fires when it should and is silent when it should be, and by amtool that Alertmanager takes
 * the way its alerts are led.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { alertRoute } from "../../components/kubernetes/monitoring/receivers.ts";
import { type AlertSettings, alertsOf } from "../../runtime/domain/monitoring/alerts.ts";
import { kubernetesSchema, type ReceiverSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";

const settings: AlertSettings = {
  region: "dr",
  peer: "prod",
  namespace: "search",
  hasGate: true,
  objectives: { rpoMinutes: 15 },
  schedules: kubernetesSchema.shape.schedules.parse({}),
  replicate: { everySeconds: 10, tiers: {} },
};
const of = 'region="dr"';
const info = `qdrant_dr_exporter_info{${of},version="1"}`;
const up = (source: string) => `qdrant_dr_source_up{${of},source="${source}"}`;
const active = `qdrant_dr_role{${of},role="active"}`;
const epochAt = `qdrant_dr_epoch_timestamp_seconds{${of}}`;
const points = (type: string) => `qdrant_dr_recovery_point_timestamp_seconds{${of},type="${type}"}`;
const missing = `qdrant_dr_recovery_point_missing{${of}}`;
const verified = `qdrant_dr_recovery_point_verified_timestamp_seconds{${of}}`;
const restorable = `qdrant_dr_restorable_timestamp_seconds{${of}}`;
const success = (run: string) => `qdrant_dr_run_success_timestamp_seconds{${of},run="${run}"}`;
const exitCode = `qdrant_dr_run_exit_code{${of},run="verify"}`;
const standby = `qdrant_dr_standby_followed_timestamp_seconds{${of}}`;
const exact = `qdrant_dr_standby_exact_timestamp_seconds{${of}}`;
const score = `qdrant_dr_readiness_score{${of}}`;
const gate = `qdrant_dr_gate_open{${of}}`;

const hours = 3600;
/** When it is looked what fires; promtool's time begins at 0. */
const now = 70 * 60;
type State = Readonly<Record<string, number | undefined>>;

/** A standby that is as it should be, seen at `now`; undefined: there is no such series. */
const well: State = {
  [info]: 1,
  [up("control")]: 1,
  [up("repository")]: 1,
  [up("qdrant")]: 1,
  [up("gate")]: 1,
  [up("peer_control")]: 1,
  [active]: 0,
  [`qdrant_dr_epoch{${of}}`]: 3,
  'qdrant_dr_epoch{region="prod"}': 3,
  [epochAt]: now - 400 * hours,
  [gate]: 0,
  [restorable]: now - 20,
  [points("full")]: now - 20 * hours,
  [points("incremental")]: now - 3 * hours,
  [verified]: now - 20 * hours,
  [missing]: 0,
  [success("copy")]: now - 3 * hours,
  [success("test-restore")]: now - 100 * hours,
  [exitCode]: 0,
  [standby]: now - 20,
  [exact]: now - 60,
  [score]: 95,
};
const serving: State = {
  ...well,
  [active]: 1,
  [gate]: 1,
  [score]: undefined,
  [standby]: undefined,
  [exact]: undefined,
};

/** By alert: states in which it is the one that fires. */
const firing: Readonly<Record<string, readonly State[]>> = {
  ExporterGone: [Object.fromEntries(Object.keys(well).map((name) => [name, undefined]))],
  StoreDown: [
    { ...well, [up("control")]: 0, [active]: undefined, [epochAt]: undefined, [`qdrant_dr_epoch{${of}}`]: undefined },
    { ...well, [up("repository")]: 0 },
  ],
  QdrantDown: [{ ...well, [up("qdrant")]: 0 }],
  GateDown: [{ ...well, [up("gate")]: 0, [gate]: undefined }],
  GateClosed: [{ ...serving, [gate]: 0 }],
  GateOpenElsewhere: [{ ...well, [gate]: 1 }],
  NothingRestorable: [{ ...well, [restorable]: undefined }],
  RpoMissed: [
    { ...well, [restorable]: now - 16 * 60 },
    // Stores that are gone make nothing young: the last time that was seen stays.
    { ...well, [restorable]: now - 5 * hours },
  ],
  CaptureOverdue: [{ ...serving, [points("full")]: now - 20 * hours, [points("incremental")]: now - 6 * hours }],
  RecoveryPointPartial: [{ ...serving, [missing]: 2 }],
  FullCaptureOverdue: [
    { ...serving, [points("full")]: now - 27 * hours },
    { ...serving, [points("full")]: undefined },
  ],
  VerificationOverdue: [
    { ...well, [verified]: now - 40 * hours },
    { ...well, [verified]: undefined },
  ],
  RepositoryUnread: [{ ...well, [`qdrant_dr_repository_read_timestamp_seconds{${of}}`]: now - 32 * 24 * hours }],
  ObjectsDamaged: [{ ...well, [`qdrant_dr_repository_damaged_objects{${of}}`]: 2 }],
  TestRestoreOverdue: [
    { ...well, [success("test-restore")]: now - 180 * hours },
    { ...well, [success("test-restore")]: undefined },
  ],
  RunFailed: [{ ...well, [exitCode]: 12 }],
  PeerStoreDown: [{ ...well, [up("peer_control")]: 0, 'qdrant_dr_epoch{region="prod"}': undefined }],
  EpochsDiffer: [{ ...well, 'qdrant_dr_epoch{region="prod"}': 4 }],
  CopyOverdue: [
    { ...well, [success("copy")]: now - 7 * hours },
    { ...well, [success("copy")]: undefined },
  ],
  CannotTakeOver: [{ ...well, [score]: 0 }],
  NotReady: [{ ...well, [score]: 79 }],
  StandbyBehind: [
    { ...well, [standby]: now - 400 },
    { ...well, [standby]: undefined },
  ],
  StandbyNotExact: [
    { ...well, [exact]: now - hours },
    { ...well, [exact]: undefined },
  ],
};

/** States in which nothing fires though something is unusual. */
const quiet: readonly State[] = [
  well,
  serving,
  // A region that became active an hour ago owes no full capture of its own yet.
  { ...serving, [epochAt]: now - hours, [points("full")]: now - 30 * hours, [points("incremental")]: now - 6 * hours },
  // The active region's bucket holds what the schedule gives: its objective is the standby's affair.
  { ...serving, [restorable]: now - 4 * hours },
  { ...serving, [success("copy")]: undefined },
  // A region that is new.
  {
    ...serving,
    [epochAt]: now - 600,
    [points("full")]: undefined,
    [points("incremental")]: undefined,
    [verified]: undefined,
    [success("test-restore")]: undefined,
    [restorable]: now - 600,
  },
];

describe("alerts of a region", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-alerts-"));
  const alerts = alertsOf(settings);
  const names = alerts.map(({ alert }) => alert);
  before(() => {
    // JSON is YAML too.
    writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "dr", rules: alerts }] }));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("are rules that Prometheus takes", () => {
    const said = run("promtool", ["check", "rules", "rules.yml"]);
    expect(said).to.contain(`SUCCESS: ${names.length} rules found`);
  });

  it("say what is wrong and what to do, and where it is", () => {
    expect(names.map((name) => name.replace("QdrantDr", "")).sort()).to.deep.equal(Object.keys(firing).sort());
    for (const { annotations, labels } of alerts) {
      expect(labels).to.include({ region: "dr", namespace: "search" });
      expect(labels["severity"]).to.be.oneOf(["critical", "warning"]);
      for (const text of Object.values(annotations)) expect(text).to.match(/^.{10,}$/);
    }
  });

  it("each fires when it should, alone, and none when all is well", () => {
    const cases = [
      ...Object.entries(firing).flatMap(([name, states]) => states.map((state) => ({ state, fires: [name] }))),
      ...quiet.map((state) => ({ state, fires: [] })),
    ];
    const tests = cases.map(({ fires, state }) => testOf(state, fires));
    const file = { rule_files: ["rules.yml"], evaluation_interval: "1m", tests };
    writeFileSync(join(folder, "tests.yml"), JSON.stringify(file));
    expect(run("promtool", ["test", "rules", "tests.yml"])).to.contain("SUCCESS");
  });

  it("without another region nothing is asked of it, and without replication no standby", () => {
    const without = (given: Partial<AlertSettings>) => {
      const left = alertsOf({ ...settings, ...given }).map(({ alert }) => alert);
      return names.filter((name) => !left.includes(name)).map((name) => name.replace("QdrantDr", ""));
    };
    const standby = ["StandbyBehind", "StandbyNotExact"];
    expect(without({ replicate: undefined })).to.have.members(standby);
    const peer = ["PeerStoreDown", "EpochsDiffer", "CopyOverdue", "CannotTakeOver", "NotReady"];
    expect(without({ peer: undefined })).to.have.members([...peer, ...standby]);
  });

  it("are led to one receiver, as Alertmanager reads it", () => {
    const secret = { name: "alerts", key: "address" };
    const receivers: ReceiverSettings[] = [
      { kind: "webhook", secret },
      { kind: "slack", secret, channel: "#search" },
      { kind: "pagerduty", secret },
    ];
    for (const receiver of receivers) {
      const read = asAlertmanagerReads(alertRoute("dr", receiver)) as { route: object; receivers: object[] };
      const config = {
        route: { receiver: "others", routes: [read.route] },
        receivers: [{ name: "others" }, ...read.receivers],
      };
      writeFileSync(join(folder, "alertmanager.yml"), JSON.stringify(config));
      expect(run("amtool", ["check-config", "alertmanager.yml"])).to.contain("SUCCESS");
      const args = ["config", "routes", "test", "--config.file=alertmanager.yml", "alertname=QdrantDrRpoMissed"];
      expect(run("amtool", [...args, "region=dr"]).trim()).to.equal("qdrant-dr");
      expect(run("amtool", [...args, "region=prod"]).trim()).to.equal("others");
    }
  });

  function run(program: string, args: string[]): string {
    try {
      return execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      const { stderr, stdout } = error as { stderr: string; stdout: string };
      throw new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}`);
    }
  }

  /** Up to `now` everything is as old as it is then, so that whatever has to last has lasted. */
  function testOf(state: State, fires: readonly string[]) {
    const rows = Object.entries(state).flatMap(([series, value]) => (value === undefined ? [] : [{ series, value }]));
    const isTime = (series: string) => /_timestamp_seconds\{/.test(series);
    return {
      name: `fires: ${fires.join(", ")}`,
      interval: "1m",
      input_series: rows.map(({ series, value }) => ({
        series,
        values: isTime(series) ? `${value - now}+60x${now / 60}` : `${value}x${now / 60}`,
      })),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: `${now}s`,
          exp_samples: fires.map((name) => ({ labels: `{alertname="QdrantDr${name}"}`, value: 1 })),
        },
      ],
    };
  }
});

/** As the operator writes it for Alertmanager, with addresses in the place of Secrets. */
function asAlertmanagerReads(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asAlertmanagerReads);
  if (typeof value !== "object" || value === null) return value;
  const given = value as Record<string, unknown>;
  if ("matchType" in given) return `${given["name"]}${given["matchType"]}"${given["value"]}"`;
  if ("key" in given) return "http://127.0.0.1/told";
  return Object.fromEntries(
    Object.entries(given).map(([name, inner]) => [
      name
        .replace("apiURL", "apiUrl")
        .replace("urlSecret", "url")
        .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      asAlertmanagerReads(inner),
    ]),
  );
}
