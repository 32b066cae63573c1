/**
 * Which region is active is decided by epoch records: create-only, numbered, kept in the control store of the region
 * they promote (with a copy in the other one if it can be reached). The configuration names only the initial role.
 */
import { z } from "zod";

export const roles = ["active", "standby", "fenced"] as const;
export type Role = (typeof roles)[number];

export const epochRecordSchema = z.object({
  epoch: z.number().int().positive(),
  /** The region that is active from this epoch on. */
  active: z.string(),
  previous: z.string().optional(),
  /** `aborted`: a switchover ended without changing roles; the region that was active stays active. */
  reason: z.enum(["initial", "switchover", "failover", "aborted"]),
  /** The run that made it: only this run, or a continuation of it, may act in its name. */
  run: z.string(),
  /** The recovery point that the active region starts from. */
  recoveryPoint: z.string().optional(),
  /** Everything acknowledged before this is in it; the recovery point's own time when left out. */
  asOf: z.iso.datetime().optional(),
  at: z.iso.datetime(),
});
export type EpochRecord = z.infer<typeof epochRecordSchema>;

export function newestEpoch(records: readonly EpochRecord[]): EpochRecord | undefined {
  return records.reduce<EpochRecord | undefined>(
    (newest, record) => (newest === undefined || record.epoch > newest.epoch ? record : newest),
    undefined,
  );
}

/** The role of a region under an epoch record. A region that was active before and is not now is fenced. */
export function effectiveRole(region: string, record: EpochRecord): Role {
  if (record.active === region) return "active";
  return record.previous === region && record.reason !== "initial" ? "fenced" : "standby";
}

/**
 * Whether a recovery point was written by the region that was active when its capture began. Object stores cannot stop a deposed writer;
 * readers can.
 */
export function isOfActiveRegion(
  recoveryPoint: { readonly region: string; readonly epoch: number; readonly startedAt: string },
  records: readonly EpochRecord[],
): boolean {
  const own = records.find((record) => record.epoch === recoveryPoint.epoch);
  if (own === undefined || own.active !== recoveryPoint.region) return false;
  const next = records.find((record) => record.epoch === recoveryPoint.epoch + 1);
  // Where the record that followed cannot be read, nobody knows until when its region was active.
  if (next === undefined) return !records.some((record) => record.epoch > recoveryPoint.epoch);
  return Date.parse(recoveryPoint.startedAt) <= Date.parse(next.at);
}
