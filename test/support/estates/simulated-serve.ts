/**
 * `serve` on a simulated clock and stores in memory: its runs take simulated minutes and leave the records that real ones leave, and its process can
 * be killed as a machine is, between any two of its steps.
 */
import { failureOf } from "../../../runtime/domain/monitoring/runs.ts";
import { controlLayout } from "../../../runtime/domain/recovery-points/store-layout.ts";
import { kindTable, type ScheduledKind, scheduledKinds } from "../../../runtime/domain/schedule/scheduled-kinds.ts";
import type { Schedule } from "../../../runtime/domain/schedule/schedules-of.ts";
import { DrError } from "../../../runtime/errors.ts";
import type { AlertReceiver, Heartbeat, Told } from "../../../runtime/ports/alert-receiver.ts";
import type { Clock } from "../../../runtime/ports/clock.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import type { CommandEnd, CommandError, OwnCommands } from "../../../runtime/ports/own-commands.ts";
import { AlertRecords } from "../../../runtime/repository/control/alert-records.ts";
import { recordRun } from "../../../runtime/repository/control/run-records.ts";
import { ScheduleRecords } from "../../../runtime/repository/control/schedule-records.ts";
import { AlertDesk } from "../../../runtime/workflows/serve/alert-desk.ts";
import { ServeSchedules } from "../../../runtime/workflows/serve/serve-schedules.ts";
import { MemoryStore } from "../servers/memory-store.ts";
import type { SimulatedClock } from "../time/simulated-clock.ts";

export const minuteMs = 60_000;

export interface SimulatedRun {
  readonly run: ScheduledKind;
  readonly startedAt: Date;
  endedAt?: Date;
  end: "under way" | "well" | "failed" | "interrupted" | "killed";
}

/** What stays when processes come and go. */
export class SimulatedMachine {
  readonly clock: SimulatedClock;
  readonly store = new MemoryStore();
  readonly runs: SimulatedRun[] = [];
  readonly beats: Date[] = [];
  /** Real ones, in the place of those that only count. */
  heartbeat: Heartbeat | undefined;
  readonly receivers: AlertReceiver[] = [];
  /** By receiver, what it took, with the time. */
  readonly told = new Map<string, { readonly at: Date; readonly told: Told }[]>();
  readonly log: string[] = [];
  isStoreDown = false;
  /** The store goes as soon as it has the next alert. */
  failsAfterNextAlert = false;
  note: string | undefined;
  /** Receivers that do not answer. */
  readonly deaf = new Set<string>();
  /** What these kinds end with from now on. */
  readonly broken = new Map<ScheduledKind, CommandError>();
  /** Whether it is known of a process that it is gone, as on one machine; not so in containers. */
  knowsTheDead = true;
  readonly dead = new Set<string>();
  #started = 0;

  constructor(clock: SimulatedClock) {
    this.clock = clock;
  }

  start(schedules: readonly Schedule[], receivers: readonly string[]): SimulatedServe {
    this.#started += 1;
    return new SimulatedServe(this, `serve-${this.#started}`, schedules, receivers);
  }

  minutesOf(run: ScheduledKind): number {
    return { full: 20, incremental: 5, verify: 30, "test-restore": 15, prune: 3, drill: 20 }[run];
  }
}

export class SimulatedServe {
  readonly id: string;
  readonly schedules: ServeSchedules;
  readonly #machine: SimulatedMachine;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #isDead = false;

  constructor(machine: SimulatedMachine, id: string, schedules: readonly Schedule[], receivers: readonly string[]) {
    this.#machine = machine;
    this.id = id;
    const clock = this.#mortalClock();
    const control = this.#mortalStore();
    const runner = { mark: id, isDead: (mark: string) => machine.knowsTheDead && machine.dead.has(mark) };
    const process = { id, runner };
    const progress = ({ detail = "", step }: { step: string; detail?: string }) =>
      machine.log.push(`${machine.clock.now().toISOString()} ${id} ${step}: ${detail}`);
    const ignore = () => undefined;
    this.schedules = new ServeSchedules({
      region: "main",
      schedules,
      control,
      records: new ScheduleRecords(control, process, clock, ignore),
      desk: new AlertDesk({
        region: "main",
        records: new AlertRecords(control, process, ignore),
        note: {
          read: () => this.#alive(async () => machine.note),
          write: (text) =>
            this.#alive(async () => {
              machine.note = text;
            }),
        },
        receivers: [...machine.receivers, ...receivers.map((name) => this.#receiver(name))],
        clock,
        progress,
      }),
      heartbeat: machine.heartbeat ?? {
        beat: () => this.#alive(async () => void machine.beats.push(machine.clock.now())),
      },
      commands: this.#commands(),
      clock,
      progress,
      toolVersion: "test",
    });
    this.#ended = this.schedules.run(this.#stopping.signal);
  }

  /** As SIGTERM. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#machine.clock.run(this.#ended);
  }

  /** As SIGKILL, with what it runs: nothing that it waits for ever comes. */
  kill(): void {
    this.#isDead = true;
    this.#machine.dead.add(this.id);
    for (const run of this.#machine.runs) if (run.end === "under way") run.end = "killed";
  }

  async #alive<T>(act: () => Promise<T>): Promise<T> {
    if (this.#isDead) return new Promise<T>(() => undefined);
    try {
      return await act();
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: a dead process goes on with nothing
      if (this.#isDead) return new Promise<T>(() => undefined);
    }
  }

  #mortalClock(): Clock {
    const { clock } = this.#machine;
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: (ms, signal) => this.#alive(() => clock.sleep(ms, signal)),
    };
  }

  #mortalStore(): ObjectStore {
    const machine = this.#machine;
    const { store } = machine;
    const through = <T>(act: () => Promise<T>) =>
      this.#alive(async () => {
        if (machine.isStoreDown) throw storeDown();
        return act();
      });
    return {
      get: (key, range) => through(() => store.get(key, range)),
      checksumOf: (key) => through(() => store.checksumOf(key)),
      create: (key, bytes) =>
        through(async () => {
          const outcome = await store.create(key, bytes);
          if (machine.failsAfterNextAlert && key.startsWith(controlLayout.alerts)) machine.isStoreDown = true;
          return outcome;
        }),
      async *list(prefix) {
        await through(async () => undefined);
        yield* store.list(prefix);
      },
      async *folders(folder) {
        await through(async () => undefined);
        yield* store.folders(folder);
      },
      sizeOf: (key) => through(() => store.sizeOf(key)),
    };
  }

  #receiver(name: string): AlertReceiver {
    const { clock, deaf, told } = this.#machine;
    return {
      name,
      tell: (what) =>
        this.#alive(async () => {
          if (deaf.has(name)) throw new DrError("UNREACHABLE", `${name} does not answer`);
          told.set(name, [...(told.get(name) ?? []), { at: clock.now(), told: what }]);
        }),
    };
  }

  #commands(): OwnCommands {
    return {
      start: (args) => {
        const run = scheduledKinds.find((kind) => kindTable[kind].args.join() === args.join()) ?? "full";
        const interrupting = new AbortController();
        const ended = this.#alive(() => this.#run(run, interrupting.signal));
        return { ended, interrupt: () => interrupting.abort() };
      },
    };
  }

  async #run(run: ScheduledKind, interrupted: AbortSignal): Promise<CommandEnd> {
    const machine = this.#machine;
    const { clock } = machine;
    const simulated: SimulatedRun = { run, startedAt: clock.now(), end: "under way" };
    machine.runs.push(simulated);
    const startedAt = simulated.startedAt.toISOString();
    const isDown = machine.isStoreDown;
    try {
      await clock.sleep(machine.minutesOf(run) * minuteMs, interrupted);
    } catch {
      simulated.end = "interrupted";
      return { kind: "interrupted" };
    }
    if (simulated.end === "killed") return new Promise(() => undefined);
    simulated.endedAt = clock.now();
    const error = isDown || machine.isStoreDown ? asError(storeDown()) : machine.broken.get(run);
    simulated.end = error === undefined ? "well" : "failed";
    const exitCode = error?.exitCode ?? 0;
    const failure = error === undefined ? {} : failureOf(error);
    const record = { run, region: "main", startedAt, exitCode, ...failure, toolVersion: "test" };
    // Like a real one: what the store does not take is not recorded.
    if (!machine.isStoreDown)
      await recordRun(machine.store, { ...record, finishedAt: simulated.endedAt.toISOString() });
    return error === undefined ? { kind: "done" } : { kind: "failed", error };
  }
}

function storeDown(): DrError {
  return new DrError("UNREACHABLE", "the store at http://store does not answer");
}

function asError({ code, exitCode, hint, message, retryable }: DrError): CommandError {
  return { code, exitCode, message, hint, retryable };
}
