/**
 * The state of a failover, in the control store of the region it promotes: what was begun and what is done, step by
 * step, and signs of life of the run that does it. Everything is create-only.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import type { Runner } from "../../ports/runner.ts";
import { createRecord, keysUnder, readRecord, unlessUnreadable, untold } from "../record.ts";

const beatMs = 2_000;
/** Silence for so long means that a run is dead. */
const silenceMs = 2.5 * beatMs;

/** Whether some run of this epoch's failover has finished a step. */
export async function isStepDone(control: ObjectStoreReader, epoch: number, step: string): Promise<boolean> {
  return (await stepsDone(control, epoch)).has(step);
}

/**
 * Whether some run gives signs of life that does this epoch's failover. Answered at once when there never was one, and after the
 * time that a living one is silent at most.
 * @param except a run that does not count.
 */
export async function findLivingFailover(
  control: ObjectStoreReader,
  epoch: number,
  clock: Clock,
  except?: string,
): Promise<string | undefined> {
  const beats = async () =>
    (await namesOf(control, epoch)).filter((name) => name.startsWith("alive.") && runOfBeat(name) !== except);
  const known = new Set(await beats());
  if (known.size === 0) return undefined;
  await clock.sleep(silenceMs);
  const alive = (await beats()).find((beat) => !known.has(beat));
  return alive && runOfBeat(alive);
}

function runOfBeat(name: string): string | undefined {
  return name.split(".")[1];
}

async function stepsDone(control: ObjectStoreReader, epoch: number): Promise<Set<string>> {
  return new Set((await namesOf(control, epoch)).flatMap((name) => /^(.+)\.done\./.exec(name)?.[1] ?? []));
}

async function namesOf(control: ObjectStoreReader, epoch: number): Promise<string[]> {
  const prefix = controlLayout.failover(epoch);
  return (await keysUnder(control, prefix)).map((key) => key.slice(prefix.length));
}

export const ownerSchema = z.object({
  run: z.string(),
  at: z.string(),
  /** What ran it. */
  runner: z.string().optional(),
});
type Owner = z.infer<typeof ownerSchema>;

export const receiptSchema = z.object({
  run: z.string(),
  at: z.string(),
  detail: z.string().optional(),
  seconds: z.number().optional(),
});

export class FailoverRecords {
  readonly #clock: Clock;
  readonly #control: ObjectStore;
  readonly #epoch: number;
  readonly #run: string;
  readonly #runner: Runner | undefined;

  constructor(control: ObjectStore, epoch: number, run: string, clock: Clock, runner?: Runner) {
    this.#clock = clock;
    this.#control = control;
    this.#epoch = epoch;
    this.#run = run;
    this.#runner = runner;
  }

  /** Steps that some run finished. */
  async done(): Promise<Set<string>> {
    return stepsDone(this.#control, this.#epoch);
  }

  async begin(step: string, at: Date): Promise<void> {
    await this.#write(controlLayout.failoverStep(this.#epoch, step, "started", this.#run), at);
  }

  /** The receipt of a step. */
  async end(
    step: string,
    at: Date,
    receipt: { readonly detail?: string; readonly seconds?: number } = {},
  ): Promise<void> {
    const key = controlLayout.failoverStep(this.#epoch, step, "done", this.#run);
    const { detail, seconds } = receipt;
    await createRecord(this.#control, key, receiptSchema, {
      ...this.#signed(at),
      ...(detail === undefined ? {} : { detail }),
      ...(seconds === undefined ? {} : { seconds }),
    });
  }

  /**
   * Becomes the one run that may act, and gives signs of life until the answer is called. Throws EPOCH_CONFLICT when
   * another run lives, or was faster: one create-only write decides between several.
   */
  async takeOver(): Promise<() => void> {
    // Counted before it is looked who lives: whoever comes between has taken this turn.
    const turn = (await this.#turns()).length + 1;
    if (!(await this.#isKnownDead(turn - 1))) await this.#refuseWhileAnotherRuns();
    const stopBeating = await this.#beat();
    try {
      const runner = this.#runner?.mark;
      await createRecord(this.#control, controlLayout.failoverOwner(this.#epoch, turn), ownerSchema, {
        ...this.#signed(this.#clock.now()),
        ...(runner === undefined ? {} : { runner }),
      });
      await this.refuseUnlessOwner();
      return stopBeating;
    } catch (error) {
      stopBeating();
      throw error;
    }
  }

  /** Throws EPOCH_CONFLICT when another run took over meanwhile: this one was thought to be dead. */
  async refuseUnlessOwner(): Promise<void> {
    const { run } = await this.#owner((await this.#turns()).length);
    if (run === this.#run) return;
    throw new DrError("EPOCH_CONFLICT", `another run (${run}) took this failover over`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }

  #owner(turn: number): Promise<Owner> {
    return readRecord(this.#control, controlLayout.failoverOwner(this.#epoch, turn), ownerSchema);
  }

  /** Whether the run that owned the failover last ended on this machine: then nobody has to listen for signs of its life. */
  async #isKnownDead(turn: number): Promise<boolean> {
    if (turn === 0 || this.#runner === undefined) return false;
    // Of one whose record cannot be read, signs of life are listened for.
    const owner = await unlessUnreadable(controlLayout.failoverOwner(this.#epoch, turn), this.#owner(turn), untold);
    return owner?.runner !== undefined && this.#runner.isDead(owner.runner);
  }

  /** Gives a sign of life, and more of them until the answer is called. A store that fails later fails in the steps. */
  async #beat(): Promise<() => void> {
    let beat = 0;
    const tick = () => {
      beat += 1;
      const at = this.#clock.now();
      return this.#write(controlLayout.heartbeat(this.#epoch, this.#run, at.getTime() + beat), at);
    };
    await tick();
    const timer = setInterval(() => tick().catch(() => undefined), beatMs);
    timer.unref();
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

  async #turns(): Promise<string[]> {
    return (await this.#names()).filter((name) => name.startsWith("owner."));
  }

  #names(): Promise<string[]> {
    return namesOf(this.#control, this.#epoch);
  }

  async #write(key: string, at: Date): Promise<void> {
    await createRecord(this.#control, key, receiptSchema, this.#signed(at));
  }

  #signed(at: Date): { readonly run: string; readonly at: string } {
    return { run: this.#run, at: at.toISOString() };
  }
}
