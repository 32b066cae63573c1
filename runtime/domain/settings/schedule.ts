/** Cron expressions as Kubernetes takes them, in UTC, and how long they leave between two runs. */
import { Cron } from "croner";
import { z } from "zod";

/** Runs that a schedule makes, by the names that settings give them. */
export const scheduledRuns = ["full", "incremental", "copy", "verify", "testRestore"] as const;
export type ScheduledRun = (typeof scheduledRuns)[number];
/** Cron expressions; what has none runs by no schedule. */
export type RunSchedules = Partial<Readonly<Record<ScheduledRun, string>>>;

const minuteMs = 60_000;
const runsLookedAt = 1_500;
/** A Thursday, before a leap day: gaps of months and years are seen as well. */
const from = new Date("2026-01-01T00:00:00Z");

/** Fields of numbers, names, lists, ranges and steps: what croner knows besides, Kubernetes does not. */
const field = /^([0-9*,/-]|[A-Za-z]{3})+$/;

export const cronSchema = z
  .string()
  .refine(
    (text) => runsOf(text, 2).length > 1,
    "a cron expression of five fields, in UTC, that comes round again and again, such as 0 2 * * *",
  );

/** The longest time between two runs. */
export function longestGapMinutes(expression: string): number {
  const runs = runsOf(expression, runsLookedAt).map((run) => run.getTime());
  const gaps = runs.slice(1).map((run, index) => run - (runs[index] ?? run));
  return Math.max(...gaps) / minuteMs;
}

function runsOf(expression: string, count: number): Date[] {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5 || !fields.every((text) => field.test(text))) return [];
  try {
    return new Cron(expression, { mode: "5-part", timezone: "UTC", paused: true }).nextRuns(count, from);
  } catch {
    return [];
  }
}
