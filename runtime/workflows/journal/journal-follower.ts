/** Follows a journal: reads what comes, applies it in its order, and records how far it has come. */
import type { JournalPosition } from "../../domain/journal/position.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { type FollowedState, recordFollowed } from "../../repository/control/followed-records.ts";
import type { JournalObject, JournalReader } from "../../repository/journal/journal-reader.ts";
import { JournalApplier, type JournalState, type JournalTarget } from "./journal-applier.ts";

/** What a kill sets back is applied again: that is cheap, and a record is an object that stays. */
const recordEveryMs = 5_000;
/** After a standby was down, the journal is long: so much of it is merged and applied at once. */
const mostObjects = 40;
const mostCharacters = 8_000_000;
/** So long nothing came, before it is looked at whether the next object is missing and others follow it. */
const lookForGapAfterMs = 10_000;

export interface JournalFollowerRequest {
  readonly reader: Pick<JournalReader, "next" | "refuseGap">;
  readonly target: JournalTarget;
  /** The standby's. */
  readonly control: ObjectStore;
  /** Throws when another has the standby, or it is one no more; asked before each step. */
  readonly refuseUnlessMine: () => Promise<void>;
  readonly clock: Clock;
}

export interface FollowedStep {
  readonly position: JournalPosition;
  readonly entries: number;
  /** How old the oldest write was when it was applied. */
  readonly lagSeconds: number;
  /** Everything acknowledged before this is applied. */
  readonly asOf: string;
}

export class JournalFollower {
  readonly #request: JournalFollowerRequest;
  readonly #applier: JournalApplier;
  #state: FollowedState;
  #recordedAtMs = Number.NEGATIVE_INFINITY;
  #recorded: JournalPosition | undefined;
  #lastCameAtMs: number;

  constructor(request: JournalFollowerRequest, state: FollowedState) {
    this.#request = request;
    this.#state = state;
    this.#applier = new JournalApplier(request.target, {
      unreconciled: new Map(state.unreconciled.map(({ collection, reason }) => [collection, reason])),
      strictModes: new Map(state.strictModes.map(({ collection, settings }) => [collection, settings])),
    });
    this.#lastCameAtMs = request.clock.monotonic();
  }

  get state(): FollowedState {
    return this.#state;
  }

  /** The same region is the active one, in a later epoch. */
  set epoch(epoch: number) {
    this.#state = { ...this.#state, epoch };
  }

  /**
   * A capture has brought these collections: from its position on, the journal tells what they are. The others are as of where the
   * follower is, which may be earlier; every entry can be applied twice.
   */
  async reconciled(collections: readonly string[], position: JournalPosition): Promise<void> {
    for (const name of collections) {
      this.#applier.reconciled(name);
      await this.#applier.withholdStrictMode(name);
    }
    const earlier = position.number < this.#state.position.number ? position : this.#state.position;
    this.#state = { ...this.#state, ...stateIn(this.#applier.state), position: earlier };
    await this.#record({ isForced: true });
  }

  /** Applies what is there, a good deal at most; undefined when nothing is. */
  async step(): Promise<FollowedStep | undefined> {
    const { clock, reader, refuseUnlessMine } = this.#request;
    const objects = await this.#read();
    const last = objects.at(-1);
    if (last === undefined) {
      if (clock.monotonic() - this.#lastCameAtMs < lookForGapAfterMs) return undefined;
      await reader.refuseGap(this.#state.position);
      this.#lastCameAtMs = clock.monotonic();
      await this.#record({ isForced: false });
      return undefined;
    }
    this.#lastCameAtMs = clock.monotonic();
    await refuseUnlessMine();
    const entries = objects.flatMap((object) => object.entries);
    await this.#applier.apply(entries);
    const before = this.#applier.state;
    const known = this.#state;
    this.#state = { ...known, ...stateIn(before), position: last.position, asOf: last.at };
    const isChanged =
      known.unreconciled.length !== before.unreconciled.size || known.strictModes.length !== before.strictModes.size;
    await this.#record({ isForced: isChanged });
    const oldest = Math.min(...entries.map(({ at }) => Date.parse(at)), Date.parse(last.at));
    return {
      position: last.position,
      entries: entries.length,
      lagSeconds: Math.max(0, (clock.now().getTime() - oldest) / 1000),
      asOf: last.at,
    };
  }

  /** Applies all that there is now. For a change of roles: whoever wrote it is closed, or gone. */
  async drain(): Promise<FollowedState> {
    while ((await this.step()) !== undefined);
    // What others follow is not the end.
    await this.#request.reader.refuseGap(this.#state.position);
    await this.#record({ isForced: true });
    return this.#state;
  }

  /** Records where it is, so that whoever comes next begins there. */
  async close(): Promise<void> {
    await this.#record({ isForced: true });
  }

  async #read(): Promise<readonly JournalObject[]> {
    const objects: JournalObject[] = [];
    let position = this.#state.position;
    let characters = 0;
    while (objects.length < mostObjects && characters < mostCharacters) {
      const next = await this.#request.reader.next(position);
      if (next === undefined) break;
      objects.push(next);
      position = next.position;
      for (const entry of next.entries) {
        if (entry.kind === "points") characters += entry.points.reduce((sum, point) => sum + point.length, 0);
      }
    }
    return objects;
  }

  async #record({ isForced }: { readonly isForced: boolean }): Promise<void> {
    const { clock, control, target } = this.#request;
    const now = clock.monotonic();
    if (!isForced && now - this.#recordedAtMs < recordEveryMs) return;
    if (!isForced && this.#recorded?.number === this.#state.position.number) return;
    const collections = await target.collections();
    await recordFollowed(control, { ...this.#state, collections, at: clock.now().toISOString() });
    this.#recorded = this.#state.position;
    this.#recordedAtMs = now;
  }
}

function stateIn({ strictModes, unreconciled }: JournalState): Pick<FollowedState, "strictModes" | "unreconciled"> {
  return {
    unreconciled: [...unreconciled].map(([collection, reason]) => ({ collection, reason })),
    strictModes: [...strictModes].map(([collection, settings]) => ({
      collection,
      settings: settings as FollowedState["strictModes"][number]["settings"],
    })),
  };
}
