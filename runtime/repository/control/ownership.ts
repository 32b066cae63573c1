/**
 * Decides between runs that want to do the same work. They take numbered turns, each by one create-only record: the run of the
 * newest turn owns the work, and a run that another one follows stops. Turns are asked for by their names, never listed: a
 * listing that came back short would make an owner of a run that was overtaken.
 */
import type { z } from "zod";
import { DrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";

export interface Turn {
  readonly run: string;
}

export interface TurnRules<T extends Turn> {
  /**
   * Called when the owner is known and before the turn is taken: a run that comes between keeps the turn. Throws when this run
   * must not take it.
   * @param owner the newest turn; undefined while nobody has taken one.
   */
  readonly beforeTaking?: ((owner: LogEntry<T> | undefined) => Promise<void>) | undefined;
  /**
   * Whether this run takes the turn after that of a run that was faster; it does not by default.
   * @param faster undefined when its record cannot be read.
   */
  readonly passes?: ((faster: T | undefined) => boolean) | undefined;
}

export class Ownership<T extends Turn> {
  readonly #store: ObjectStore;
  readonly #run: string;
  readonly #turns: NumberedLog<T>;
  readonly #conflict: (owner: T | undefined) => Error;
  #mine: LogEntry<T> | undefined;

  constructor(
    store: ObjectStore,
    {
      conflict,
      keyOf,
      run,
      schema,
    }: {
      readonly run: string;
      readonly keyOf: (turn: number) => string;
      readonly schema: z.ZodType<T>;
      /** The error of a run that is not the owner; the owner is undefined when its record cannot be read. */
      readonly conflict: (owner: T | undefined) => Error;
    },
  ) {
    this.#store = store;
    this.#run = run;
    this.#turns = new NumberedLog(store, keyOf, schema);
    this.#conflict = conflict;
  }

  /** Makes this run the owner. Throws the conflict when another one is, and STORE_REFUSED when the store does not keep a turn. */
  async take(turn: T, { beforeTaking, passes = () => false }: TurnRules<T> = {}): Promise<void> {
    for (;;) {
      const owner = await this.#turns.newest(this.#mine);
      await beforeTaking?.(owner);
      const next = await this.#turns.free(owner === undefined ? 1 : owner.number + 1);
      await this.#turns.create(this.#store, next, turn);
      const taken = await this.#turns.entry(next);
      if (taken === undefined) throw notKept(next);
      if (taken.record?.run === this.#run) {
        this.#mine = taken;
        return this.refuseUnlessMine();
      }
      if (!passes(taken.record)) throw this.#conflict(taken.record);
    }
  }

  /** Throws the conflict when another run has taken over, or this one never was the owner. */
  async refuseUnlessMine(): Promise<void> {
    if (this.#mine === undefined) throw this.#conflict((await this.#turns.newest())?.record);
    const next = await this.#turns.from(this.#mine.number + 1);
    if (next !== undefined) throw this.#conflict(next.record);
  }

  /** The newest turn; undefined while nobody has taken one. */
  newest(): Promise<LogEntry<T> | undefined> {
    return this.#turns.newest(this.#mine);
  }

  /** The turn of the run that has overtaken this one; undefined while this one is the owner. */
  async overtaker(): Promise<LogEntry<T> | undefined> {
    const newest = await this.newest();
    return newest?.number === this.#mine?.number ? undefined : newest;
  }
}

function notKept(turn: number): DrError {
  return new DrError("STORE_REFUSED", `the control store said that it has turn ${turn}, and does not have it`, {
    hint: "see whether something deletes objects in it, or whether its reads are behind its writes; then run it again",
  });
}
