/**
 * Deletes records of a control store that tell nothing any more: of runs, restores and schedules after the days of the settings, of what a
 * standby held after a month. Killed anywhere, the next prune goes on.
 */
import { type ExpiredRecords, expiredRecords, type ListedRecord } from "../../domain/history/expired-records.ts";
import { controlLayout, dayOf, hourOf } from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import { mostKeysAtOnce, type PrunableStore } from "../../ports/prunable-store.ts";

const dayMs = 24 * 3_600_000;
/** A replicator says every few seconds what its standby holds: nobody asks for that after a month. */
const standbyDays = 30;
/** A replicator leaves some thousand records in an hour. */
const foldersAtOnce = 50;

/** Whole, because what stands there is told apart by what stands beside it. */
const places = [
  controlLayout.restores,
  controlLayout.snapshots,
  controlLayout.schedule,
  controlLayout.scratchUploads,
  controlLayout.probes,
  controlLayout.verifiedSlots,
  controlLayout.prunes,
];

export interface RecordRetention {
  readonly recordDays: number;
  /** By the store's clock and this machine's, whichever is behind. */
  readonly now: Date;
}

/** What may go, place by place. */
export async function* findExpiredRecords(
  control: ObjectStoreReader,
  { now, recordDays }: RecordRetention,
): AsyncGenerator<ExpiredRecords> {
  const before = new Date(now.getTime() - recordDays * dayMs);
  const standbyBefore = new Date(now.getTime() - Math.min(recordDays, standbyDays) * dayMs);
  for (const place of places) yield expiredRecords(await listed(control, [place]), before);
  const dated = [
    { folder: controlLayout.runs, until: dayOf(before), before },
    { folder: controlLayout.standbyStates, until: hourOf(standbyBefore), before: standbyBefore },
    { folder: controlLayout.standbyFollowed, until: hourOf(standbyBefore), before: standbyBefore },
  ];
  for (const { before, folder, until } of dated) {
    const old: string[] = [];
    for await (const name of control.folders(folder)) if (name <= until) old.push(`${folder}${name}/`);
    old.sort();
    // Of each few folders the newest records stay: the last one of a kind may be as old. What is left, the next run looks at together.
    for (let start = 0; start < old.length; start += foldersAtOnce) {
      yield expiredRecords(await listed(control, old.slice(start, start + foldersAtOnce)), before);
    }
  }
}

async function listed(control: ObjectStoreReader, prefixes: readonly string[]): Promise<ListedRecord[]> {
  const found: ListedRecord[] = [];
  for (const prefix of prefixes)
    for await (const { key, storedAt } of control.list(prefix)) found.push({ key, storedAt });
  return found;
}

export interface RecordsPrune {
  readonly control: ObjectStoreReader;
  readonly prunable: PrunableStore;
  readonly retention: RecordRetention;
  readonly progress: Progress;
  stayMine(): Promise<void>;
}

export interface RecordsPruned {
  readonly deleted: number;
  /** The store keeps them, or lets nobody delete them. */
  readonly kept: number;
}

/** A control store from which nothing may be deleted keeps its records: what is to be pruned is another one's. */
export async function pruneRecords({
  control,
  progress,
  prunable,
  retention,
  stayMine,
}: RecordsPrune): Promise<RecordsPruned> {
  let [deleted, kept] = [0, 0];
  for await (const { begun, ended } of findExpiredRecords(control, retention)) {
    for (const inOrder of [begun, ended]) {
      let locked = 0;
      for (let start = 0; start < inOrder.length; start += mostKeysAtOnce) {
        await stayMine();
        const few = inOrder.slice(start, start + mostKeysAtOnce);
        try {
          locked += (await prunable.delete(few)).length;
        } catch (error) {
          if (!hasCode(error, "ACCESS_DENIED")) throw error;
          progress({ step: "records", detail: `the control store keeps its old records: ${error.message}` });
          return { deleted, kept: kept + inOrder.length - start };
        }
      }
      deleted += inOrder.length - locked;
      kept += locked;
      // What says that something has ended stays as long as what says that it was begun.
      if (locked > 0) break;
    }
  }
  return { deleted, kept };
}
