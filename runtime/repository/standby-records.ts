/**
 * What a standby's Qdrant holds, in the control store of its region: one record before replication changes it, with the names
 * of the collections that it is about to make, and one when it holds a recovery point and was compared with it. Who replicates
 * is decided by turns: the newest one may, the others stop.
 */
import { z } from "zod";
import type { EpochRecord } from "../domain/estate/epoch.ts";
import { newId } from "../domain/identifier.ts";
import { controlLayout, hourOf } from "../domain/points/store-layout.ts";
import { DrError, hasCode } from "../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";
import { parseRecord } from "./parse-record.ts";

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

const standbyStateSchema = z.object({
  format: z.literal(1),
  at: time,
  /** The recovery point that it holds. */
  point: z.string(),
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
  histories: z.record(z.string(), z.string()),
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

/** The newest, in a few requests while replication is alive. */
export async function readStandbyNews(control: ObjectStoreReader, now: Date): Promise<StandbyNews> {
  const begun: string[] = [];
  // From the next hour on: whoever wrote may have another clock.
  for (let back = -1; back < hoursLookedAt; back += 1) {
    const hour = hourOf(new Date(now.getTime() - back * 3_600_000));
    const keys = await keysUnder(control, controlLayout.standbyStates(hour));
    begun.push(...keys.begun);
    if (keys.held !== undefined) return newsOf(control, keys.held, begun);
  }
  const all = await keysUnder(control, controlLayout.standbyStates("").slice(0, -1));
  return newsOf(control, all.held, all.begun);
}

/**
 * What of it holds in a region that has been active since: nothing that is older. From then on clients changed what is there,
 * and what they wrote last may be nowhere else.
 */
export function newsSinceActive(news: StandbyNews, region: string, epochs: readonly EpochRecord[]): StandbyNews {
  const { held, making, ...rest } = news;
  const isPast = ({ epoch }: { readonly epoch: number }) =>
    epochs.some((record) => record.active === region && record.epoch >= epoch);
  return {
    ...rest,
    ...(held === undefined || isPast(held) ? {} : { held }),
    making: making.filter((each) => !isPast(each)),
  };
}

/** What the standby holds, as it was recorded last. */
export async function readStandbyState(control: ObjectStoreReader, now: Date): Promise<StandbyState | undefined> {
  return (await readStandbyNews(control, now)).held;
}

interface StateKeys {
  /** The newest. */
  readonly held: string | undefined;
  readonly begun: readonly string[];
}

async function keysUnder(control: ObjectStoreReader, prefix: string): Promise<StateKeys> {
  let held: string | undefined;
  const begun: string[] = [];
  for await (const { key } of control.list(prefix)) {
    if (key.endsWith(".held.json")) held = newer(held, key);
    else if (key.endsWith(".begun.json")) begun.push(key);
  }
  return { held, begun };
}

async function newsOf(
  control: ObjectStoreReader,
  held: string | undefined,
  begun: readonly string[],
): Promise<StandbyNews> {
  const state = held === undefined ? undefined : parseRecord(standbyStateSchema, held, await control.get(held));
  const since = begun
    .filter((key) => held === undefined || idIn(key) > idIn(held))
    .sort((a, b) => (idIn(a) > idIn(b) ? -1 : 1))
    .slice(0, begunRead);
  const opened = await Promise.all(since.map(async (key) => parseRecord(begunSchema, key, await control.get(key))));
  return {
    ...(state === undefined ? {} : { held: state }),
    ...(opened[0] === undefined ? {} : { begunAt: opened[0].at }),
    making: opened.flatMap(({ making }) => making),
  };
}

/** Keys end in an id that begins with the time to the millisecond. */
function newer(a: string | undefined, b: string): string {
  return a === undefined || idIn(b) > idIn(a) ? b : a;
}

function idIn(key: string): string {
  return key.split("/").at(-1) ?? "";
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
export type Turn = z.infer<typeof turnSchema>;

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
   * Makes this run the one that may change the standby; whoever did so before stops.
   * @param refuse throws when this run must not. It is asked when it is known who had the turn last, so that whoever takes it
   *   meanwhile keeps it.
   */
  async takeTurn(turn: Omit<Turn, "run">, refuse: () => Promise<void> = async () => undefined): Promise<void> {
    const next = (await this.#newestTurn()) + 1;
    await refuse();
    this.#turn = next;
    const key = controlLayout.standbyTurn(next);
    await this.#control.create(key, Buffer.from(JSON.stringify({ run: this.#run, ...turn })));
    const taken = parseRecord(turnSchema, key, await this.#control.get(key));
    if (taken.run !== this.#run) throw overtaken(taken);
    await this.refuseUnlessMine();
  }

  /** Throws EPOCH_CONFLICT when another run took over. */
  async refuseUnlessMine(): Promise<void> {
    const next = await this.#read(this.#turn + 1);
    if (next !== undefined) throw overtaken(next);
  }

  /** Who has the turn now; undefined while it is this run. */
  async overtaker(): Promise<Turn | undefined> {
    const newest = await this.#newestTurn();
    return newest === this.#turn ? undefined : this.#read(newest);
  }

  /** Another answer whenever whoever has the turn has done something. */
  async signOfLife(now: Date): Promise<string> {
    let newest: string | undefined;
    for (const hour of [-1, 0, 1]) {
      const prefix = controlLayout.standbyStates(hourOf(new Date(now.getTime() - hour * 3_600_000)));
      for await (const { key } of this.#control.list(prefix)) newest = newer(newest, key);
    }
    return `${await this.#newestTurn()} ${newest}`;
  }

  /**
   * To be awaited before the standby is changed, and to be said again now and then while that takes long.
   * @param making all that was set out to be made since the last state.
   */
  async begin(at: Date, making: readonly Making[]): Promise<void> {
    const key = controlLayout.standbyState(at, "begun", newId(at));
    await this.#control.create(key, Buffer.from(JSON.stringify({ run: this.#run, at: at.toISOString(), making })));
  }

  async hold(state: StandbyState): Promise<void> {
    await recordHeld(this.#control, state);
  }

  async #newestTurn(): Promise<number> {
    let newest = 0;
    for await (const { key } of this.#control.list(controlLayout.standbyTurns)) {
      newest = Math.max(newest, Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0));
    }
    return newest;
  }

  async #read(turn: number): Promise<Turn | undefined> {
    const key = controlLayout.standbyTurn(turn);
    try {
      return parseRecord(turnSchema, key, await this.#control.get(key));
    } catch (error) {
      if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
      throw error;
    }
  }
}

export async function recordHeld(control: ObjectStore, state: StandbyState): Promise<void> {
  const at = new Date(state.at);
  const key = controlLayout.standbyState(at, "held", newId(at));
  await control.create(key, Buffer.from(JSON.stringify(standbyStateSchema.parse(state))));
}

function overtaken({ failover, run }: Turn): DrError {
  if (failover !== undefined) {
    return new DrError("EPOCH_CONFLICT", `a failover to epoch ${failover} brings the standby up to date (run ${run})`, {
      hint: "let it end; if it does not, run it again or abort it",
    });
  }
  return new DrError("EPOCH_CONFLICT", `another run (${run}) brings the standby up to date`, {
    hint: "let one run replicate to a standby; stop the others",
  });
}
