import { withTimeout } from "../../async/with-timeout.ts";
import { hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { CollectionReader } from "../../ports/qdrant.ts";
import { waitAtMost } from "../../time/wait-until.ts";

const learnedWithinMs = 10_000;
const lookEveryMs = 200;
/** A server that answers nothing any more tells nothing about a drop either. */
const answersWithinMs = 20_000;

/**
 * Whether Qdrant says of the collection itself that it is not there: a list that comes back short drops nothing. Its name may
 * have become an alias, by which Qdrant answers for another one.
 */
export async function isGone(database: CollectionReader, collection: string): Promise<boolean> {
  try {
    await database.describe(collection);
    return (await database.aliases()).some(({ alias }) => alias === collection);
  } catch (error) {
    if (hasCode(error, "QDRANT_REFUSED")) return true;
    throw error;
  }
}

/**
 * Whether `error` came because the collection was dropped: no peer names it any more. The peers of a cluster learn of a
 * drop one after another, so that a refusal is looked into for a while.
 */
export async function wasDropped(
  { clock, database }: { readonly clock: Clock; readonly database: CollectionReader },
  collection: string,
  error: unknown,
): Promise<boolean> {
  const withinMs = hasCode(error, "QDRANT_REFUSED") ? learnedWithinMs : 0;
  const outcome = await waitAtMost(clock, { withinMs, everyMs: lookEveryMs }, async () => {
    const names = await namesIn(database);
    if (names === undefined) return "unknown";
    return !names.includes(collection) && "dropped";
  });
  return outcome === "dropped";
}

async function namesIn(database: CollectionReader): Promise<string[] | undefined> {
  try {
    return await withTimeout(answersWithinMs, "Qdrant", () => database.collections());
  } catch (error) {
    if (hasCode(error, "UNREACHABLE")) return undefined;
    throw error;
  }
}
