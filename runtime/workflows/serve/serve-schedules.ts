/**
 * Starts the runs of a region's schedules when they are due, each as a process of its own, and tells what goes wrong. What was done is read from
 * the records of the control store, so that a restart, a second process or a run by hand neither doubles nor forgets one. No failure
 * ends it.
 */
import type { Finding } from "../../domain/alerts/alert.ts";
import { formatCount, formatTime } from "../../domain/format.ts";
import { failureOf, isSkipped } from "../../domain/monitoring/runs.ts";
import { CronTimes } from "../../domain/schedule/cron-times.ts";
import { type Judgement, judgeSchedule } from "../../domain/schedule/judge-schedule.ts";
import { scheduleFinding } from "../../domain/schedule/schedule-finding.ts";
import { kindTable, type Lane, type ScheduledKind } from "../../domain/schedule/scheduled-kinds.ts";
import type { Schedule } from "../../domain/schedule/schedules-of.ts";
import { toDrError } from "../../errors.ts";
import type { Heartbeat } from "../../ports/alert-receiver.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { CommandEnd, OwnCommands } from "../../ports/own-commands.ts";
import type { Progress } from "../../ports/progress.ts";
import { recordRun, successfulRunSince } from "../../repository/control/run-records.ts";
import type { KnownSchedule, ScheduleRecords } from "../../repository/control/schedule-records.ts";
import { pause } from "../../time/pause.ts";
import { retry } from "../../time/retry.ts";
import type { AlertDesk } from "./alert-desk.ts";
import { runScheduled } from "./scheduled-run.ts";

const minuteMs = 60_000;
/** What others did is seen so soon; what is due is looked up at once. */
const lookEveryMs = 5 * minuteMs;
/** A store that does not answer for so long is told. */
const storePatienceMs = 10 * minuteMs;
/** A loop that stands still for longer is not ready. */
const standstillMs = 5 * minuteMs;
const mostCounted = 100;

export interface ServeRequest {
  readonly region: string;
  readonly schedules: readonly Schedule[];
  readonly control: ObjectStore;
  readonly records: ScheduleRecords;
  readonly desk: AlertDesk;
  readonly heartbeat: Heartbeat | undefined;
  readonly commands: OwnCommands;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
}

interface Followed {
  readonly run: ScheduledKind;
  readonly times: CronTimes;
  known: KnownSchedule;
}

export class ServeSchedules {
  readonly #request: ServeRequest;
  readonly #followed: readonly Followed[];
  readonly #running = new Map<ScheduledKind, Promise<void>>();
  readonly #startedAt: Date;
  /** When the store answered again: nothing could run before. */
  #storeWellSince = new Date(0);
  #storeFailingSince: number | undefined;
  #storeProblem = "";
  #lookedAt: number | undefined;
  #turnedAt: number | undefined;
  #lastNow: Date;
  #wake: () => void = () => undefined;

  constructor(request: ServeRequest) {
    this.#request = request;
    this.#followed = request.schedules.map(({ cron, run }) => ({
      run,
      times: new CronTimes(cron),
      known: { isElsewhere: false },
    }));
    this.#startedAt = request.clock.now();
    this.#lastNow = this.#startedAt;
  }

  /** Why it is not ready; undefined when it is. */
  get problem(): string | undefined {
    if (this.#turnedAt === undefined) return "it has just been started";
    if (this.#storeFailingSince !== undefined) return `the store does not answer: ${this.#storeProblem}`;
    const standsStill = this.#request.clock.monotonic() - this.#turnedAt > standstillMs;
    return standsStill ? "the schedules stand still" : undefined;
  }

  /** Until it is stopped; then what runs is interrupted, and has ended when this returns. */
  async run(stopped: AbortSignal): Promise<void> {
    const { clock, desk } = this.#request;
    const telling = desk.run(stopped);
    while (!stopped.aborted) {
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      await this.#turn(stopped);
      const toNextMinute = minuteMs - (clock.now().getTime() % minuteMs);
      await pause(clock, toNextMinute, AbortSignal.any([stopped, waking.signal]));
    }
    await Promise.all([telling, ...this.#running.values()]);
  }

  async #turn(stopped: AbortSignal): Promise<void> {
    const { clock, desk } = this.#request;
    try {
      const isLook = this.#isLookWanted();
      if (isLook) await this.#look();
      if (this.#storeFailingSince === undefined) {
        // What is told is what was found before anything is begun because of it.
        const findings = this.#findings();
        await this.#startDue(stopped);
        if (isLook || desk.hasNews(findings)) await desk.settle(findings);
      }
    } catch (error) {
      this.#storeFails(toDrError(error).message);
    }
    await desk.tellWithoutStore(this.#storeFinding());
    this.#turnedAt = clock.monotonic();
  }

  #isLookWanted(): boolean {
    const now = this.#request.clock.now();
    // What was done at times that are to come again is not known any more.
    const isSetBack = now < this.#lastNow;
    this.#lastNow = now;
    if (isSetBack || this.#lookedAt === undefined || this.#storeFailingSince !== undefined) return true;
    if (this.#request.clock.monotonic() - this.#lookedAt >= lookEveryMs) return true;
    return this.#followed.some((followed) => {
      const { state } = this.#judge(followed);
      return state === "due" || (state === "under way" && followed.known.isElsewhere);
    });
  }

  async #look(): Promise<void> {
    const { clock, control, records } = this.#request;
    for (const followed of this.#followed) {
      followed.known = withServed(await records.read(followed.run), followed.known.servedUntil, clock.now());
      const judgement = this.#judge(followed);
      if (judgement.state !== "due") continue;
      // By hand, or by a process that was killed before it could say more.
      const done = await successfulRunSince(control, followed.run, judgement.time, clock.now());
      followed.known = withServed(followed.known, done, clock.now());
    }
    this.#lookedAt = clock.monotonic();
    if (this.#storeFailingSince === undefined) return;
    this.#storeFailingSince = undefined;
    this.#storeWellSince = clock.now();
    this.#say("store", "answers again");
  }

  #storeFails(problem: string): void {
    const { clock } = this.#request;
    if (this.#storeFailingSince === undefined || problem !== this.#storeProblem) {
      this.#say("store", `does not answer, and is asked again: ${problem}`);
    }
    this.#storeFailingSince ??= clock.monotonic();
    this.#storeProblem = problem;
  }

  /** Of each lane, the run whose time is the earliest. */
  async #startDue(stopped: AbortSignal): Promise<void> {
    const due = this.#followed.flatMap((followed) => {
      const judgement = this.#judge(followed);
      return judgement.state === "due" ? [{ followed, judgement }] : [];
    });
    due.sort((a, b) => a.judgement.time.getTime() - b.judgement.time.getTime());
    for (const { followed, judgement } of due) {
      if (stopped.aborted || this.#isLaneBusy(kindTable[followed.run].lane) || this.#isTooEarly(followed)) continue;
      await this.#start(followed, judgement, stopped);
    }
  }

  async #start(
    followed: Followed,
    { attempt, time }: Extract<Judgement, { state: "due" }>,
    stopped: AbortSignal,
  ): Promise<void> {
    const { records } = this.#request;
    const { run } = followed;
    const { servedUntil } = followed.known;
    const turn = await records.take(run, { time, attempt, servedUntil });
    followed.known = { newest: { time, number: attempt }, servedUntil, isElsewhere: turn === undefined };
    if (turn === undefined) return;
    const again = attempt === 1 ? "" : `, attempt ${attempt}`;
    const missed = servedUntil === undefined ? 0 : followed.times.countBetween(servedUntil, time, mostCounted);
    const late =
      missed === 0 ? "" : `, and for ${formatCount(missed)}${missed === mostCounted ? " or more" : ""} before`;
    this.#say(run, `begins, for ${formatTime(time.toISOString())}${again}${late}`);
    const startedAt = this.#request.clock.now();
    const running = runScheduled(run, turn, this.#request, stopped)
      .then((end) => this.#ended(run, startedAt, end, stopped))
      .finally(() => {
        this.#running.delete(run);
        this.#lookedAt = undefined;
        this.#wake();
      });
    this.#running.set(run, running);
  }

  async #ended(run: ScheduledKind, startedAt: Date, end: CommandEnd, stopped: AbortSignal): Promise<void> {
    if (end.kind === "done") {
      this.#say(run, "ended well");
      void this.#beat(stopped);
    } else if (end.kind === "interrupted") this.#say(run, "was interrupted");
    else if (isSkipped({ error: end.error.code })) this.#say(run, `skipped: ${end.error.message}`);
    else this.#say(run, `failed: ${end.error.message}`);
    // It could not record its end itself.
    if (end.kind === "lost") await this.#recordLost(run, startedAt, end.error).catch(() => undefined);
  }

  async #recordLost(
    run: ScheduledKind,
    startedAt: Date,
    error: Extract<CommandEnd, { kind: "lost" }>["error"],
  ): Promise<void> {
    const { clock, control, region, toolVersion } = this.#request;
    await recordRun(control, {
      run,
      region,
      startedAt: startedAt.toISOString(),
      finishedAt: clock.now().toISOString(),
      exitCode: error.exitCode,
      ...failureOf(error),
      toolVersion,
    });
  }

  async #beat(stopped: AbortSignal): Promise<void> {
    const { clock, heartbeat } = this.#request;
    if (heartbeat === undefined) return;
    const patience = { attempts: 5, firstDelayMs: 5_000, factor: 4, isRetryable: () => true, signal: stopped };
    try {
      await retry(clock, patience, () => heartbeat.beat(stopped));
    } catch (error) {
      if (!stopped.aborted) this.#say("heartbeat", toDrError(error).message);
    }
  }

  #isLaneBusy(lane: Lane): boolean {
    return this.#followed.some(({ known, run }) => {
      return kindTable[run].lane === lane && (known.isElsewhere || this.#running.has(run));
    });
  }

  /** What reads recovery points, and was never done, waits for the first one: that may be on its way. */
  #isTooEarly({ known, run }: Followed): boolean {
    if (kindTable[run].lane !== "reading" || known.servedUntil !== undefined) return false;
    return this.#followed.some((other) => {
      const isFirstCapture = kindTable[other.run].lane === "history" && other.known.servedUntil === undefined;
      const { state } = this.#judge(other);
      return isFirstCapture && state !== "served" && state !== "given up";
    });
  }

  #judge({ known, times }: Followed): Judgement {
    return judgeSchedule(times, known, this.#request.clock.now());
  }

  #storeFinding(): Finding[] {
    const { clock } = this.#request;
    if (this.#storeFailingSince === undefined) return [];
    if (clock.monotonic() - this.#storeFailingSince < storePatienceMs) return [];
    return [
      {
        subject: "store",
        isWell: false,
        event: "failure",
        title: "the store does not answer, nothing is backed up",
        message: this.#storeProblem,
        hint: "`qdrant-dr doctor` says what is wrong with it; runs go on by themselves when it answers",
      },
    ];
  }

  #findings(): Finding[] {
    const common = { now: this.#request.clock.now(), startedAt: this.#startedAt, couldRunSince: this.#storeWellSince };
    const ofRuns = this.#followed.flatMap(({ known, run, times }) => {
      return scheduleFinding(run, times, known, { ...common, failure: known.failure }) ?? [];
    });
    return [{ subject: "store", isWell: true, title: "the store answers again" }, ...ofRuns];
  }

  #say(step: string, detail: string): void {
    this.#request.progress({ step, detail });
  }
}

/** With what was done otherwise; a time in the future does not count. */
function withServed(known: KnownSchedule, done: Date | undefined, now: Date): KnownSchedule {
  if (done === undefined || done > now) return known;
  if (known.servedUntil !== undefined && known.servedUntil >= done) return known;
  return { ...known, servedUntil: done };
}
