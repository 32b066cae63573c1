/**
 * Which records of a control store tell nothing any more. What decides stays for ever: epochs, fences, openings, leases, steps of
 * changes of roles, kept recovery points, keys, heals. So does what is numbered from 1 without a gap: its newest is found by its numbers.
 */
import { timeOfId } from "../identifier.ts";
import { type ControlKey, parseControlKey } from "../recovery-points/store-layout.ts";

export interface ListedRecord {
  readonly key: string;
  /** By the store's clock; undefined where it does not tell. */
  readonly storedAt?: Date | undefined;
}

export interface ExpiredRecords {
  readonly begun: readonly string[];
  /** They say that something has ended: they go when nothing says any more that it was begun. */
  readonly ended: readonly string[];
}

/** So many of the newest restores stay, however old they are: captures and the estimate of a restore look at them. */
const newestRestores = 20;
/** So many of the newest numbers stay whole: readers step back over some that they cannot use. */
const newestNumbers = 200;

/**
 * @param listed all records of some places. What a listing does not show makes none of the others go.
 * @param before records are over that were made before, by their own time and by the store's.
 */
export function expiredRecords(listed: readonly ListedRecord[], before: Date): ExpiredRecords {
  const known = listed.flatMap(({ key, storedAt }) => {
    const record = parseControlKey(key);
    return record === undefined ? [] : [{ key, record, isOld: storedAt !== undefined && storedAt < before }];
  });
  const old = known.filter(({ isOld }) => isOld);
  const ends = known.filter(({ record }) => record.kind === "restore-done").sort(byKey);
  const restores = new Set(ends.slice(0, -newestRestores).flatMap(({ isOld, record }) => (isOld ? idOf(record) : [])));
  const snapshots = new Set(old.flatMap(({ record }) => (isGone(record) ? idOf(record) : [])));
  const newestNumber = new Map<string, number>();
  for (const { record } of known) {
    const { log, number } = numberOf(record) ?? {};
    if (log !== undefined) newestNumber.set(log, Math.max(number ?? 0, newestNumber.get(log) ?? 0));
  }
  const newestOfKind = new Map<string, string>();
  for (const { key, record } of known.sort(byKey)) {
    const sort = sortOf(record);
    if (sort !== undefined) newestOfKind.set(sort, key);
  }
  const isOver = (key: string, record: ControlKey): boolean => {
    const sort = sortOf(record);
    if (sort !== undefined && newestOfKind.get(sort) === key) return false;
    switch (record.kind) {
      case "run":
      case "standby-state":
      case "followed-position":
      case "scratch-upload":
      case "probe":
        return isBefore(timeOfId(record.id), before);
      case "verified-slot":
        return isBefore(new Date(record.seconds * 1_000), before);
      case "restore-started":
      case "restore-alive":
      case "restore-done":
        return restores.has(record.id) && isBefore(timeOfId(record.id), before);
      case "snapshot":
        return snapshots.has(record.id) && isBefore(timeOfId(record.id), before);
      case "scheduled-end":
      case "scheduled-beat":
      case "prune-part":
      case "prune-part-done": {
        const { log = "", number = 0 } = numberOf(record) ?? {};
        return number <= (newestNumber.get(log) ?? 0) - newestNumbers;
      }
      default:
        return false;
    }
  };
  const over = old.filter(({ key, record }) => isOver(key, record));
  const isEnd = (record: ControlKey) => record.kind === "restore-done" || isGone(record);
  return {
    begun: over.filter(({ record }) => !isEnd(record)).map(({ key }) => key),
    ended: over.filter(({ record }) => isEnd(record)).map(({ key }) => key),
  };
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}

function isBefore(time: Date | undefined, before: Date): boolean {
  return time !== undefined && time < before;
}

function isGone(record: ControlKey): boolean {
  return record.kind === "snapshot" && record.phase === "gone";
}

function idOf(record: ControlKey): string[] {
  return "id" in record ? [record.id] : [];
}

/** Records of which the newest tells what the last one was. */
function sortOf(record: ControlKey): string | undefined {
  if (record.kind === "run") return `run ${record.run}`;
  if (record.kind === "standby-state") return `state ${record.phase}`;
  return record.kind === "followed-position" ? "followed" : undefined;
}

function numberOf(record: ControlKey): { readonly log: string; readonly number: number } | undefined {
  switch (record.kind) {
    case "scheduled-turn":
    case "scheduled-end":
    case "scheduled-beat":
      return { log: record.run, number: record.turn };
    case "prune":
    case "prune-part":
    case "prune-part-done":
      return { log: "prunes", number: record.number };
    default:
      return undefined;
  }
}
