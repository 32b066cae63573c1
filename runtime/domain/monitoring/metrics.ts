/**
 * The metrics of a region: their names, labels and meaning, and the samples that follow from what was found. Rules and dashboards
 * name metrics by this table only (docs/adr/0015-metrics.md).
 */
import type { CaptureType } from "../recovery-points/recovery-point.ts";
import type { Role } from "../roles/epoch.ts";
import { roles } from "../roles/epoch.ts";
import type { JournalState } from "../roles/gate-journal.ts";
import type { RunKind, RunRecord } from "./runs.ts";

interface MetricDefinition {
  readonly help: string;
  readonly labels: readonly string[];
}

/** Times are those of the thing itself, in seconds since 1970: whoever asks subtracts, and an age grows also when nobody looks. */
export const metrics = {
  qdrant_dr_exporter_info: { help: "The version of the exporter, as a label.", labels: ["region", "version"] },
  qdrant_dr_source_up: {
    help: "Whether what the exporter asks (control, repository, qdrant, gate, peer_control) answered when it was asked last.",
    labels: ["region", "source"],
  },
  qdrant_dr_source_answer_timestamp_seconds: {
    help: "When that answered last.",
    labels: ["region", "source"],
  },
  qdrant_dr_source_look_seconds: {
    help: "How long the last look at it took.",
    labels: ["region", "source"],
  },
  qdrant_dr_role: {
    help: "1 for the role that the region has by the newest epoch record; absent while its control store does not answer.",
    labels: ["region", "role"],
  },
  qdrant_dr_epoch: {
    help: "The newest epoch that the control store of the region knows; absent while it does not answer.",
    labels: ["region"],
  },
  qdrant_dr_epoch_timestamp_seconds: { help: "When that epoch began.", labels: ["region"] },
  qdrant_dr_gate_open: {
    help: "Whether the gate lets clients through; absent while it does not answer.",
    labels: ["region"],
  },
  qdrant_dr_journal_lag_seconds: {
    help: "How long the oldest acknowledged write waits that the gate's journal does not tell yet; absent where it keeps none.",
    labels: ["region"],
  },
  qdrant_dr_journal_buffered_bytes: {
    help: "How much waits in the gate for the store of its journal.",
    labels: ["region"],
  },
  qdrant_dr_journal_unprotected: {
    help: "Whether the gate lets writes through that its journal does not tell of.",
    labels: ["region"],
  },
  qdrant_dr_journal_refuses_writes: {
    help: "Whether the gate takes no writes because of its journal.",
    labels: ["region"],
  },
  qdrant_dr_journal_late_writes: {
    help: "How many writes Qdrant did not answer and may still do: what they leave is told when it is looked at again.",
    labels: ["region"],
  },
  qdrant_dr_restorable_timestamp_seconds: {
    help: "Everything acknowledged before this can be restored from the bucket of the region.",
    labels: ["region"],
  },
  qdrant_dr_recovery_point_timestamp_seconds: {
    help: "What the newest complete recovery point of this type stands for.",
    labels: ["region", "type"],
  },
  qdrant_dr_recovery_point_exact_timestamp_seconds: {
    help: "What the newest complete recovery point of this type stands for that is known to be exact.",
    labels: ["region", "type"],
  },
  qdrant_dr_recovery_point_verified_timestamp_seconds: {
    help: "What the newest complete recovery point stands for that was read back whole from the bucket of the region.",
    labels: ["region"],
  },
  qdrant_dr_recovery_point_missing: {
    help: "How many parts the newest complete recovery point lacks, or holds as they were before, because its capture could not read them.",
    labels: ["region"],
  },
  qdrant_dr_recovery_point_restored_timestamp_seconds: {
    help: "What the newest complete recovery point stands for that was restored in a test, compared and asked.",
    labels: ["region"],
  },
  qdrant_dr_repository_read_ratio: {
    help: "The share of all bytes of the repository that verify has read within 30 days, 0 to 1; absent before it has read any.",
    labels: ["region"],
  },
  qdrant_dr_repository_read_timestamp_seconds: {
    help: "What was stored in the repository before this was read by verify since.",
    labels: ["region"],
  },
  qdrant_dr_repository_damaged_objects: {
    help: "Objects of the repository that verify found damaged or missing, and that were not healed.",
    labels: ["region"],
  },
  qdrant_dr_standby_timestamp_seconds: {
    help: "Everything acknowledged before this is in the Qdrant of the standby, at least provisionally.",
    labels: ["region"],
  },
  qdrant_dr_standby_followed_timestamp_seconds: {
    help: "When the newest capture began that the Qdrant of the standby holds, or that found nothing new; collections of slower tiers are older in it. Told four times a minute at least.",
    labels: ["region"],
  },
  qdrant_dr_standby_exact_timestamp_seconds: {
    help: "The same of the newest state that is known to be exact.",
    labels: ["region"],
  },
  qdrant_dr_run_success_timestamp_seconds: {
    help: "When a run of this kind last ended well.",
    labels: ["region", "run"],
  },
  qdrant_dr_run_failure_timestamp_seconds: { help: "When one last failed.", labels: ["region", "run"] },
  qdrant_dr_run_exit_code: {
    help: "How the last one ended: 0, or an exit code of the command.",
    labels: ["region", "run"],
  },
  qdrant_dr_run_seconds: { help: "How long the last one took.", labels: ["region", "run"] },
  qdrant_dr_readiness_score: {
    help: "How ready the region is to take over, 0 to 100; absent where it is active, and while it cannot be judged.",
    labels: ["region"],
  },
  qdrant_dr_readiness_lost: { help: "What this check takes from the score.", labels: ["region", "check"] },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metrics;

export interface Sample {
  readonly metric: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const sources = ["control", "repository", "qdrant", "gate", "peer_control"] as const;
export type Source = (typeof sources)[number];

export interface SourceState {
  readonly isUp: boolean;
  readonly answeredAt?: Date;
  readonly seconds: number;
}

export interface KnownEpoch {
  readonly epoch: number;
  readonly at: string;
  readonly role: Role;
}

/** Times of the newest complete recovery points; what was not found is absent. */
export interface KnownRecoveryPoints {
  readonly restorable?: string;
  readonly newest: Partial<Readonly<Record<CaptureType, string>>>;
  readonly exact: Partial<Readonly<Record<CaptureType, string>>>;
  readonly verified?: string;
  readonly restored?: string;
  /** Of the newest: how many parts its capture could not read. */
  readonly missing?: number;
}

/** The findings about a region when it was last asked. */
export interface RegionView {
  readonly region: string;
  readonly peer?: string | undefined;
  readonly toolVersion: string;
  readonly sources: Partial<Readonly<Record<Source, SourceState>>>;
  /** Empty for a source that does not answer: its state may have changed. */
  readonly epoch?: KnownEpoch;
  readonly peerEpoch?: KnownEpoch;
  readonly isGateOpen?: boolean;
  /** The gate's; absent: it keeps none. */
  readonly journal?: JournalState | undefined;
  readonly readiness?: {
    readonly score: number;
    readonly checks: readonly { readonly name: string; readonly lost: number }[];
  };
  /** Times, which stay true. */
  readonly recoveryPoints?: KnownRecoveryPoints;
  readonly standby?: {
    readonly asOf: string;
    readonly followedAt?: string | undefined;
    readonly exactAsOf?: string | undefined;
  };
  readonly runs: Partial<Readonly<Record<RunKind, RunHistory>>>;
  /** How far `verify` has read the repository. */
  readonly coverage?: { readonly share: number; readonly readSince: Date; readonly damaged: number };
}

export interface RunHistory {
  readonly last: RunRecord;
  readonly succeededAt?: string;
  readonly failedAt?: string;
}

export function samplesOf(view: RegionView): Sample[] {
  const { recoveryPoints, region, standby } = view;
  const of = (metric: MetricName, value: number | string | Date | undefined, labels: Record<string, string> = {}) =>
    value === undefined ? [] : [{ metric, labels: { region, ...labels }, value: numberOf(value) }];
  return [
    ...of("qdrant_dr_exporter_info", 1, { version: view.toolVersion }),
    ...Object.entries(view.sources).flatMap(([source, { answeredAt, isUp, seconds }]) => [
      ...of("qdrant_dr_source_up", Number(isUp), { source }),
      ...of("qdrant_dr_source_answer_timestamp_seconds", answeredAt, { source }),
      ...of("qdrant_dr_source_look_seconds", seconds, { source }),
    ]),
    ...epochSamples(region, view.epoch),
    ...(view.peer === undefined ? [] : epochSamples(view.peer, view.peerEpoch)),
    ...of("qdrant_dr_gate_open", view.isGateOpen === undefined ? undefined : Number(view.isGateOpen)),
    ...journalSamples(region, view.journal),
    ...of("qdrant_dr_restorable_timestamp_seconds", recoveryPoints?.restorable),
    ...Object.entries(recoveryPoints?.newest ?? {}).flatMap(([type, time]) =>
      of("qdrant_dr_recovery_point_timestamp_seconds", time, { type }),
    ),
    ...Object.entries(recoveryPoints?.exact ?? {}).flatMap(([type, time]) =>
      of("qdrant_dr_recovery_point_exact_timestamp_seconds", time, { type }),
    ),
    ...of("qdrant_dr_recovery_point_verified_timestamp_seconds", recoveryPoints?.verified),
    ...of("qdrant_dr_recovery_point_restored_timestamp_seconds", recoveryPoints?.restored),
    ...of("qdrant_dr_repository_read_ratio", view.coverage?.share),
    ...of("qdrant_dr_repository_read_timestamp_seconds", view.coverage?.readSince),
    ...of("qdrant_dr_repository_damaged_objects", view.coverage?.damaged),
    ...of("qdrant_dr_recovery_point_missing", recoveryPoints?.missing),
    ...of("qdrant_dr_standby_timestamp_seconds", standby?.asOf),
    ...of("qdrant_dr_standby_followed_timestamp_seconds", standby?.followedAt ?? standby?.asOf),
    ...of("qdrant_dr_standby_exact_timestamp_seconds", standby?.exactAsOf),
    ...Object.entries(view.runs).flatMap(([run, { failedAt, last, succeededAt }]) => [
      ...of("qdrant_dr_run_success_timestamp_seconds", succeededAt, { run }),
      ...of("qdrant_dr_run_failure_timestamp_seconds", failedAt, { run }),
      ...of("qdrant_dr_run_exit_code", last.exitCode, { run }),
      ...of("qdrant_dr_run_seconds", numberOf(last.finishedAt) - numberOf(last.startedAt), { run }),
    ]),
    ...of("qdrant_dr_readiness_score", view.readiness?.score),
    ...(view.readiness?.checks ?? []).flatMap(({ lost, name }) =>
      of("qdrant_dr_readiness_lost", lost, { check: name }),
    ),
  ];
}

function journalSamples(region: string, journal: JournalState | undefined): Sample[] {
  if (journal === undefined) return [];
  const values = {
    qdrant_dr_journal_lag_seconds: journal.lagSeconds,
    qdrant_dr_journal_buffered_bytes: journal.bufferedBytes,
    qdrant_dr_journal_unprotected: Number(journal.isUnprotected),
    qdrant_dr_journal_refuses_writes: Number(journal.refusal !== undefined),
    qdrant_dr_journal_late_writes: journal.lateWrites,
  } as const;
  return Object.entries(values).map(([metric, value]) => ({
    metric: metric as keyof typeof values,
    labels: { region },
    value,
  }));
}

function epochSamples(region: string, known: KnownEpoch | undefined): Sample[] {
  if (known === undefined) return [];
  return [
    { metric: "qdrant_dr_epoch", labels: { region }, value: known.epoch },
    { metric: "qdrant_dr_epoch_timestamp_seconds", labels: { region }, value: numberOf(known.at) },
    ...roles.map((role) => ({
      metric: "qdrant_dr_role" as const,
      labels: { region, role },
      value: Number(role === known.role),
    })),
  ];
}

function numberOf(value: number | string | Date): number {
  if (typeof value === "number") return value;
  return new Date(value).getTime() / 1000;
}
