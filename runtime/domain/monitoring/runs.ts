/** How commands that run by the clock ended: what a record of a run holds. */
import { z } from "zod";

export const runKinds = ["full", "incremental", "copy", "verify", "test-restore", "prune"] as const;
export type RunKind = (typeof runKinds)[number];

export const runRecordSchema = z.object({
  run: z.enum(runKinds),
  region: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** 0, or the exit code of the error. */
  exitCode: z.number().int().nonnegative(),
  /** Code of the error. */
  error: z.string().optional(),
  toolVersion: z.string(),
});
export type RunRecord = z.infer<typeof runRecordSchema>;
