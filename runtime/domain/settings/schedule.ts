/** Cron expressions as Kubernetes takes them, in UTC, and how long they leave between two runs. */
import { Cron } from "croner";
import { z } from "zod";

/** Runs that a schedule makes, by the names that settings give them. */
export const scheduledRuns = ["full", "incremental", "copy", "verify", "testRestore"] as const;
export type ScheduledRun = (typeof scheduledRuns)[number];
/** Cron expressions; what has none runs by no schedule. */
export type RunSchedules = Partial<Readonly<Record<ScheduledRun, string>>>;

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
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
  const end = from.getTime() + repeatsAfterMs(expression);
  const runs = runsOf(expression, runsLookedAt, (run) => run.getTime() < end).map((run) => run.getTime());
  const gaps = runs.slice(1).map((run, index) => run - (runs[index] ?? run));
  return Math.max(...gaps) / minuteMs;
}

/** After so long all its gaps have been seen; looking further costs each command that reads a schedule a tenth of a second. */
function repeatsAfterMs(expression: string): number {
  const [, , day, month, weekday] = expression.trim().split(/\s+/);
  if (day !== "*" || month !== "*") return Number.POSITIVE_INFINITY;
  return weekday === "*" ? 2 * dayMs : 15 * dayMs;
}

function runsOf(expression: string, count: number, isWanted: (run: Date) => boolean = () => true): Date[] {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5 || !fields.every((text) => field.test(text))) return [];
  const runs: Date[] = [];
  try {
    const cron = new Cron(expression, { mode: "5-part", timezone: "UTC", paused: true });
    for (let run = cron.nextRun(from); run !== null && runs.length < count && isWanted(run); run = cron.nextRun(run)) {
      runs.push(run);
    }
  } catch {
    return [];
  }
  return runs;
}
