/** Finds positions in a journal by time. */
import { beginOfJournal, type JournalPosition } from "../../domain/journal/position.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { findObject, newestPosition } from "./journal-reader.ts";

/**
 * The last position before this time, by the clocks of the writers; the begin of what is kept when all of it is later. What is older than
 * the journal keeps is gone, and counts as earlier.
 */
export async function positionBefore(
  store: ObjectStoreReader,
  region: string,
  time: Date,
  newest?: JournalPosition,
): Promise<JournalPosition> {
  const end = newest ?? (await newestPosition(store, region));
  let before = beginOfJournal;
  let [from, to] = [1, end.number];
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    const found = await findObject(store, region, middle);
    if (found === undefined) from = middle + 1;
    else if (Date.parse(found.header.at) < time.getTime()) {
      before = found.position;
      from = Math.max(middle, found.position.number) + 1;
    } else to = middle - 1;
  }
  return before;
}
