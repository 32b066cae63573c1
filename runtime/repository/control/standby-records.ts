/**
 * What a standby's Qdrant holds, in the control store of its region: one record before replication changes it, and one when
 * it holds a recovery point and was compared with it. Who replicates is decided by turns: the newest one may, the others stop.
 */
import { z } from "zod";
import { newId } from "../../domain/identifier.ts";
import { controlLayout, hourOf } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports.ts";
import { parseRecord } from "../parse-record.ts";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();

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
}

/** A standby that was not told of for so long is looked for among all records. */
const hoursLookedAt = 48;

/** The newest, in a few requests while replication is alive. */
export async function readStandbyNews(control: ObjectStoreReader, now: Date): Promise<StandbyNews> {
  // From the next hour on: whoever wrote may have another clock.
  for (let back = -1; back < hoursLookedAt; back += 1) {
    const hour = hourOf(new Date(now.getTime() - back * 3_600_000));
    const news = await newsUnder(control, controlLayout.standbyStates(hour));
    if (news.held !== undefined) return news;
  }
  return newsUnder(control, controlLayout.standbyStates("").slice(0, -1));
}

/** What the standby holds, as it was recorded last. */
export async function readStandbyState(control: ObjectStoreReader, now: Date): Promise<StandbyState | undefined> {
  return (await readStandbyNews(control, now)).held;
}

async function newsUnder(control: ObjectStoreReader, prefix: string): Promise<StandbyNews> {
  let held: string | undefined;
  let begun: string | undefined;
  for await (const { key } of control.list(prefix)) {
    if (key.endsWith(".held.json")) held = newer(held, key);
    else if (key.endsWith(".begun.json")) begun = newer(begun, key);
  }
  const state = held === undefined ? undefined : parseRecord(standbyStateSchema, held, await control.get(held));
  const opened =
    begun !== undefined && (held === undefined || idIn(begun) > idIn(held))
      ? parseRecord(runSchema, begun, await control.get(begun))
      : undefined;
  return {
    ...(state === undefined ? {} : { held: state }),
    ...(opened === undefined ? {} : { begunAt: opened.at }),
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

/** The records of one run that changes a standby. */
export class StandbyRecords {
  readonly #control: ObjectStore;
  readonly #run: string;
  #turn = 0;

  constructor(control: ObjectStore, run: string) {
    this.#control = control;
    this.#run = run;
  }

  /** Makes this run the one that may change the standby; whoever did so before stops. */
  async takeTurn(at: Date): Promise<void> {
    this.#turn = (await this.#newestTurn()) + 1;
    const key = controlLayout.standbyTurn(this.#turn);
    await this.#control.create(key, Buffer.from(JSON.stringify({ run: this.#run, at: at.toISOString() })));
    const { run } = parseRecord(runSchema, key, await this.#control.get(key));
    if (run !== this.#run) throw this.#overtaken(run);
    await this.refuseUnlessMine();
  }

  /** Throws EPOCH_CONFLICT when another run took over. */
  async refuseUnlessMine(): Promise<void> {
    const next = controlLayout.standbyTurn(this.#turn + 1);
    try {
      throw this.#overtaken(parseRecord(runSchema, next, await this.#control.get(next)).run);
    } catch (error) {
      if (!hasCode(error, "OBJECT_NOT_FOUND")) throw error;
    }
  }

  /** To be awaited before the standby is changed. */
  async begin(at: Date): Promise<void> {
    const key = controlLayout.standbyState(at, "begun", newId(at));
    await this.#control.create(key, Buffer.from(JSON.stringify({ run: this.#run, at: at.toISOString() })));
  }

  async hold(state: StandbyState): Promise<void> {
    const at = new Date(state.at);
    const key = controlLayout.standbyState(at, "held", newId(at));
    await this.#control.create(key, Buffer.from(JSON.stringify(standbyStateSchema.parse(state))));
  }

  async #newestTurn(): Promise<number> {
    let newest = 0;
    for await (const { key } of this.#control.list(controlLayout.standbyTurns)) {
      newest = Math.max(newest, Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0));
    }
    return newest;
  }

  #overtaken(run: string): DrError {
    return new DrError("EPOCH_CONFLICT", `another run (${run}) brings the standby up to date`, {
      hint: "let one run replicate to a standby; stop the others",
    });
  }
}
