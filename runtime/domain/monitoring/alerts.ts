/** The alerts of a region. Thresholds follow from the objectives and the schedules; each alert says what to do. */
import { longestGapMinutes, type RunSchedules, type ScheduledRun, scheduledRuns } from "../settings/schedule.ts";
import { type Replicate, Tiers } from "../settings/tiers.ts";
import { series } from "./query.ts";

export interface AlertSettings {
  readonly region: string;
  /** Absent when there is none, or until its outputs are known here. */
  readonly peer: string | undefined;
  /** There is no other region, and so nothing that could take over. */
  readonly isAlone?: boolean;
  /** The namespace of its jobs in a cluster; absent where they are processes of a machine. */
  readonly namespace?: string | undefined;
  readonly hasGate: boolean;
  readonly objectives: { readonly rpoMinutes: number };
  /** What has none is never late. */
  readonly schedules: RunSchedules;
  readonly replicate: Pick<Replicate, "everySeconds" | "tiers"> | undefined;
  /** Address of the folder with the runbooks. */
  readonly runbooks?: string | undefined;
}

/** Where this repository has them. */
const runbooksFolder = "docs/operations/runbooks";

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    /** The first things to do. */
    readonly runbook: string;
    /** Where the whole of it is. */
    readonly runbook_url: string;
  };
}

interface AlertRule {
  readonly expr: string;
  readonly for: string;
  readonly severity: "critical" | "warning";
  readonly summary: string;
  readonly description: string;
  /** The first things to do. */
  readonly runbook: string;
}

const minute = 60;
const hour = 60 * minute;
/** A run may take so long after its time before it counts as missed. */
const slack: Readonly<Record<ScheduledRun, number>> = {
  full: 2 * hour,
  incremental: hour,
  copy: 2 * hour,
  verify: 4 * hour,
  testRestore: 8 * hour,
};

/** The longest time between two runs of each, in seconds; of those that a schedule makes. */
type Gaps = Partial<Readonly<Record<ScheduledRun, number>>>;

export function alertsOf(settings: AlertSettings): Alert[] {
  const gaps: Gaps = Object.fromEntries(
    scheduledRuns.flatMap((run) => {
      const schedule = settings.schedules[run];
      return schedule === undefined ? [] : [[run, longestGapMinutes(schedule) * minute]];
    }),
  );
  const rules: AlertRules = {
    ...alertsOfSources(settings),
    ...(settings.hasGate ? alertsOfGate(settings) : {}),
    ...alertsOfRecoveryPoints(settings),
    ...alertsOfSchedules(settings, gaps),
    ...(settings.peer === undefined ? {} : alertsOfPair(settings, gaps, settings.peer)),
  };
  const runbooks = `${(settings.runbooks ?? runbooksFolder).replace(/\/$/, "")}/alerts.md`;
  const labels = {
    // What is absent has no labels of its own.
    region: settings.region,
    // By it the operator leads alerts to a receiver.
    ...(settings.namespace === undefined ? {} : { namespace: settings.namespace }),
  };
  return Object.entries(rules).flatMap(([name, rule]) => {
    if (rule === undefined) return [];
    const { description, expr, runbook, severity, summary } = rule;
    const runbook_url = `${runbooks}#${`QdrantDr${name}`.toLowerCase()}`;
    return {
      alert: `QdrantDr${name}`,
      expr,
      for: rule.for,
      labels: { severity, ...labels },
      annotations: { summary, description, runbook, runbook_url },
    };
  });
}

type AlertRules = Readonly<Record<string, AlertRule | undefined>>;

/** Whether what the exporter asks answers, and whether anybody asks. */
function alertsOfSources({ namespace, peer, region }: AlertSettings): AlertRules {
  const exporter = namespace === undefined ? "`qdrant-dr serve` or `qdrant-dr exporter`" : "the pod qdrant-dr-exporter";
  const next =
    peer === undefined
      ? "bring it back, or restore into another one with `qdrant-dr restore --to`."
      : "then `qdrant-dr failover plan` in the other one.";
  return {
    ExporterGone: {
      expr: `absent(${series("qdrant_dr_exporter_info", { region })})`,
      for: "5m",
      severity: "critical",
      summary: `Nothing is known of ${region}: its exporter is not scraped`,
      description: "No other alert of this region can be trusted to fire.",
      runbook: `Look at ${exporter} and at the targets of Prometheus; \`qdrant-dr status\` asks the region directly.`,
    },
    StoreDown: {
      expr: `${series("qdrant_dr_source_up", { region, source: "~control|repository" })} == 0`,
      for: "5m",
      severity: "critical",
      summary: `A store of ${region} does not answer`,
      description: "The {{ $labels.source }} store cannot be read: nothing can be captured to it or restored from it.",
      runbook:
        "Check the store, its credentials and what the exporter may do there; `qdrant-dr recovery-points list` says what is refused.",
    },
    QdrantDown: {
      expr: `${series("qdrant_dr_source_up", { region, source: "qdrant" })} == 0`,
      for: "2m",
      severity: "critical",
      summary: `Qdrant of ${region} does not answer`,
      description: "No peer answers a question for its collections.",
      runbook: `\`qdrant-dr status --for 60\` tells whether the region is down; ${next}`,
    },
  };
}

function alertsOfGate({ namespace, region }: AlertSettings): AlertRules {
  const of = queriesOf(region);
  return {
    GateDown: {
      expr: `${series("qdrant_dr_source_up", { region, source: "gate" })} == 0`,
      for: "2m",
      severity: "critical",
      summary: `The gate of ${region} does not answer`,
      description: "While the region is active its clients are not served.",
      runbook: `Look at the ${namespace === undefined ? "gate's process" : "pod qdrant-dr-gate-0"} and its log.`,
    },
    GateClosed: {
      expr: `${series("qdrant_dr_gate_open", { region })} == 0 and on () ${of.isActive}`,
      for: "2m",
      severity: "critical",
      summary: `${region} is active, and its gate lets nobody through`,
      description: "Clients are refused. A switchover closes the gate for some seconds.",
      runbook:
        "`qdrant-dr status` shows the reason; a change of roles that stopped half-way is run again; a switchover can be given up with `qdrant-dr switchover abort`.",
    },
    GateOpenElsewhere: {
      expr: `${series("qdrant_dr_gate_open", { region })} == 1 and on () ${of.isStandby}`,
      for: "1m",
      severity: "critical",
      summary: `${region} is not active, and its gate lets clients through`,
      description: "Two regions may take writes.",
      runbook:
        "Let its gate reach the other region's control store; afterwards `qdrant-dr divergence` shows what differs.",
    },
  };
}

function alertsOfRecoveryPoints({ isAlone, objectives, peer, region }: AlertSettings): AlertRules {
  const of = queriesOf(region);
  const orCopy = peer === undefined ? "" : " or `qdrant-dr copy`";
  return {
    NothingRestorable: {
      expr: `${of.repositoryAnswers} unless on () ${series("qdrant_dr_restorable_timestamp_seconds", { region })}`,
      for: "1h",
      severity: "critical",
      summary: `No recovery point can be restored from the bucket of ${region}`,
      description: "The bucket answers, and holds no complete recovery point.",
      runbook: `\`qdrant-dr recovery-points list\` says what each recovery point lacks; \`qdrant-dr backup\`${orCopy} brings one.`,
    },
    RpoMissed: isAlone
      ? undefined
      : {
          expr: `time() - max(${series("qdrant_dr_restorable_timestamp_seconds", { region })}) > ${objectives.rpoMinutes * minute} unless on () ${of.isActive}`,
          for: "2m",
          severity: "critical",
          summary: `More than ${objectives.rpoMinutes} min of writes would be lost if ${region} took over now`,
          description: "What its bucket can restore is {{ $value | humanizeDuration }} old.",
          runbook:
            "Look at qdrant-dr-replicate and at the jobs of the active region; `qdrant-dr copy` brings what is there.",
        },
  };
}

/** Runs that a schedule makes, and that fail or do not happen. */
function alertsOfSchedules(settings: AlertSettings, gaps: Gaps): AlertRules {
  const { region } = settings;
  const of = queriesOf(region);
  const capture = gaps.incremental === undefined ? "full" : "incremental";
  const captured = gaps[capture];
  return {
    CaptureOverdue:
      captured === undefined
        ? undefined
        : {
            expr: of.overdue(
              of.isActive,
              series("qdrant_dr_recovery_point_timestamp_seconds", { region }),
              captured + slack[capture],
            ),
            for: "5m",
            severity: "critical",
            summary: `${region} is active, and nothing was captured on time`,
            description: "No complete recovery point of any type is as new as the schedule wants.",
            runbook: `${look(settings, "incremental", "full")}; \`qdrant-dr backup --dry-run\` shows what a capture would read.`,
          },
    RecoveryPointPartial: {
      expr: `${series("qdrant_dr_recovery_point_missing", { region })} > 0`,
      for: "10m",
      severity: "critical",
      summary: `The newest recovery point of ${region} is partial`,
      description:
        "{{ $value }} collections or folders could not be captured: they are old in it, or not in it at all.",
      runbook: "`qdrant-dr recovery-points list` names each with the reason; mend that, and run `qdrant-dr backup`.",
    },
    FullCaptureOverdue:
      gaps.full === undefined
        ? undefined
        : {
            expr: of.overdue(
              of.isActive,
              series("qdrant_dr_recovery_point_timestamp_seconds", { region, type: "full" }),
              gaps.full + slack.full,
            ),
            for: "5m",
            severity: "warning",
            summary: `${region} is active, and no full capture was made on time`,
            description: "Only full captures compare contents: what incrementals got wrong is not found meanwhile.",
            runbook: `${look(settings, "full")}; \`qdrant-dr backup --type full\` takes one.`,
          },
    VerificationOverdue:
      gaps.verify === undefined
        ? undefined
        : {
            expr: of.overdue(
              of.repositoryAnswers,
              series("qdrant_dr_recovery_point_verified_timestamp_seconds", { region }),
              // What is verified may be as old as captures and copies leave it.
              gaps.verify + (captured ?? 0) + (gaps.copy ?? 0) + slack.verify,
            ),
            for: "15m",
            severity: "warning",
            summary: `No recent recovery point was verified in ${region}`,
            description: "The newest recovery point that was read back whole is older than the schedule wants.",
            runbook: `${look(settings, "verify")}; \`qdrant-dr verify\` reads the newest recovery point.`,
          },
    RepositoryUnread:
      gaps.verify === undefined
        ? undefined
        : {
            expr: `time() - max(${series("qdrant_dr_repository_read_timestamp_seconds", { region })}) > ${31 * 24 * hour}`,
            for: "1h",
            severity: "warning",
            summary: `Bytes in the bucket of ${region} were not read for a month`,
            description:
              "Damage there would not be noticed: what was stored before was last read {{ $value | humanizeDuration }} ago.",
            runbook: `${look(settings, "verify")}; \`qdrant-dr verify\` reads what is due.`,
          },
    TestRestoreOverdue:
      gaps.testRestore === undefined
        ? undefined
        : {
            expr: of.overdue(
              of.repositoryAnswers,
              series("qdrant_dr_run_success_timestamp_seconds", { region, run: "test-restore" }),
              gaps.testRestore + slack.testRestore,
            ),
            for: "15m",
            severity: "warning",
            summary: `No test restore succeeded in ${region} on time`,
            description: "A recovery point that was never restored is not known to be restorable.",
            runbook: `${look(settings, "test-restore")}.`,
          },
    ObjectsDamaged: {
      expr: `${series("qdrant_dr_repository_damaged_objects", { region })} > 0`,
      for: "5m",
      severity: "critical",
      summary: `Objects in the bucket of ${region} are damaged or missing`,
      description: "{{ $value }} objects are not what was stored; recovery points that need them are quarantined.",
      runbook:
        "`qdrant-dr heal` fetches them from the other region; without one, `qdrant-dr backup --type full` stores the present state anew.",
    },
    RunFailed: {
      expr: `${series("qdrant_dr_run_exit_code", { region })} != 0`,
      for: "15m",
      severity: "warning",
      summary: `A run failed in ${region} and none succeeded since`,
      description: "The last {{ $labels.run }} ended with exit code {{ $value }}.",
      runbook: "Its log says why, and what to do; docs/reference/exit-codes.md says what the code means.",
    },
  };
}

/** How to see what became of runs. */
function look({ namespace }: AlertSettings, ...jobs: readonly string[]): string {
  if (namespace === undefined) return "`qdrant-dr logs` says how the last runs ended";
  const names = jobs.map((job) => `qdrant-dr-${job}`).join(" and ");
  return `Look at the job${jobs.length > 1 ? "s" : ""} ${names} and ${jobs.length > 1 ? "their logs" : "its log"}`;
}

/** Where there is another region. */
function alertsOfPair(settings: AlertSettings, gaps: Gaps, peer: string): AlertRules {
  const { objectives, region, replicate } = settings;
  const of = queriesOf(region);
  const score = series("qdrant_dr_readiness_score", { region });
  return {
    PeerStoreDown: {
      expr: `${series("qdrant_dr_source_up", { region, source: "peer_control" })} == 0`,
      for: "15m",
      severity: "warning",
      summary: `${region} cannot read the control store of ${peer}`,
      description: "A failover there would not be noticed here.",
      runbook: `See whether ${peer} is lost: \`qdrant-dr status --for 60\`.`,
    },
    EpochsDiffer: {
      expr: `max(${series("qdrant_dr_epoch", { region })}) != max(${series("qdrant_dr_epoch", { region: peer })})`,
      for: "5m",
      severity: "warning",
      summary: `${region} and ${peer} know different epochs`,
      description: "The newer one decides; the region that does not know it may take writes.",
      runbook: "Run the last failover again, so that both regions are told.",
    },
    CopyOverdue:
      gaps.copy === undefined
        ? undefined
        : {
            expr: of.overdue(
              of.isStandby,
              series("qdrant_dr_run_success_timestamp_seconds", { region, run: "copy" }),
              gaps.copy + slack.copy,
            ),
            for: "5m",
            severity: "warning",
            summary: `No copy into the bucket of ${region} succeeded on time`,
            description: "Recovery points of the active region are not brought here by the schedule.",
            runbook: `${look(settings, "copy")}.`,
          },
    CannotTakeOver: {
      expr: `${score} == 0`,
      for: "10m",
      severity: "critical",
      summary: `${region} cannot take over`,
      description: "Something is missing without which a failover cannot be done.",
      runbook: "`qdrant-dr status` names each obstacle and what removes it.",
    },
    NotReady: {
      expr: `${score} > 0 and ${score} < 80`,
      for: "1h",
      severity: "warning",
      summary: `${region} is not ready to take over as it should be`,
      description: "Its readiness is {{ $value }} of 100.",
      runbook: "`qdrant-dr status` names each reason and what removes it.",
    },
    ...(replicate === undefined ? {} : alertsOfStandby(region, replicate, objectives.rpoMinutes * minute)),
  };
}

function alertsOfStandby(
  region: string,
  replicate: Pick<Replicate, "everySeconds" | "tiers">,
  rpo: number,
): AlertRules {
  const of = queriesOf(region);
  const { longestSeconds, shortestSeconds } = new Tiers(replicate);
  // Early enough to act before the objective is missed; later than some captures that take long.
  const behind = Math.max(rpo / 3, 10 * shortestSeconds);
  return {
    StandbyBehind: {
      expr: of.overdue(of.isStandby, series("qdrant_dr_standby_followed_timestamp_seconds", { region }), behind),
      for: "2m",
      severity: "warning",
      summary: `${region} does not follow the active region`,
      description: `Its Qdrant holds no capture of the last ${behind} s.`,
      runbook: "The log of qdrant-dr-replicate says what it waits for.",
    },
    StandbyNotExact: {
      expr: of.overdue(
        of.isStandby,
        series("qdrant_dr_standby_exact_timestamp_seconds", { region }),
        Math.max(rpo, behind + longestSeconds),
      ),
      for: "15m",
      severity: "warning",
      summary: `${region} has held no exact state for long`,
      description:
        "Optimizations run on the active region all the time: deletes may be undone in what a failover would serve.",
      runbook:
        "Look at the collections' optimizations on the active region; `qdrant-dr replicate --once` waits for their end.",
    },
  };
}

function queriesOf(region: string) {
  return {
    isActive: `${series("qdrant_dr_role", { region, role: "active" })} == 1`,
    isStandby: `${series("qdrant_dr_role", { region, role: "active" })} == 0`,
    repositoryAnswers: `${series("qdrant_dr_source_up", { region, source: "repository" })} == 1`,
    /** Nothing among `times` is younger, or there is nothing; told once the epoch itself is that old. */
    overdue(where: string, times: string, seconds: number): string {
      const epoch = series("qdrant_dr_epoch_timestamp_seconds", { region });
      return `(${where} and on () time() - ${epoch} > ${seconds}) unless on () ${times} > time() - ${seconds}`;
    },
  };
}
