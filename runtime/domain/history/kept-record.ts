/** What a person said of how long a recovery point is kept, whatever the schedule says; the newest statement about it counts. */
import { z } from "zod";

export const mostReasonLength = 500;

export const keptRecordSchema = z.object({
  recoveryPoint: z.string(),
  at: z.iso.datetime(),
  /** False: retention decides about it again. */
  isKept: z.boolean(),
  /** Absent: until somebody says otherwise. */
  until: z.iso.datetime().optional(),
  reason: z.string().max(mostReasonLength).optional(),
});
export type KeptRecord = z.infer<typeof keptRecordSchema>;

export function keepsAt({ isKept, until }: KeptRecord, now: Date): boolean {
  return isKept && (until === undefined || Date.parse(until) > now.getTime());
}

export function keptInWords({ reason, until }: Pick<KeptRecord, "reason" | "until">): string {
  return `kept${until === undefined ? "" : ` until ${until}`}${reason === undefined ? "" : `: ${reason}`}`;
}
