/**
 * What is remembered of scheduled runs, and which `serve` does which: each attempt at a run is a numbered turn of its kind, taken by one
 * create-only record. Of several processes that find the same run due, one gets the turn. Turns are asked for by name, never listed.
 */
import { z } from "zod";
import { failureOf, runRecordSchema } from "../../domain/monitoring/runs.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { AttemptEnd, ScheduleHistory } from "../../domain/schedule/judge-schedule.ts";
import type { RunFailure } from "../../domain/schedule/schedule-finding.ts";
import { type ScheduledKind, scheduledKinds } from "../../domain/schedule/scheduled-kinds.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Runner } from "../../ports/runner.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";
import { createRecord, type ReportUnreadable, readOptionalRecord, unlessUnreadable } from "../record.ts";

/** From one sign of life of a run to the next. */
export const beatMs = 60_000;
/** A run that gives none for so long, by the clock of whoever listens, is gone. */
const silenceMs = 5 * beatMs;
/** Turns at times that are still to come, which a clock that was ahead left behind. */
const mostSteppedOver = 100;

export const turnSchema = z.object({
  run: z.enum(scheduledKinds),
  /** The time of the schedule that it is for. */
  time: z.iso.datetime(),
  /** From 1: the attempts at the run for this time. */
  attempt: z.number().int().positive(),
  at: z.iso.datetime(),
  /** The `serve` that took it, and the mark of its process. */
  by: z.string(),
  runner: z.string().optional(),
  /** What was done before is done until then. */
  servedUntil: z.iso.datetime().optional(),
});
type Turn = z.infer<typeof turnSchema>;

export const turnEndSchema = runRecordSchema.pick({ error: true, message: true, hint: true }).extend({
  at: z.iso.datetime(),
  outcome: z.enum(["succeeded", "refused by role", "failed", "interrupted"]),
  isRetryable: z.boolean().optional(),
});
type TurnEnd = z.infer<typeof turnEndSchema>;

export const beatSchema = z.object({ at: z.iso.datetime() });

export type FinishedAttempt =
  | { readonly outcome: "succeeded" | "refused by role" | "interrupted" }
  | { readonly outcome: "failed"; readonly isRetryable: boolean; readonly failure: RunFailure };

/** What is known of one kind. */
export interface KnownSchedule extends ScheduleHistory {
  /** Why the newest attempt failed. */
  readonly failure?: RunFailure | undefined;
  /** Whether another process does it now. */
  readonly isElsewhere: boolean;
}

export interface ScheduleProcess {
  /** Unique for each `serve` that is started. */
  readonly id: string;
  readonly runner: Pick<Runner, "mark" | "isDead">;
}

export class ScheduleRecords {
  readonly #control: ObjectStore;
  readonly #process: ScheduleProcess;
  readonly #clock: Clock;
  readonly #reportUnreadable: ReportUnreadable;
  readonly #newest = new Map<ScheduledKind, LogEntry<Turn>>();
  /** Ends that are known, by the key of the record; those of this process also before the store has them. */
  readonly #ends = new Map<string, TurnEnd>();
  readonly #unwritten = new Set<string>();
  /** Turns of this process that are under way. */
  readonly #underWay = new Set<string>();
  /** Signs of life of others' turns: the newest one, and since when it is that. */
  readonly #heard = new Map<string, { readonly beat: number; readonly since: number }>();

  constructor(control: ObjectStore, process: ScheduleProcess, clock: Clock, reportUnreadable: ReportUnreadable) {
    this.#control = control;
    this.#process = process;
    this.#clock = clock;
    this.#reportUnreadable = reportUnreadable;
  }

  async read(run: ScheduledKind): Promise<KnownSchedule> {
    await this.#writeEnds();
    const turns = this.#turns(run);
    const newest = await turns.newest(this.#newest.get(run));
    if (newest !== undefined) this.#newest.set(run, newest);
    const now = this.#clock.now();
    let found = newest;
    for (let steps = 0; found !== undefined && !isUsable(found, now); steps += 1) {
      if (found.record === undefined) this.#reportUnreadable(controlLayout.scheduledTurn(run, found.number));
      if (steps === mostSteppedOver || found.number === 1) return { isElsewhere: false };
      found = await turns.before(found.number);
    }
    if (found?.record === undefined) return { isElsewhere: false };
    return this.#known(run, found.number, found.record);
  }

  /** The number of the turn when this process has it now; undefined when another was faster. */
  async take(
    run: ScheduledKind,
    turn: { readonly time: Date; readonly attempt: number; readonly servedUntil?: Date | undefined },
  ): Promise<number | undefined> {
    const turns = this.#turns(run);
    const number = await turns.free((this.#newest.get(run)?.number ?? 0) + 1);
    const { id, runner } = this.#process;
    await turns.create(this.#control, number, {
      run,
      time: turn.time.toISOString(),
      attempt: turn.attempt,
      at: this.#clock.now().toISOString(),
      by: id,
      ...(runner.mark === undefined ? {} : { runner: runner.mark }),
      ...(turn.servedUntil === undefined ? {} : { servedUntil: turn.servedUntil.toISOString() }),
    });
    const taken = await turns.entry(number);
    if (taken !== undefined) this.#newest.set(run, taken);
    if (taken?.record?.by !== id) return undefined;
    this.#underWay.add(controlLayout.scheduledEnd(run, number));
    return number;
  }

  /** A sign of life. A store that does not take it takes the next one: whoever listens does so for several. */
  async beat(run: ScheduledKind, turn: number, beat: number): Promise<void> {
    const at = this.#clock.now().toISOString();
    await this.#beats(run, turn).create(this.#control, beat, { at });
  }

  /** Is known at once, and in the store as soon as that takes it. */
  async end(run: ScheduledKind, turn: number, finished: FinishedAttempt): Promise<void> {
    const key = controlLayout.scheduledEnd(run, turn);
    const failed =
      finished.outcome === "failed" ? { isRetryable: finished.isRetryable, ...failureOf(finished.failure) } : {};
    this.#ends.set(key, { at: this.#clock.now().toISOString(), outcome: finished.outcome, ...failed });
    this.#unwritten.add(key);
    this.#underWay.delete(key);
    await this.#writeEnds();
  }

  async #writeEnds(): Promise<void> {
    for (const key of [...this.#unwritten]) {
      const end = this.#ends.get(key);
      if (end !== undefined) await createRecord(this.#control, key, turnEndSchema, end);
      this.#unwritten.delete(key);
    }
  }

  async #known(run: ScheduledKind, number: number, turn: Turn): Promise<KnownSchedule> {
    const key = controlLayout.scheduledEnd(run, number);
    const attempt = { time: new Date(turn.time), number: turn.attempt };
    const servedUntil = turn.servedUntil === undefined ? {} : { servedUntil: new Date(turn.servedUntil) };
    const end = this.#ends.get(key) ?? (await this.#readEnd(key));
    if (end === undefined) {
      const isMine = this.#underWay.has(key);
      const isElsewhere = !isMine && turn.by !== this.#process.id && !(await this.#isGone(run, number, turn));
      if (isMine || isElsewhere) return { newest: attempt, ...servedUntil, isElsewhere };
      // The answer to this process's claim was lost, and nothing was begun; or who had it is gone.
      const outcome = turn.by === this.#process.id ? "interrupted" : "cut off";
      return { newest: { ...attempt, end: { outcome } }, ...servedUntil, isElsewhere: false };
    }
    this.#ends.set(key, end);
    if (end.outcome === "succeeded" || end.outcome === "refused by role") {
      return { newest: { ...attempt, end: endOf(end) }, servedUntil: attempt.time, isElsewhere: false };
    }
    return {
      newest: { ...attempt, end: endOf(end) },
      ...servedUntil,
      ...(end.error === undefined ? {} : { failure: { code: end.error, message: end.message ?? "", hint: end.hint } }),
      isElsewhere: false,
    };
  }

  #readEnd(key: string): Promise<TurnEnd | undefined> {
    const report = this.#reportUnreadable;
    return unlessUnreadable(key, readOptionalRecord(this.#control, key, turnEndSchema, report), report);
  }

  async #isGone(run: ScheduledKind, number: number, { runner }: Turn): Promise<boolean> {
    if (runner !== undefined && this.#process.runner.isDead(runner)) return true;
    const key = controlLayout.scheduledEnd(run, number);
    const newest = (await this.#beats(run, number).newest())?.number ?? 0;
    const now = this.#clock.monotonic();
    const heard = this.#heard.get(key);
    if (heard === undefined || newest > heard.beat) {
      this.#heard.set(key, { beat: newest, since: now });
      return false;
    }
    return now - heard.since >= silenceMs;
  }

  #turns(run: ScheduledKind): NumberedLog<Turn> {
    return new NumberedLog(this.#control, (turn) => controlLayout.scheduledTurn(run, turn), turnSchema);
  }

  #beats(run: ScheduledKind, turn: number): NumberedLog<z.infer<typeof beatSchema>> {
    return new NumberedLog(this.#control, (beat) => controlLayout.scheduledBeat(run, turn, beat), beatSchema);
  }
}

function isUsable({ record }: LogEntry<Turn>, now: Date): boolean {
  return record !== undefined && new Date(record.time) <= now;
}

function endOf({ at, isRetryable, outcome }: TurnEnd): AttemptEnd {
  if (outcome === "failed") return { outcome, at: new Date(at), isRetryable: isRetryable ?? false };
  return { outcome };
}
