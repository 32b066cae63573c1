/**
 * What a standby's Qdrant holds, in the control store of its region: one record before replication changes it, with the names
 * of the collections that it is about to make, and one when it holds a recovery point and was compared with it. Who replicates
 * is decided by turns: the newest one may, the others stop.
 */
import { z } from "zod";
import { newId, timeOfId } from "../../domain/identifier.ts";
import { controlLayout, hourOf } from "../../domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import {
  createRecord,
  keysUnder,
  readOptionalRecord,
  readRecords,
  type TellUnreadable,
  unlessUnreadable,
  untold,
} from "../record.ts";

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
  /** In which it was captured; of a region that handed over, the one in which the other region became active. */
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

export interface StandbyNews {
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

/**
 * The newest, in a few requests while replication is alive. A state that cannot be read was something that was done to the
 * standby: what was held before is not held any more as it was.
 */
export async function readStandbyNews(
  control: ObjectStoreReader,
  now: Date,
  tell: TellUnreadable = untold,
): Promise<StandbyNews> {
  const seen: string[] = [];
  // From the next hour on: whoever wrote may have another clock.
  for (let back = -1; back < hoursLookedAt; back += 1) {
    const hour = hourOf(new Date(now.getTime() - back * 3_600_000));
    const keys = await keysUnder(control, controlLayout.standbyStates(hour));
    const held = await newestHeld(control, keys, tell);
    seen.push(...keys);
    if (held !== undefined) return newsOf(control, held, seen, tell);
  }
  const all = await keysUnder(control, controlLayout.standbyStates("").slice(0, -1));
  return newsOf(control, await newestHeld(control, all, tell), all, tell);
}

/**
 * What of it holds in a region that has been active since: nothing that is older. From then on clients changed what is there,
 * and what they wrote last may be nowhere else. What the region recorded of itself when it was to hand over holds from the
 * epoch on of which it tells: without that one, the switchover was perhaps given up, and only the other region's store knows.
 */
export function newsSinceActive(news: StandbyNews, region: string, epochs: readonly EpochRecord[]): StandbyNews {
  const { held, making, ...rest } = news;
  const isPast = ({ epoch }: { readonly epoch: number }) =>
    epochs.some((record) => record.active === region && record.epoch >= epoch);
  const hasHandedOver = ({ epoch, region: captured }: StandbyState) =>
    captured !== region || epochs.some((record) => record.active !== region && record.epoch === epoch);
  return {
    ...rest,
    ...(held === undefined || isPast(held) || !hasHandedOver(held) ? {} : { held }),
    making: making.filter((each) => !isPast(each)),
  };
}

/** What the standby holds, as it was recorded last. */
export async function readStandbyState(control: ObjectStoreReader, now: Date): Promise<StandbyState | undefined> {
  return (await readStandbyNews(control, now)).held;
}

async function newestHeld(control: ObjectStoreReader, keys: readonly string[], tell: TellUnreadable) {
  const states = keys.filter((key) => key.endsWith(".held.json") && timeIn(key) !== undefined).sort(byId);
  for (const key of states.reverse()) {
    const [state] = await readRecords(control, [key], standbyStateSchema, tell);
    if (state !== undefined) return state;
  }
  return undefined;
}

/** @param keys all that is newer than what is held is among them. */
async function newsOf(
  control: ObjectStoreReader,
  held: Awaited<ReturnType<typeof newestHeld>>,
  keys: readonly string[],
  tell: TellUnreadable,
): Promise<StandbyNews> {
  const isLater = (key: string) => timeIn(key) !== undefined && (held === undefined || byId(key, held.key) > 0);
  const later = keys.filter((key) => /\.(begun|held)\.json$/.test(key) && isLater(key)).sort(byId);
  const begunAt = timeIn(later.at(-1) ?? "");
  const newestBegun = later.filter((key) => key.endsWith(".begun.json")).slice(-begunRead);
  const begun = await readRecords(control, newestBegun, begunSchema, tell);
  return {
    ...(held === undefined ? {} : { held: held.record }),
    ...(begunAt === undefined ? {} : { begunAt: begunAt.toISOString() }),
    making: begun.flatMap(({ record }) => record.making),
  };
}

/** Keys end in an id that begins with the time to the millisecond. */
function byId(a: string, b: string): number {
  const [idA, idB] = [a.split("/").at(-1) ?? "", b.split("/").at(-1) ?? ""];
  return idA < idB ? -1 : idA === idB ? 0 : 1;
}

function timeIn(key: string): Date | undefined {
  return timeOfId(/([^/.]+)\.(?:begun|held)\.json$/.exec(key)?.[1] ?? "");
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
type Turn = z.infer<typeof turnSchema>;
/** Who has a turn. Of one whose record cannot be read, nothing else is known. */
export type Taker = Partial<Turn>;

/** The records of one run that changes a standby. */
export class StandbyRecords {
  readonly #control: ObjectStore;
  readonly #run: string;
  #turn = 0;

  constructor(control: ObjectStore, run: string) {
    this.#control = control;
    this.#run = run;
  }

  /**
   * Makes this run the one that may change the standby; whoever did so before stops. Replication that comes between makes way for
   * a failover.
   * @param refuse throws when this run must not. It is asked when it is known who had the turn last, so that whoever takes it
   *   meanwhile keeps it.
   */
  async takeTurn(turn: Omit<Turn, "run">, refuse: () => Promise<void> = async () => undefined): Promise<void> {
    for (;;) {
      const next = (await this.#newestTurn()) + 1;
      await refuse();
      this.#turn = next;
      await createRecord(this.#control, controlLayout.standbyTurn(next), turnSchema, { run: this.#run, ...turn });
      const taken = (await this.#read(next)) ?? {};
      if (taken.run === this.#run) break;
      if (turn.failover === undefined || taken.failover !== undefined) throw overtaken(taken);
    }
    await this.refuseUnlessMine();
  }

  /** Throws EPOCH_CONFLICT when another run took over. */
  async refuseUnlessMine(): Promise<void> {
    const next = await this.#read(this.#turn + 1);
    if (next !== undefined) throw overtaken(next);
  }

  /** Who has the turn now; undefined while it is this run. */
  async overtaker(): Promise<Taker | undefined> {
    const newest = await this.#newestTurn();
    return newest === this.#turn ? undefined : this.#read(newest);
  }

  /** Another answer whenever whoever has the turn has done something. */
  async signOfLife(now: Date): Promise<string> {
    let newest: string | undefined;
    for (const hour of [-1, 0, 1]) {
      const prefix = controlLayout.standbyStates(hourOf(new Date(now.getTime() - hour * 3_600_000)));
      newest = [newest, ...(await keysUnder(this.#control, prefix))]
        .flatMap((key) => key ?? [])
        .sort(byId)
        .at(-1);
    }
    return `${await this.#newestTurn()} ${newest}`;
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

  async #newestTurn(): Promise<number> {
    let newest = 0;
    for (const key of await keysUnder(this.#control, controlLayout.standbyTurns)) {
      const turn = Number(/(\d+)\.json$/.exec(key)?.[1]);
      if (key === controlLayout.standbyTurn(turn)) newest = Math.max(newest, turn);
    }
    return newest;
  }

  /** Undefined while nobody has it. */
  async #read(turn: number): Promise<Taker | undefined> {
    const key = controlLayout.standbyTurn(turn);
    let taker: Taker | undefined;
    const read = await unlessUnreadable(key, readOptionalRecord(this.#control, key, turnSchema), () => {
      taker = {};
    });
    return read ?? taker;
  }
}

export async function recordHeld(control: ObjectStore, state: StandbyState): Promise<void> {
  const at = new Date(state.at);
  const key = controlLayout.standbyState(at, "held", newId(at));
  await createRecord(control, key, standbyStateSchema, state);
}

function overtaken({ failover, run = "unknown: its record cannot be read" }: Taker): DrError {
  if (failover !== undefined) {
    return new DrError("EPOCH_CONFLICT", `a failover to epoch ${failover} brings the standby up to date (run ${run})`, {
      hint: "let it end; if it does not, run it again or abort it",
    });
  }
  return new DrError("EPOCH_CONFLICT", `another run (${run}) brings the standby up to date`, {
    hint: "let one run replicate to a standby; stop the others",
  });
}
