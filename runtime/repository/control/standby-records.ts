/**
 * What a standby's Qdrant holds, in the control store of its region: one record before replication changes it, with the names
 * of the collections that it is about to make, and one when it holds a recovery point and was compared with it. Who replicates
 * is decided by turns: the newest one may, the others stop.
 */
import { z } from "zod";
import { newId, timeOfId } from "../../domain/identifier.ts";
import { controlLayout, hourOf, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import {
  createRecord,
  firstBelieved,
  ignoreUnreadable,
  keysUnder,
  type ReportUnreadable,
  readRecords,
} from "../record.ts";
import { Ownership } from "./ownership.ts";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();

/** A collection that is about to be made on the standby. */
const makingSchema = z.object({ name: z.string(), epoch: count });
export type Making = z.infer<typeof makingSchema>;

const heldShardSchema = z.object({
  id: count,
  /** The tree that was put into it. */
  tree: z.string(),
  /** Its segments with their versions afterwards; any others mean that something else was done to it. */
  segments: z.string(),
});

const heldCollectionSchema = z.object({
  name: z.string(),
  /** Of everything beside its shards' content that it was made with. */
  made: z.string(),
  /** The same, as the standby's server describes it. */
  described: z.string(),
  shards: z.array(heldShardSchema),
  /** When it was first missing on the source. */
  goneSince: time.optional(),
});
export type HeldCollection = z.infer<typeof heldCollectionSchema>;

export const standbyStateSchema = z.object({
  format: z.literal(1),
  at: time,
  /** The recovery point that it holds. */
  recoveryPoint: z.string(),
  /** What was captured. */
  region: z.string(),
  /** In which it was captured; of a region that stepped down, the one in which the other region became active. */
  epoch: count,
  /** Everything acknowledged before this is in it: when the newest capture began that brought it, or found nothing new. */
  asOf: time,
  /** When the newest capture began that is held; `asOf` is older than that by collections of slower tiers. */
  followedAt: time.optional(),
  /** False: deletes that were acknowledged while an optimization ran may be undone. */
  isExact: z.boolean(),
  /** The same as `asOf`, of the newest exact state. */
  exactAsOf: time.optional(),
  /** When all of the source was read and compared with what versions had said. */
  fullAt: time.optional(),
  /** Marks of the standby's processes, and what each peer then told of its past. */
  processes: z.array(z.string()),
  fingerprints: z.record(z.string(), z.string()),
  collections: z.array(heldCollectionSchema),
});
export type StandbyState = z.infer<typeof standbyStateSchema>;

export interface StandbyKnowledge {
  /** The newest state that was held; absent when there never was one. */
  readonly held?: StandbyState;
  /** When something was begun to be done to the standby that did not end in a state. */
  readonly begunAt?: string;
  /** Collections that replication set out to make since, which may be there in part. */
  readonly making: readonly Making[];
}

/** A standby that was not told of for so long is looked for among all records. */
const hoursLookedAt = 48;

/** Two runs may write at the same time, when one overtakes the other: so many of the newest records are read. */
const begunRead = 4;
/** And so many are looked at for them: what nobody signed says nothing. */
const begunLookedAt = 64;

/**
 * The newest, in a few requests while replication is alive. A state that cannot be read was something that was done to the
 * standby: what was held before is not held any more as it was.
 */
export async function readStandbyKnowledge(
  control: ObjectStoreReader,
  now: Date,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<StandbyKnowledge> {
  const seen: StateKey[] = [];
  // From the next hour on: whoever wrote may have another clock.
  for (let back = -1; back < hoursLookedAt; back += 1) {
    const hour = hourOf(new Date(now.getTime() - back * 3_600_000));
    const keys = await stateKeys(control, controlLayout.standbyStatesOf(hour));
    const held = await newestHeld(control, keys, reportUnreadable);
    seen.push(...keys);
    if (held !== undefined) return knowledgeOf(control, held, seen, reportUnreadable);
  }
  const all = await stateKeys(control, controlLayout.standbyStates);
  return knowledgeOf(control, await newestHeld(control, all, reportUnreadable), all, reportUnreadable);
}

/**
 * The records that still hold in a region that has been active since: none that is older, because clients changed its data, and
 * their last writes may be nowhere else. The record that a region made of itself before it stepped down holds from the epoch on
 * that it names: without that epoch, the switchover was perhaps aborted, and only the other region's store knows.
 */
export function knowledgeSinceActive(
  knowledge: StandbyKnowledge,
  region: string,
  epochs: readonly EpochRecord[],
): StandbyKnowledge {
  const { held, making, ...rest } = knowledge;
  const isPast = ({ epoch }: { readonly epoch: number }) =>
    epochs.some((record) => record.active === region && record.epoch >= epoch);
  const hasSteppedDown = ({ epoch, region: captured }: StandbyState) =>
    captured !== region || epochs.some((record) => record.active !== region && record.epoch === epoch);
  return {
    ...rest,
    ...(held === undefined || isPast(held) || !hasSteppedDown(held) ? {} : { held }),
    making: making.filter((each) => !isPast(each)),
  };
}

/** What the standby holds, as it was recorded last. */
export async function readStandbyState(control: ObjectStoreReader, now: Date): Promise<StandbyState | undefined> {
  return (await readStandbyKnowledge(control, now)).held;
}

/** The key of a state, taken apart. */
interface StateKey {
  readonly key: string;
  readonly id: string;
  readonly phase: "begun" | "held";
  /** When it was recorded, by its id. */
  readonly at: Date;
}

async function stateKeys(control: ObjectStoreReader, prefix: string): Promise<StateKey[]> {
  return (await keysUnder(control, prefix)).flatMap((key) => {
    const parsed = parseControlKey(key);
    if (parsed?.kind !== "standby-state") return [];
    const at = timeOfId(parsed.id);
    return at === undefined ? [] : [{ key, id: parsed.id, phase: parsed.phase, at }];
  });
}

interface HeldState {
  readonly id: string;
  readonly state: StandbyState;
}

async function newestHeld(
  control: ObjectStoreReader,
  keys: readonly StateKey[],
  reportUnreadable: ReportUnreadable,
): Promise<HeldState | undefined> {
  const states = keys.filter(({ phase }) => phase === "held").sort(byId);
  for (const { id, key } of states.reverse()) {
    const [state] = await readRecords(control, [key], standbyStateSchema, reportUnreadable);
    if (state !== undefined) return { id, state: state.record };
  }
  return undefined;
}

/** @param keys all that is newer than what is held is among them. */
async function knowledgeOf(
  control: ObjectStoreReader,
  held: HeldState | undefined,
  keys: readonly StateKey[],
  reportUnreadable: ReportUnreadable,
): Promise<StandbyKnowledge> {
  const later = keys.filter((key) => held === undefined || byId(key, held) > 0).sort(byId);
  const begun: z.infer<typeof begunSchema>[] = [];
  let begunAt: Date | undefined;
  for (const { at, key, phase } of later.reverse().slice(0, begunLookedAt)) {
    if (begun.length === begunRead) break;
    if ((await firstBelieved(control, [key])) === undefined) {
      reportUnreadable(key);
      continue;
    }
    begunAt ??= at;
    if (phase !== "begun") continue;
    const [read] = await readRecords(control, [key], begunSchema, reportUnreadable);
    if (read !== undefined) begun.push(read.record);
  }
  return {
    ...(held === undefined ? {} : { held: held.state }),
    ...(begunAt === undefined ? {} : { begunAt: begunAt.toISOString() }),
    making: begun.reverse().flatMap(({ making }) => making),
  };
}

/**
 * By time: ids begin with it. A clock that is behind can make an older state look like the newest one; what the standby holds
 * is compared with the marks of a state before anything is built on it.
 */
function byId({ id: a }: { readonly id: string }, { id: b }: { readonly id: string }): number {
  return a < b ? -1 : a === b ? 0 : 1;
}

const runSchema = z.object({ run: z.string(), at: time });

const begunSchema = runSchema.extend({
  /** All that was set out to be made since the last state, also by runs before; records of before tell none. */
  making: z.array(makingSchema).default([]),
});

const turnSchema = runSchema.extend({
  /** The epoch that it makes: a failover brings the standby up to date by itself. */
  failover: count.optional(),
});
type StandbyTurnRecord = z.infer<typeof turnSchema>;
/** The run that has a turn. Nothing else is known of it when its record cannot be read. */
type Taker = Partial<StandbyTurnRecord>;

/** The records of one run that changes a standby. */
export class StandbyRecords {
  readonly #control: ObjectStore;
  readonly #run: string;
  readonly #ownership: Ownership<StandbyTurnRecord>;

  constructor(control: ObjectStore, run: string) {
    this.#control = control;
    this.#run = run;
    this.#ownership = new Ownership(control, {
      run,
      keyOf: controlLayout.standbyTurn,
      schema: turnSchema,
      conflict: overtaken,
    });
  }

  /**
   * Makes this run the one that may change the standby; the run that did so before stops. A failover passes a replication that
   * came between.
   * @param refuse throws when this run must not. It is asked when it is known who had the turn last, so that whoever takes it
   *   meanwhile keeps it.
   */
  async takeTurn(turn: Omit<StandbyTurnRecord, "run">, refuse: () => Promise<void> = async () => undefined) {
    await this.#ownership.take(
      { run: this.#run, ...turn },
      {
        beforeTaking: refuse,
        passes: (faster) => turn.failover !== undefined && faster?.failover === undefined,
      },
    );
  }

  /** Throws EPOCH_CONFLICT when another run took over. */
  refuseUnlessMine(): Promise<void> {
    return this.#ownership.refuseUnlessMine();
  }

  /** The run that has the turn now; undefined while it is this run. */
  async overtaker(): Promise<Taker | undefined> {
    const overtaker = await this.#ownership.overtaker();
    return overtaker === undefined ? undefined : (overtaker.record ?? {});
  }

  /** A text that changes whenever the run that has the turn records something. */
  async signOfLife(now: Date): Promise<string> {
    const recorded: StateKey[] = [];
    for (const hour of [-1, 0, 1]) {
      const prefix = controlLayout.standbyStatesOf(hourOf(new Date(now.getTime() - hour * 3_600_000)));
      recorded.push(...(await stateKeys(this.#control, prefix)));
    }
    const turn = await this.#ownership.newest();
    const newestFirst = recorded.sort(byId).reverse();
    return `${turn?.number} ${await firstBelieved(
      this.#control,
      newestFirst.map(({ key }) => key),
    )}`;
  }

  /**
   * To be awaited before the standby is changed, and to be said again now and then while that takes long.
   * @param making all that was set out to be made since the last state.
   */
  async begin(at: Date, making: readonly Making[]): Promise<void> {
    const key = controlLayout.standbyState(at, "begun", newId(at));
    await createRecord(this.#control, key, begunSchema, {
      run: this.#run,
      at: at.toISOString(),
      making: [...making],
    });
  }

  async hold(state: StandbyState): Promise<void> {
    await recordHeld(this.#control, state);
  }
}

export async function recordHeld(control: ObjectStore, state: StandbyState): Promise<void> {
  const at = new Date(state.at);
  const key = controlLayout.standbyState(at, "held", newId(at));
  await createRecord(control, key, standbyStateSchema, state);
}

function overtaken(owner: StandbyTurnRecord | undefined): DrError {
  const { failover, run = "unknown: its record cannot be read" }: Taker = owner ?? {};
  if (failover !== undefined) {
    return new DrError("EPOCH_CONFLICT", `a failover to epoch ${failover} brings the standby up to date (run ${run})`, {
      hint: "let it end; if it does not, run it again or abort it",
    });
  }
  return new DrError("EPOCH_CONFLICT", `another run (${run}) brings the standby up to date`, {
    hint: "let one run replicate to a standby; stop the others",
  });
}
