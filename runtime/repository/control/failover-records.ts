/**
 * The state of a failover, in the control store of the region it promotes: what was begun and what is done, step by
 * step, and signs of life of the run that does it. Everything is create-only.
 */
import { z } from "zod";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import type { Runner } from "../../ports/runner.ts";
import { waitAtMost } from "../../time/wait-until.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";
import { believedAmong, createRecord, keysUnder } from "../record.ts";
import { Ownership } from "./ownership.ts";

const beatMs = 2_000;
/** A run that is silent for longer is dead. */
const silenceMs = 2.5 * beatMs;
const listenEveryMs = 500;

/** Whether some run of this epoch's failover has finished a step. */
export async function isStepDone(control: ObjectStoreReader, epoch: number, step: string): Promise<boolean> {
  return (await stepsDone(control, epoch)).has(step);
}

async function stepsDone(control: ObjectStoreReader, epoch: number): Promise<Set<string>> {
  const stepOf = (key: string) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "failover-step" && parsed.phase === "done" ? parsed.step : undefined;
  };
  const keys = (await keysUnder(control, controlLayout.failover(epoch))).filter((key) => stepOf(key) !== undefined);
  return new Set((await believedAmong(control, keys)).flatMap((key) => stepOf(key) ?? []));
}

/**
 * The run that owns this epoch's failover, when it gives signs of life. Answers at once when there is no owner or when it never
 * gave one; otherwise as soon as there is another one, and at the latest when a living run would have given it.
 * @param except a run that does not count.
 */
export async function findLivingFailover(
  control: ObjectStoreReader,
  epoch: number,
  clock: Clock,
  except?: string,
): Promise<string | undefined> {
  const owner = await turnsOf(control, epoch).newest();
  const runs = owner === undefined ? [] : await runsToListenFor(control, epoch, owner);
  const living = await Promise.all(
    runs.filter((run) => run !== except).map((run) => beatsAgain(control, epoch, run, clock)),
  );
  return living.find((run) => run !== undefined);
}

/** The owner; when its record cannot be read, every run that ever gave a sign of life. */
async function runsToListenFor(
  control: ObjectStoreReader,
  epoch: number,
  { record }: LogEntry<FailoverOwner>,
): Promise<string[]> {
  if (record !== undefined) return [record.run];
  const runs = (await keysUnder(control, controlLayout.failover(epoch))).flatMap((key) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "heartbeat" ? [parsed.run] : [];
  });
  return [...new Set(runs)];
}

/** The run, when another heartbeat follows its newest one in time. */
async function beatsAgain(
  control: ObjectStoreReader,
  epoch: number,
  run: string,
  clock: Clock,
): Promise<string | undefined> {
  const beats = beatsOf(control, epoch, run);
  const newest = await beats.newest();
  if (newest === undefined) return undefined;
  return waitAtMost(clock, { withinMs: silenceMs, everyMs: listenEveryMs }, async () => {
    return (await beats.entry(newest.number + 1)) !== undefined && run;
  });
}

export const ownerSchema = z.object({
  run: z.string(),
  at: z.string(),
  /** The mark of the process that the run is of. */
  runner: z.string().optional(),
});
type FailoverOwner = z.infer<typeof ownerSchema>;

export const receiptSchema = z.object({
  run: z.string(),
  at: z.string(),
  detail: z.string().optional(),
  seconds: z.number().optional(),
});
type Receipt = z.infer<typeof receiptSchema>;

function turnsOf(control: ObjectStoreReader, epoch: number): NumberedLog<FailoverOwner> {
  return new NumberedLog(control, (turn) => controlLayout.failoverOwner(epoch, turn), ownerSchema);
}

/** The heartbeats of a run are numbered without a gap, so that the next one is asked for by its name. */
function beatsOf(control: ObjectStoreReader, epoch: number, run: string): NumberedLog<Receipt> {
  return new NumberedLog(control, (beat) => controlLayout.heartbeat(epoch, run, beat), receiptSchema);
}

export class FailoverRecords {
  readonly #control: ObjectStore;
  readonly #epoch: number;
  readonly #run: string;
  readonly #runner: Runner | undefined;
  readonly #clock: Clock;
  readonly #ownership: Ownership<FailoverOwner>;

  constructor(control: ObjectStore, epoch: number, run: string, clock: Clock, runner?: Runner) {
    this.#control = control;
    this.#epoch = epoch;
    this.#run = run;
    this.#runner = runner;
    this.#clock = clock;
    this.#ownership = new Ownership(control, {
      run,
      keyOf: (turn) => controlLayout.failoverOwner(epoch, turn),
      schema: ownerSchema,
      conflict: takenOver,
    });
  }

  /** Steps that some run finished. */
  async done(): Promise<Set<string>> {
    return stepsDone(this.#control, this.#epoch);
  }

  async begin(step: string, at: Date): Promise<void> {
    const key = controlLayout.failoverStep(this.#epoch, step, "started", this.#run);
    await createRecord(this.#control, key, receiptSchema, this.#signed(at));
  }

  /** The receipt of a step. */
  async end(
    step: string,
    at: Date,
    receipt: { readonly detail?: string; readonly seconds?: number } = {},
  ): Promise<void> {
    const key = controlLayout.failoverStep(this.#epoch, step, "done", this.#run);
    const { detail, seconds } = receipt;
    await createRecord(this.#control, key, receiptSchema, { ...this.#signed(at), detail, seconds });
  }

  /**
   * Becomes the one run that may act, and gives signs of life until the returned function is called. Throws EPOCH_CONFLICT when
   * another run lives, or was faster: one create-only write decides between several.
   */
  async takeOver(): Promise<() => void> {
    let stopBeating = () => {};
    const turn = { ...this.#signed(this.#clock.now()), runner: this.#runner?.mark };
    try {
      await this.#ownership.take(turn, {
        beforeTaking: async (owner) => {
          if (!this.#isKnownDead(owner?.record)) await this.#refuseWhileAnotherRuns();
          stopBeating = await this.#beat();
        },
      });
      return stopBeating;
    } catch (error) {
      stopBeating();
      throw error;
    }
  }

  /** Throws EPOCH_CONFLICT when another run took over meanwhile: this one was thought to be dead. */
  refuseUnlessOwner(): Promise<void> {
    return this.#ownership.refuseUnlessMine();
  }

  /** Whether the run that owned the failover last ended on this machine: then nobody has to listen for signs of its life. */
  #isKnownDead(owner: FailoverOwner | undefined): boolean {
    if (owner?.runner === undefined || this.#runner === undefined) return false;
    return this.#runner.isDead(owner.runner);
  }

  /**
   * Gives a sign of life, and more of them until the returned function is called. A store that fails later fails in the steps; one
   * that leaves a request without an answer for long is asked for the same sign of life again meanwhile.
   */
  async #beat(): Promise<() => void> {
    const beats = beatsOf(this.#control, this.#epoch, this.#run);
    const { promise: alive, resolve: isAlive } = Promise.withResolvers<void>();
    /** All numbers below are stored: whoever listens crosses no gap. */
    let next = 1;
    const beat = async () => {
      let number = next;
      // A heartbeat that is stored already was ours, and its answer was lost or is late: the one after it is the sign of life of now.
      while ((await beats.create(this.#control, number, this.#signed(this.#clock.now()))) === "exists") {
        number = Math.max(number + 1, next);
      }
      next = Math.max(number + 1, next);
      isAlive();
    };
    const timer = setInterval(() => {
      beat().catch(() => undefined);
    }, beatMs);
    timer.unref();
    try {
      await Promise.race([beat(), alive]);
    } catch (error) {
      clearInterval(timer);
      throw error;
    }
    return () => clearInterval(timer);
  }

  /** Throws EPOCH_CONFLICT when another run still gives signs of life; a dead one's work may be gone on with. */
  async #refuseWhileAnotherRuns(): Promise<void> {
    const alive = await findLivingFailover(this.#control, this.#epoch, this.#clock, this.#run);
    if (alive === undefined) return;
    throw new DrError("EPOCH_CONFLICT", `another run (${alive}) is promoting this region right now`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }

  #signed(at: Date): { readonly run: string; readonly at: string } {
    return { run: this.#run, at: at.toISOString() };
  }
}

function takenOver(owner: FailoverOwner | undefined): DrError {
  const run = owner?.run ?? "unknown: its record cannot be read";
  return new DrError("EPOCH_CONFLICT", `another run (${run}) took this failover over`, {
    hint: "let it end; `qdrant-dr status` shows the roles",
  });
}
