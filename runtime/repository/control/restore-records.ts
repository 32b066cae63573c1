/**
 * Every restore of a region's recovery points leaves a record in its control store before it changes anything, and another when it
 * is done. The records break lineages (a restore makes Qdrant's version counters another server's), and tell which collections
 * are half-made.
 */
import { z } from "zod";
import { newId, timeOfId } from "../../domain/identifier.ts";
import { lastSeen } from "../../domain/recovery-points/order.ts";
import { type MeasuredRestore, measuredRestoreSchema } from "../../domain/recovery-points/restore-estimate.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import type { Runner } from "../../ports/runner.ts";
import {
  believedAmong,
  createRecord,
  firstBelieved,
  ignoreUnreadable,
  keysUnder,
  objectsUnder,
  type ReportUnreadable,
  readOptionalRecord,
  readRecords,
  unlessUnreadable,
} from "../record.ts";

export const restoreRecordSchema = z.object({
  id: z.string(),
  recoveryPoint: z.string(),
  /** By their names on the target. */
  collections: z.array(z.string()),
  /** Where it went when that is not the region's own Qdrant. */
  target: z.string().optional(),
  /** Marks of the processes that answered there: another server may at the same address, later. */
  processes: z.array(z.string()).optional(),
  at: z.iso.datetime(),
  /** The process that restores: when it is dead, what it left is nobody's. */
  runner: z.string().optional(),
  /** Of an end that was no success: nothing of the restore is left ("failed"), or collections that may be in use ("kept"). */
  outcome: z.enum(["failed", "kept"]).optional(),
  /** Of an end that was a success: how much was restored, and how long it took. */
  measured: measuredRestoreSchema.optional(),
});
export type RestoreRecord = z.infer<typeof restoreRecordSchema>;

export async function recordRestoreStart(control: ObjectStore, record: RestoreRecord): Promise<void> {
  await createRecord(control, controlLayout.restore(record.id), restoreRecordSchema, record);
}

export async function recordRestoreEnd(
  control: ObjectStore,
  record: RestoreRecord,
  at: Date,
  end: Pick<RestoreRecord, "measured" | "outcome"> = {},
): Promise<void> {
  const done = { ...record, at: at.toISOString(), ...end };
  await createRecord(control, controlLayout.restoreDone(record.id), restoreRecordSchema, done);
}

/** From one sign of life of a restore to the next. */
const restoreSignsEveryMs = 60_000;
/** A restore that gives none for so long was cut off: nobody waits for it, and it ends by itself if it goes on all the same. */
export const restoreSilenceMs = 5 * restoreSignsEveryMs;

const restoreSignSchema = z.object({
  /** Collections that are loaded: clients may have written to them. */
  loaded: z.array(z.string()),
});

export async function recordRestoreSign(
  control: ObjectStore,
  id: string,
  at: Date,
  loaded: readonly string[],
): Promise<void> {
  await createRecord(control, controlLayout.restoreAlive(id, newId(at)), restoreSignSchema, { loaded: [...loaded] });
}

/** A record of a start, and when the restore was last heard of. */
export type BegunRestore = RestoreRecord & {
  readonly seenAt: Date;
  /** Key of its newest sign of life. */
  readonly sign?: string | undefined;
};

/** The records of restores into one target. */
export interface RestoreRecords {
  readonly begun: readonly BegunRestore[];
  /** Ids of those that have ended, into whatever target. */
  readonly done: ReadonlySet<string>;
  /** Keys of records of which nothing is known but that something was restored. */
  readonly unreadable: readonly string[];
}

/** The restore that ended well last, into whatever target; its `at` is when it ended. */
export async function newestFinishedRestore(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<RestoreRecord | undefined> {
  const keys = (await keysUnder(control, controlLayout.restores)).filter((key) => endedIn(key) !== undefined);
  const records = (await readRecords(control, keys, restoreRecordSchema, reportUnreadable)).map(({ record }) => record);
  return inOrder(records.filter(({ outcome }) => outcome === undefined)).at(-1);
}

/** What the newest restores took that ended well, into whatever target. */
export async function measuredRestores(control: ObjectStoreReader, most: number): Promise<MeasuredRestore[]> {
  const keys = (await keysUnder(control, controlLayout.restores)).filter((key) => endedIn(key) !== undefined);
  // Their ids begin with when they began.
  const newest = keys.sort().slice(-most);
  const records = await readRecords(control, newest, restoreRecordSchema, ignoreUnreadable);
  return records.flatMap(({ record }) => record.measured ?? []);
}

/** @param target undefined: the region's own Qdrant. */
export async function readRestores(
  control: ObjectStoreReader,
  target?: string,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<RestoreRecords> {
  const objects = await objectsUnder(control, controlLayout.restores);
  const keys = objects.map(({ key }) => key);
  const storedAt = new Map(objects.map((object) => [object.key, object.storedAt]));
  const ended = await endedAmong(control, keys);
  const signs = signsOf(keys);
  const seen = async (key: string, record: RestoreRecord): Promise<BegunRestore> => {
    const sign = ended.has(record.id) ? undefined : await firstBelieved(control, signs.get(record.id) ?? []);
    const seenAt =
      sign === undefined
        ? lastSeen(new Date(record.at), storedAt.get(key))
        : lastSeen(timeOfSign(sign) ?? new Date(record.at), storedAt.get(sign));
    return { ...record, seenAt, sign };
  };
  const unreadable: string[] = [];
  const read = await readRecords(
    control,
    keys.filter((key) => parseControlKey(key)?.kind === "restore-started"),
    restoreRecordSchema,
    (key) => unreadable.push(key),
  );
  for (const key of unreadable) reportUnreadable(key);
  const begun: BegunRestore[] = [];
  for (const { key, record } of read) if (record.target === target) begun.push(await seen(key, record));
  return {
    begun: inOrder(begun),
    done: ended,
    unreadable: (await believedAmong(control, unreadable)).sort(),
  };
}

/** The keys of each restore's signs of life, the newest first. */
function signsOf(keys: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const signs = keys.flatMap((key) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "restore-alive" ? [{ id: parsed.id, key }] : [];
  });
  signs.sort((a, b) => (a.key < b.key ? 1 : -1));
  return new Map([...Map.groupBy(signs, ({ id }) => id)].map(([id, of]) => [id, of.map(({ key }) => key)]));
}

function timeOfSign(key: string): Date | undefined {
  const parsed = parseControlKey(key);
  return parsed?.kind === "restore-alive" ? timeOfId(parsed.sign) : undefined;
}

/** The id of the restore that ended, when this is the key that says so: what it holds is needed for nothing else. */
function endedIn(key: string): string | undefined {
  const parsed = parseControlKey(key);
  return parsed?.kind === "restore-done" ? parsed.id : undefined;
}

/** Ids of the restores whose end is believed. */
async function endedAmong(control: ObjectStoreReader, keys: readonly string[]): Promise<Set<string>> {
  const ends = keys.filter((key) => endedIn(key) !== undefined);
  return new Set((await believedAmong(control, ends)).flatMap((key) => endedIn(key) ?? []));
}

function inOrder<T extends RestoreRecord>(records: readonly T[]): T[] {
  return [...records].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/**
 * A name of all that was restored until now: that of the newest restore that was begun, with those that cannot be read.
 * Each of them may have gone into this target, and what was captured before it says nothing of what is there now.
 */
export function newestRestore({ begun, unreadable }: RestoreRecords): string | undefined {
  const names = [...begun.slice(-1).map(({ id }) => id), ...unreadable];
  return names.length === 0 ? undefined : names.join(" ");
}

/**
 * Collections whose newest restore was begun and not finished, with its record. A later record that cannot be read may be of any of
 * them, and of a restore that ended: then none of what was begun before is known to be unfinished.
 */
export function unfinishedCollections({ begun, done, unreadable }: RestoreRecords): Map<string, BegunRestore> {
  const newest = new Map<string, BegunRestore>();
  for (const record of begun) for (const collection of record.collections) newest.set(collection, record);
  const isNewest = ({ at }: RestoreRecord) => unreadable.every((key) => !mayHaveBegunSince(key, new Date(at)));
  return new Map([...newest].filter(([, record]) => !done.has(record.id) && isNewest(record)));
}

/** Whether anything may have been restored since. */
export function isRestoredSince({ begun, unreadable }: RestoreRecords, since: Date): boolean {
  return (
    begun.some(({ at }) => Date.parse(at) >= since.getTime()) || unreadable.some((key) => mayHaveBegunSince(key, since))
  );
}

/** How it is known whether a restore goes on. */
export interface RestoreWatch {
  /** The earliest of the clocks that are known: one that is ahead makes no restore dead. */
  readonly now: Date;
  readonly runner?: Pick<Runner, "isDead"> | undefined;
}

/**
 * Restores that go on: those that have not ended, whose process is not known to be gone, and that gave a sign of life lately. One whose record
 * cannot be read holds up nothing: it breaks lineages only.
 */
export function restoresUnderWay({ begun, done }: RestoreRecords, { now, runner }: RestoreWatch): string[] {
  const goesOn = ({ runner: mark, seenAt }: BegunRestore) =>
    !(mark !== undefined && runner?.isDead(mark)) && now.getTime() - seenAt.getTime() < restoreSilenceMs;
  return begun.filter((record) => !done.has(record.id) && goesOn(record)).map(({ id }) => id);
}

/** What a restore that was cut off made, and did not load, counts as half-made for so long; then somebody has come to use it. */
const staysHalfMadeMs = 24 * 60 * 60_000;

/** Collections that a restore that was cut off has not loaded, with the restore's id: what they hold is not what was captured. */
export async function halfMadeCollections(
  control: ObjectStoreReader,
  records: RestoreRecords,
  watch: RestoreWatch,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<ReadonlyMap<string, string>> {
  const underWay = new Set(restoresUnderWay(records, watch));
  const halfMade = new Map<string, string>();
  const unfinished = unfinishedCollections(records);
  const isRecent = ({ seenAt }: BegunRestore) => watch.now.getTime() - seenAt.getTime() < staysHalfMadeMs;
  for (const record of new Set(unfinished.values())) {
    const { id, sign } = record;
    if (underWay.has(id) || !isRecent(record)) continue;
    const told =
      sign === undefined
        ? undefined
        : await unlessUnreadable(sign, readOptionalRecord(control, sign, restoreSignSchema), reportUnreadable);
    for (const [collection, { id: newest }] of unfinished) {
      if (newest === id && !told?.loaded.includes(collection)) halfMade.set(collection, id);
    }
  }
  return halfMade;
}

/** The record of the start cannot be read, but its key holds the time at which the restore began. */
function mayHaveBegunSince(key: string, since: Date): boolean {
  const parsed = parseControlKey(key);
  const at = parsed?.kind === "restore-started" ? timeOfId(parsed.id) : undefined;
  return at !== undefined && at >= since;
}

/** Restores into whatever target that began after `since` and have not ended. */
export async function restoresNotEnded(
  control: ObjectStoreReader,
  since: Date,
  reportUnreadable: ReportUnreadable,
): Promise<RestoreRecord[]> {
  const keys = await keysUnder(control, controlLayout.restores);
  const isLate = (id: string) => (timeOfId(id)?.getTime() ?? Number.POSITIVE_INFINITY) >= since.getTime();
  const late = keys.filter((key) => {
    const parsed = parseControlKey(key);
    return (parsed?.kind === "restore-started" || parsed?.kind === "restore-done") && isLate(parsed.id);
  });
  const done = await endedAmong(control, late);
  const open = late.filter((key) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "restore-started" && !done.has(parsed.id);
  });
  return (await readRecords(control, open, restoreRecordSchema, reportUnreadable)).map(({ record }) => record);
}
