/**
 * Every restore of a region's recovery points leaves a record in its control store before it changes anything, and another when it
 * is done. The records break lineages (a restore makes Qdrant's version counters another server's), and tell which collections
 * are half-made.
 */
import { z } from "zod";
import { timeOfId } from "../../domain/identifier.ts";
import { isWithin, notAfterStored } from "../../domain/recovery-points/order.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import {
  createRecord,
  ignoreUnreadable,
  keysUnder,
  objectsUnder,
  type ReportUnreadable,
  readRecords,
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
});
export type RestoreRecord = z.infer<typeof restoreRecordSchema>;

export async function recordRestoreStart(control: ObjectStore, record: RestoreRecord): Promise<void> {
  await createRecord(control, controlLayout.restore(record.id), restoreRecordSchema, record);
}

export async function recordRestoreEnd(
  control: ObjectStore,
  record: RestoreRecord,
  at: Date,
  outcome?: RestoreRecord["outcome"],
): Promise<void> {
  const done = { ...record, at: at.toISOString(), outcome };
  await createRecord(control, controlLayout.restoreDone(record.id), restoreRecordSchema, done);
}

/** A record of a start, and when it was stored by the store's clock. */
export type BegunRestore = RestoreRecord & { readonly storedAt?: Date | undefined };

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

/** @param target undefined: the region's own Qdrant. */
export async function readRestores(
  control: ObjectStoreReader,
  target?: string,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<RestoreRecords> {
  const objects = await objectsUnder(control, controlLayout.restores);
  const keys = objects.map(({ key }) => key);
  const storedAt = new Map(objects.map((object) => [object.key, object.storedAt]));
  const ended = keys.flatMap((key) => endedIn(key) ?? []);
  const unreadable: string[] = [];
  const begun = await readRecords(
    control,
    keys.filter((key) => parseControlKey(key)?.kind === "restore-started"),
    restoreRecordSchema,
    (key) => unreadable.push(key),
  );
  for (const key of unreadable) reportUnreadable(key);
  return {
    begun: inOrder(
      begun
        .map(({ key, record }) => ({ ...record, storedAt: storedAt.get(key) }))
        .filter((record) => record.target === target),
    ),
    done: new Set(ended),
    unreadable: unreadable.sort(),
  };
}

/** The id of the restore that ended, when this is the key that says so: what it holds is needed for nothing else. */
function endedIn(key: string): string | undefined {
  const parsed = parseControlKey(key);
  return parsed?.kind === "restore-done" ? parsed.id : undefined;
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
export function unfinishedCollections({ begun, done, unreadable }: RestoreRecords): Map<string, RestoreRecord> {
  const newest = new Map<string, RestoreRecord>();
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

/**
 * Restores that began less than `withinMs` ago and have not ended. One whose record cannot be read holds up nothing: it breaks lineages
 * only. Where the clock of who restores was ahead, that of the store says when it began.
 */
export function restoresUnderWay({ begun, done }: RestoreRecords, withinMs: number, now: Date): string[] {
  const isRecent = ({ at, storedAt }: BegunRestore) =>
    storedAt === undefined
      ? isWithin(withinMs, at, now)
      : // A store that is ahead of the clock here says that it may have begun just now.
        now.getTime() - notAfterStored(at, storedAt).getTime() < withinMs;
  return begun.filter((record) => !done.has(record.id) && isRecent(record)).map(({ id }) => id);
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
  const done = new Set(keys.flatMap((key) => endedIn(key) ?? []));
  const open = keys.filter((key) => {
    const parsed = parseControlKey(key);
    if (parsed?.kind !== "restore-started" || done.has(parsed.id)) return false;
    const at = timeOfId(parsed.id);
    return at === undefined || at >= since;
  });
  return (await readRecords(control, open, restoreRecordSchema, reportUnreadable)).map(({ record }) => record);
}
