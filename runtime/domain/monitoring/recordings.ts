/** What is kept over time beside the metrics themselves: whether a region was within its objective, and whether its runs went well. */
import { series } from "./query.ts";

export interface Recording {
  readonly record: string;
  readonly expr: string;
}

export interface RecordingSettings {
  readonly region: string;
  readonly objectives: { readonly rpoMinutes: number };
}

/** Recorded names, by what they stand for: dashboards ask for them by these. */
export const recorded = {
  withinObjective: "region:qdrant_dr_within_objective:bool",
  lastRunWell: "region_run:qdrant_dr_last_run_well:bool",
} as const;

export function recordingsOf({ objectives, region }: RecordingSettings): Recording[] {
  const age = `time() - max by (region) (${series("qdrant_dr_restorable_timestamp_seconds", { region })})`;
  const exitCode = `max by (region, run) (${series("qdrant_dr_run_exit_code", { region })})`;
  return [
    { record: recorded.withinObjective, expr: `${age} <= bool ${objectives.rpoMinutes * 60}` },
    { record: recorded.lastRunWell, expr: `${exitCode} == bool 0` },
  ];
}
