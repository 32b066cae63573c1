/** What people said of how long recovery points are kept, whatever the schedule says. Each record is the whole; the newest counts. */
import { z } from "zod";

export const mostReasonLength = 200;
/** So many fit into a record that is read whole. */
export const mostKept = 10_000;

const keptRecoveryPointSchema = z.object({
  recoveryPoint: z.string(),
  /** Absent: until somebody says otherwise. */
  until: z.iso.datetime().optional(),
  reason: z.string().max(mostReasonLength).optional(),
});
export type KeptRecoveryPoint = z.infer<typeof keptRecoveryPointSchema>;

export const keptRecordSchema = z.object({
  at: z.iso.datetime(),
  kept: z.array(keptRecoveryPointSchema).max(mostKept),
});
export type KeptRecord = z.infer<typeof keptRecordSchema>;

export function isKeptAt({ until }: KeptRecoveryPoint, now: Date): boolean {
  return until === undefined || Date.parse(until) > now.getTime();
}

export function keptInWords({ reason, until }: Pick<KeptRecoveryPoint, "reason" | "until">): string {
  return `kept${until === undefined ? "" : ` until ${until}`}${reason === undefined ? "" : `: ${reason}`}`;
}
