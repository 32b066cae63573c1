/**
 * Decides what a schedule asks for now, by what was done: a run that is due, one that waits for another attempt, or nothing. Times that were
 * missed are made up for once, by the run for the newest of them.
 */
import type { CronTimes } from "./cron-times.ts";

const minuteMs = 60_000;
/** From the end of an attempt that failed to the next one. */
/** Then its next time begins afresh. */
const retryAfterMinutes = [1, 5, 15];
const mostAttempts = retryAfterMinutes.length + 1;

export type AttemptEnd =
  | { readonly outcome: "succeeded" }
  /** The region is not the active one: the work is not its to do. */
  | { readonly outcome: "refused by role" }
  | { readonly outcome: "failed"; readonly at: Date; readonly isRetryable: boolean }
  /** Stopped with the process that ran it, in order. */
  | { readonly outcome: "interrupted" }
  /** The process that ran it is gone without a word. */
  | { readonly outcome: "cut off" };

/** An attempt at the run for one time of a schedule. */
export interface Attempt {
  readonly time: Date;
  /** From 1. */
  readonly number: number;
  /** Absent while it is under way. */
  readonly end?: AttemptEnd | undefined;
}

export interface ScheduleHistory {
  /** The newest attempt at a time that is not in the future: a clock that was wrong and was set back forgets no run. */
  readonly newest?: Attempt | undefined;
  /** Everything that was to be done until then is done, whoever did it. */
  readonly servedUntil?: Date | undefined;
}

export type Judgement =
  | { readonly state: "served" }
  | { readonly state: "due"; readonly time: Date; readonly attempt: number }
  | { readonly state: "waits for another attempt"; readonly time: Date; readonly at: Date }
  | { readonly state: "under way"; readonly time: Date }
  | { readonly state: "given up"; readonly time: Date };

export function judgeSchedule(times: CronTimes, { newest, servedUntil }: ScheduleHistory, now: Date): Judgement {
  const time = times.newest(now);
  if (time === undefined || (servedUntil !== undefined && servedUntil >= time)) return { state: "served" };
  if (newest !== undefined && newest.end === undefined) return { state: "under way", time: newest.time };
  if (newest?.time.getTime() !== time.getTime()) return { state: "due", time, attempt: 1 };
  return afterAttempt(time, newest, now);
}

function afterAttempt(time: Date, { end, number }: Attempt, now: Date): Judgement {
  const due = (attempt: number): Judgement => ({ state: "due", time, attempt });
  if (end?.outcome === "interrupted") return due(number);
  const isTriedAgain = end?.outcome === "cut off" || (end?.outcome === "failed" && end.isRetryable);
  if (!isTriedAgain || number >= mostAttempts) return { state: "given up", time };
  if (end.outcome === "cut off") return due(number + 1);
  const waitMs = (retryAfterMinutes[number - 1] ?? 0) * minuteMs;
  const at = new Date(end.at.getTime() + waitMs);
  // The clock was set back since: nobody waits for that time to come again.
  const isOver = at <= now || end.at > now;
  return isOver ? due(number + 1) : { state: "waits for another attempt", time, at };
}

/**
 * Since when a run is wanted: the first time that nothing was done for; undefined when nothing is wanted.
 * @param since nothing was promised before: the start of the process, where nothing was ever done.
 */
export function wantedSince(
  times: CronTimes,
  { servedUntil }: ScheduleHistory,
  now: Date,
  since: Date,
): Date | undefined {
  const time = times.newest(now);
  if (time === undefined || (servedUntil !== undefined && servedUntil >= time)) return undefined;
  if (servedUntil === undefined) return time > since ? time : since;
  return times.next(servedUntil) ?? time;
}
