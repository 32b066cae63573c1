/**
 * Which of two recovery points is newer, and how far a time is believed: here, and nowhere else. No clock decides alone.
 * - Order: a capture takes an id after all that it finds in its bucket, whatever its own clock says. Where a bucket's clock says that a
 *   manifest was stored long before the time in its id, the bucket's clock counts.
 * - Age: a time that is ahead of the bucket's clock, or of the clock of who reads it, is no time at which anything happened.
 */
import { formatSeconds } from "../format.ts";
import { newId, timeOfId } from "../identifier.ts";

/** Clocks that are kept right differ by less. */
const clocksDifferMs = 60_000;
/** An id beyond is nobody's clock: ids that follow it could not be written. */
const lastFollowed = Date.parse("9000-01-01T00:00:00Z");
/** Stores that keep no times say some year before anything was stored here. */
const firstStored = Date.parse("2026-01-01T00:00:00Z");

/** The id of what is made now, after everything that is there. */
export function idAfter(now: Date, earlier: Iterable<string>): string {
  let at = now.getTime();
  for (const id of earlier) {
    const other = timeOfId(id)?.getTime();
    if (other !== undefined && other >= at && other < lastFollowed) at = other + 1;
  }
  return newId(new Date(at));
}

/** The one of these ids that the next one has to come after; undefined when there is none. */
export function newestIdOf(ids: Iterable<string>): string | undefined {
  let newest: string | undefined;
  let newestMs = Number.NEGATIVE_INFINITY;
  for (const id of ids) {
    const time = timeOfId(id)?.getTime();
    if (time === undefined || time >= lastFollowed || time < newestMs) continue;
    newest = id;
    newestMs = time;
  }
  return newest;
}

/** A recovery point as a bucket lists it. */
export interface ListedRecoveryPoint {
  readonly id: string;
  /** When its manifest was stored, by the bucket's clock. */
  readonly storedAt?: Date | undefined;
  /** When its capture began by the clock of who captured, where the manifest was read. */
  readonly startedAt?: string | undefined;
}

/** For sorting, the older one first. */
export function compareAge(a: ListedRecoveryPoint, b: ListedRecoveryPoint): number {
  const [placeA, placeB] = [placeInTime(a), placeInTime(b)];
  if (placeA !== placeB) return placeA < placeB ? -1 : 1;
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

/** Of many: the place of each is found out once. */
export function sortNewestFirst<Item>(items: Iterable<Item>, listedOf: (item: Item) => ListedRecoveryPoint): Item[] {
  const placed = Array.from(items, (item) => ({ item, id: listedOf(item).id, place: placeInTime(listedOf(item)) }));
  placed.sort((a, b) => b.place - a.place || (a.id < b.id ? 1 : -1));
  return placed.map(({ item }) => item);
}

/** Milliseconds since 1970; ids that tell no time come before all others. */
export function placeInTime({ id, startedAt, storedAt }: ListedRecoveryPoint): number {
  const claimed =
    timeOfId(id)?.getTime() ?? (startedAt === undefined ? Number.NEGATIVE_INFINITY : Date.parse(startedAt));
  return contradicts(storedAt, claimed) ? storedAt.getTime() : claimed;
}

/** What else knows when something happened. */
export interface Witnesses {
  /** When the record of it was stored, by the store's clock. */
  readonly storedAt?: Date | undefined;
  /** The clock of who reads it. */
  readonly now: Date;
}

/** The time that is told, or the earlier one at which it was stored; undefined when that is ahead of who reads it. */
export function believedTime(told: string | Date, { now, storedAt }: Witnesses): Date | undefined {
  const believed = notAfterStored(told, storedAt);
  return isAhead(believed.getTime(), now) ? undefined : believed;
}

/** The time that is told, or the earlier one at which the record of it was stored. */
function notAfterStored(told: string | Date, storedAt: Date | undefined): Date {
  const time = new Date(told);
  return contradicts(storedAt, time.getTime()) ? storedAt : time;
}

/** When who left a record was there for certain: the store's clock, where it keeps times, is no clock of who may be wrong. */
export function lastSeen(told: Date, storedAt: Date | undefined): Date {
  return keepsTimes(storedAt) ? storedAt : told;
}

/** Whether the store knows that it was earlier. */
function contradicts(storedAt: Date | undefined, told: number): storedAt is Date {
  return keepsTimes(storedAt) && isAhead(told, storedAt);
}

function keepsTimes(storedAt: Date | undefined): storedAt is Date {
  return storedAt !== undefined && storedAt.getTime() >= firstStored;
}

/** Why a time is not believed as it is told; undefined when it is. */
export function doubtOf(what: string, told: string, { now, storedAt }: Witnesses): string | undefined {
  const time = Date.parse(told);
  const ahead = (of: Date) => formatSeconds((time - of.getTime()) / 1000);
  const conclusion = "a clock is wrong, and it does not count as that new";
  if (isAhead(time, now)) return `${what} is of ${told}, ${ahead(now)} ahead of the clock here: ${conclusion}`;
  if (!contradicts(storedAt, time)) return undefined;
  return `${what} is of ${told}, ${ahead(storedAt)} ahead of the clock of the bucket that it was stored in: ${conclusion}`;
}

/** How far two clocks are apart, in words; undefined where that is no more than clocks that are kept right differ by. */
export function differenceOf(here: Date, there: Date): string | undefined {
  if (isAhead(here.getTime(), there)) return `${inWords(here, there)} ahead of`;
  return isAhead(there.getTime(), here) ? `${inWords(there, here)} behind` : undefined;
}

function inWords(later: Date, earlier: Date): string {
  return formatSeconds((later.getTime() - earlier.getTime()) / 1000);
}

/** Whether it was less than `ms` ago; what is ahead of the clock was not. */
export function isWithin(ms: number, told: string | Date, now: Date): boolean {
  const time = new Date(told).getTime();
  return !isAhead(time, now) && now.getTime() - time < ms;
}

function isAhead(time: number, of: Date): boolean {
  return time - of.getTime() > clocksDifferMs;
}
