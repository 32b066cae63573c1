/**
 * The state of a failover, in the control store of the region it promotes: what was begun and what is done, step by
 * step, and signs of life of the run that does it. Everything is create-only.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { controlLayout } from "../domain/points/store-layout.ts";
import { DrError } from "../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";
import { parseRecord } from "./parse-record.ts";

const beatMs = 2_000;
/** Silence for so long means that a run is dead. */
const silenceMs = 2.5 * beatMs;

/** Whether some run of this epoch's failover has finished a step. */
export async function isStepDone(control: ObjectStoreReader, epoch: number, step: string): Promise<boolean> {
  return (await stepsDone(control, epoch)).has(step);
}

async function stepsDone(control: ObjectStoreReader, epoch: number): Promise<Set<string>> {
  return new Set((await namesOf(control, epoch)).flatMap((name) => /^(.+)\.done\./.exec(name)?.[1] ?? []));
}

async function namesOf(control: ObjectStoreReader, epoch: number): Promise<string[]> {
  const prefix = controlLayout.failover(epoch);
  const names: string[] = [];
  for await (const { key } of control.list(prefix)) names.push(key.slice(prefix.length));
  return names;
}

const signedSchema = z.object({ run: z.string(), at: z.string() });

export class FailoverRecords {
  readonly #control: ObjectStore;
  readonly #epoch: number;
  readonly #run: string;

  constructor(control: ObjectStore, epoch: number, run: string) {
    this.#control = control;
    this.#epoch = epoch;
    this.#run = run;
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
    await this.#write(controlLayout.failoverStep(this.#epoch, step, "done", this.#run), at, receipt);
  }

  /**
   * Becomes the one run that may act, and gives signs of life until the answer is called. Throws EPOCH_CONFLICT when
   * another run lives, or was faster: one create-only write decides between several.
   */
  async takeOver(): Promise<() => void> {
    // Counted before it is looked who lives: whoever comes between has taken this turn.
    const turn = (await this.#turns()).length + 1;
    await this.#refuseWhileAnotherRuns();
    const stopBeating = await this.#beat();
    try {
      await this.#write(controlLayout.failoverOwner(this.#epoch, turn), new Date());
      await this.refuseUnlessOwner();
      return stopBeating;
    } catch (error) {
      stopBeating();
      throw error;
    }
  }

  /** Throws EPOCH_CONFLICT when another run took over meanwhile: this one was thought to be dead. */
  async refuseUnlessOwner(): Promise<void> {
    const newest = (await this.#turns()).length;
    const owner = await this.#control.get(controlLayout.failoverOwner(this.#epoch, newest));
    const { run } = parseRecord(signedSchema, controlLayout.failoverOwner(this.#epoch, newest), owner);
    if (run === this.#run) return;
    throw new DrError("EPOCH_CONFLICT", `another run (${run}) took this failover over`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }

  /** Gives a sign of life, and more of them until the answer is called. A store that fails later fails in the steps. */
  async #beat(): Promise<() => void> {
    let beat = 0;
    const tick = () => {
      beat += 1;
      return this.#write(controlLayout.heartbeat(this.#epoch, this.#run, Date.now() + beat), new Date());
    };
    await tick();
    const timer = setInterval(() => tick().catch(() => undefined), beatMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Throws EPOCH_CONFLICT when another run still gives signs of life; a dead one's work may be gone on with. */
  async #refuseWhileAnotherRuns(): Promise<void> {
    const before = await this.#beatsOfOthers();
    if (before.length === 0) return;
    await sleep(silenceMs);
    const known = new Set(before);
    const alive = (await this.#beatsOfOthers()).find((beat) => !known.has(beat));
    if (alive === undefined) return;
    throw new DrError("EPOCH_CONFLICT", `another run (${alive.split(".")[1]}) is promoting this region right now`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }

  async #beatsOfOthers(): Promise<string[]> {
    const names = await this.#names();
    return names.filter((name) => name.startsWith("alive.") && name.split(".")[1] !== this.#run);
  }

  async #turns(): Promise<string[]> {
    return (await this.#names()).filter((name) => name.startsWith("owner."));
  }

  #names(): Promise<string[]> {
    return namesOf(this.#control, this.#epoch);
  }

  async #write(key: string, at: Date, more: object = {}): Promise<void> {
    await this.#control.create(key, Buffer.from(JSON.stringify({ run: this.#run, at: at.toISOString(), ...more })));
  }
}
