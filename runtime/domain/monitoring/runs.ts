/** How commands that run by the clock ended: what a record of a run holds. */
import { z } from "zod";
import { oneLine } from "../one-line.ts";

export const runKinds = ["full", "incremental", "copy", "verify", "test-restore", "prune", "drill"] as const;
export type RunKind = (typeof runKinds)[number];

/** Why a run failed, as its record keeps it: a line each, and bounded, for a message may repeat what a server said. */
const longestLine = 500;
const line = z.string().max(longestLine).optional();

export const runRecordSchema = z.object({
  run: z.enum(runKinds),
  region: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** 0, or the exit code of the error. */
  exitCode: z.number().int().nonnegative(),
  /** Code of the error. */
  error: z.string().optional(),
  /** What happened, and what to do; records of before this was kept have neither. */
  message: line,
  hint: line,
  toolVersion: z.string(),
  /** What a drill found: the promotion of the region was rehearsed. */
  drill: z
    .object({
      recoveryPoint: z.string(),
      points: z.number().int().nonnegative(),
      searches: z.number().int().nonnegative(),
      rtoSeconds: z.number().nonnegative(),
      rpoSeconds: z.number().nonnegative(),
    })
    .optional(),
});
export type RunRecord = z.infer<typeof runRecordSchema>;

/** An error's part of the record. */
export function failureOf(error: {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}): Pick<RunRecord, "error" | "message" | "hint"> {
  return {
    error: error.code,
    message: oneLine(error.message, longestLine),
    ...(error.hint === undefined ? {} : { hint: oneLine(error.hint, longestLine) }),
  };
}

/** The region's role says that the work is not its own to do: nothing failed. */
const refusalsByRole = ["ROLE_REFUSES", "EPOCH_CONFLICT"];

export function isSkipped({ error }: Pick<RunRecord, "error">): boolean {
  return error !== undefined && refusalsByRole.includes(error);
}
