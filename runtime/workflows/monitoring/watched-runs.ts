import type { RunHistory } from "../../domain/monitoring/metrics.ts";
import { isSkipped, type RunKind, type RunRecord, runKinds } from "../../domain/monitoring/runs.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import { dayOf } from "../../domain/recovery-points/store-layout.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { dayMs, daysLookedAt, readRun, runsOfDay } from "../../repository/control/run-records.ts";
import { type ReportUnreadable, unlessMissing, unlessUnreadable } from "../../repository/record.ts";

export type RunHistories = Partial<Readonly<Record<RunKind, RunHistory>>>;

/** Follows the records of runs, by kind: reads all of them the first time, then only the new ones. */
export class WatchedRuns {
  readonly #control: ObjectStoreReader;
  readonly #clock: Clock;
  readonly #tell: ReportUnreadable;
  /** Keys that were read, by day. */
  #seen = new Map<string, Set<string>>();
  #histories: RunHistories = {};
  #isStarted = false;

  constructor(control: ObjectStoreReader, clock: Clock, reportUnreadable: ReportUnreadable) {
    this.#control = control;
    this.#clock = clock;
    this.#tell = reportUnreadable;
  }

  async read(): Promise<RunHistories> {
    const now = this.#clock.now().getTime();
    const days = this.#isStarted ? 2 : daysLookedAt;
    const looked = new Map<string, Set<string>>();
    // From tomorrow on: whoever wrote may have another clock.
    for (let back = -1; back < days; back += 1) {
      const day = dayOf(new Date(now - back * dayMs));
      looked.set(day, await this.#readDay(day));
      if (!this.#isStarted && runKinds.every((run) => this.#histories[run]?.succeededAt !== undefined)) break;
    }
    this.#seen = looked;
    this.#isStarted = true;
    return this.#histories;
  }

  async #readDay(day: string): Promise<Set<string>> {
    const seen = this.#seen.get(day) ?? new Set();
    this.#seen.set(day, seen);
    for (const { key, run, storedAt } of await runsOfDay(this.#control, day)) {
      if (run === undefined || seen.has(key)) continue;
      const told = await unlessUnreadable(key, unlessMissing(readRun(this.#control, key)), this.#tell);
      const finishedAt = told && believedTime(told.finishedAt, { now: this.#clock.now(), storedAt });
      // By a clock that is ahead: it would count as the last one for as long. It is looked at again.
      if (told !== undefined && finishedAt === undefined) continue;
      const record = told && finishedAt && { ...told, finishedAt: finishedAt.toISOString() };
      if (record !== undefined) this.#histories = { ...this.#histories, [run]: joined(this.#histories[run], record) };
      seen.add(key);
    }
    return seen;
  }
}

function joined(history: RunHistory | undefined, record: RunRecord): RunHistory {
  const { exitCode, finishedAt } = record;
  const succeededAt = exitCode === 0 ? later(history?.succeededAt, finishedAt) : history?.succeededAt;
  const failedAt = exitCode === 0 || isSkipped(record) ? history?.failedAt : later(history?.failedAt, finishedAt);
  const isLast = history === undefined || later(history.last.finishedAt, finishedAt) === finishedAt;
  return {
    last: isLast ? record : history.last,
    ...(succeededAt === undefined ? {} : { succeededAt }),
    ...(failedAt === undefined ? {} : { failedAt }),
  };
}

function later(a: string | undefined, b: string): string {
  return a !== undefined && Date.parse(a) > Date.parse(b) ? a : b;
}
