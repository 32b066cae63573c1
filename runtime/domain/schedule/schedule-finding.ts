/** What people are to know of the runs of one kind. */
import type { Finding } from "../alerts/alert.ts";
import { formatTime } from "../format.ts";
import type { CronTimes } from "./cron-times.ts";
import { judgeSchedule, type ScheduleHistory, wantedSince } from "./judge-schedule.ts";
import { kindTable, type ScheduledKind } from "./scheduled-kinds.ts";

const minuteMs = 60_000;
/** What is under way may well end later than what has not begun; what takes longer than this hangs. */
const slacksWhileUnderWay = 4;

export interface RunFailure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

export interface ScheduleCircumstances {
  readonly now: Date;
  /** Since when somebody could have run it: a store that did not answer is a problem of its own. */
  readonly couldRunSince: Date;
  /** Nothing was promised before, where nothing was ever done. */
  readonly startedAt: Date;
  /** Why the newest attempt failed. */
  readonly failure: RunFailure | undefined;
}

/** Undefined while nothing is known: a run is under way, or will be tried again. */
export function scheduleFinding(
  run: ScheduledKind,
  times: CronTimes,
  history: ScheduleHistory,
  { couldRunSince, failure, now, startedAt }: ScheduleCircumstances,
): Finding | undefined {
  const { slackMinutes, title } = kindTable[run];
  const { state } = judgeSchedule(times, history, now);
  if (state === "served") return { subject: run, isWell: true, title: `the ${title} went well` };
  const outcome = history.newest?.end?.outcome;
  if (outcome === "cut off") {
    return {
      subject: run,
      isWell: false,
      event: "failure",
      title: `the ${title} was cut off`,
      message: "the process that ran it ended without a word: it was killed, or its machine was",
      hint: state === "due" ? "it is begun again" : "find out what kills it: see the log of the machine for that time",
    };
  }
  if (state === "given up") {
    return {
      subject: run,
      isWell: false,
      event: "failure",
      title: `the ${title} failed`,
      message: failure?.message,
      hint: failure?.hint,
    };
  }
  const wanted = wantedSince(times, history, now, startedAt);
  if (wanted === undefined) return undefined;
  const since = Math.max(wanted.getTime(), couldRunSince.getTime());
  const slackMs = slackMinutes * minuteMs * (state === "under way" ? slacksWhileUnderWay : 1);
  if (now.getTime() - since <= slackMs) return undefined;
  return {
    subject: run,
    isWell: false,
    event: "silence",
    title: `no ${title} at its time`,
    message: `it was to run at ${formatTime(wanted.toISOString())}, and none has ended well since`,
    hint:
      state === "under way"
        ? "one is under way, and takes very long: see what it says in the log of `serve`"
        : "it is begun as soon as it can be; see why nothing ran: was `serve` stopped, or its machine off?",
  };
}
