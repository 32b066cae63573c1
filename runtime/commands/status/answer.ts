import { z } from "zod";
import { signalNames } from "../../domain/health/judge-region.ts";
import { roles } from "../../domain/roles/epoch.ts";
import type { PairStatus } from "../../workflows/status/observe-pair.ts";
import { count, listOf, recoveryPointId, seconds, time } from "../shared/fields.ts";

const verdict = z.enum(["serving", "impaired", "down", "unclear"]);

const region = z.strictObject({
  region: z.string(),
  role: z.enum([...roles, "unknown"]),
  epoch: count.optional().describe("the newest epoch that its control store knows"),
  qdrant: z.strictObject({
    isReachable: z.boolean(),
    version: z.string().optional(),
    collections: count.optional().describe("number of collections"),
    problem: z.string().optional(),
  }),
  newestRecoveryPoint: z
    .strictObject({
      id: recoveryPointId,
      time,
      ageSeconds: seconds.describe("the RPO if this region had to take over now"),
    })
    .optional()
    .describe("the newest recovery point that its own bucket can restore"),
  problems: listOf(z.string()),
});

const activeRegion = z.strictObject({
  region: z.string(),
  verdict: verdict
    .optional()
    .describe("stands when all looks of 15 seconds agree; absent when the region cannot be looked at"),
  since: time.optional(),
  leaning: z
    .strictObject({ verdict, since: time, looks: count })
    .optional()
    .describe("what the last looks say, before the verdict follows"),
  looks: count.optional().describe("how many looks there were"),
  signals: z
    .record(z.enum(signalNames), z.strictObject({ state: z.enum(["good", "bad", "unknown"]), detail: z.string() }))
    .optional()
    .describe("what the last look found"),
});

const check = z.strictObject({
  name: z.string().describe("stable name of the check"),
  title: z.string(),
  state: z.enum(["good", "poor", "bad", "unknown", "not asked"]),
  detail: z.string(),
  hint: z.string().optional().describe("what makes it good"),
  isNeeded: z.boolean().describe("without it no change of roles can be done"),
  lost: z.number().describe("how much of the score it costs"),
});

export const statusAnswer = z.strictObject({
  regions: listOf(region).describe("the one that was named, then its peer; one where that is alone"),
  traffic: z
    .strictObject({
      region: z.string().optional().describe("the region that the public name leads to"),
      epoch: count.optional(),
      problem: z.string().optional(),
    })
    .optional()
    .describe("absent when there is no public name"),
  active: activeRegion.optional().describe("the active region; absent when none is known to be active"),
  readiness: z
    .strictObject({ region: z.string(), score: z.number().describe("0 to 100"), checks: listOf(check) })
    .optional()
    .describe("how ready the other region is to take over; absent when there is none"),
  problems: listOf(z.string()),
});
export type StatusAnswer = z.infer<typeof statusAnswer>;

export function asJson({ active, ...status }: PairStatus): StatusAnswer {
  return { ...status, active: active && activeAsJson(active) };
}

function activeAsJson({ region, watched }: NonNullable<PairStatus["active"]>): StatusAnswer["active"] {
  if (watched === undefined) return { region };
  const { judgement, look, looks } = watched;
  const { leaning, since, verdict } = judgement;
  return {
    region,
    verdict,
    since: since.toISOString(),
    leaning: { ...leaning, since: leaning.since.toISOString() },
    looks,
    signals: look.signals,
  };
}
