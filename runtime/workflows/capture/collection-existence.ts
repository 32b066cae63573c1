import { withTimeout } from "../../async/with-timeout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { CollectionList, CollectionReader } from "../../ports/qdrant.ts";
import { waitAtMost } from "../../time/wait-until.ts";

const learnedWithinMs = 10_000;
/** A single server knows at once; what it answers may still be of a moment before. */
const learnedAloneWithinMs = 1_000;
const lookEveryMs = 200;
/** A server that answers nothing any more tells nothing about a drop either. */
const answersWithinMs = 20_000;

/** What tells whether a collection is there. */
export type CollectionNames = Pick<CollectionReader, "aliases" | "exists" | "listCollections">;

/**
 * Whether a collection that a list does not name is not there: a list that comes back short drops nothing. Its name may
 * have become an alias, by which Qdrant answers for another one. Throws UNREACHABLE when only silent peers could tell.
 */
export async function isGone(database: CollectionNames, collection: string): Promise<boolean> {
  if (await database.exists(collection)) {
    return (await database.aliases()).some(({ alias }) => alias === collection);
  }
  // The peer that was asked may have just come back, and not know of the collection yet.
  const { answered, names, silent } = await database.listCollections();
  if (names.includes(collection)) return false;
  if (isMajority({ answered, silent })) return true;
  throw new DrError(
    "UNREACHABLE",
    `whether ${collection} was dropped is not known: no peer that answers knows it, and ${silent.join(", ")} does not answer`,
    { hint: "try again when the peer answers; one that is gone for good is taken out of the region's `qdrant.peers`" },
  );
}

/**
 * What a collection has become of which a question was refused. Dropped: a majority of the peers answers, and none names it any more.
 * Unknown: no peer answers. The peers of a cluster learn of a drop one after another, so that a refusal is looked into for a while.
 */
export async function whatBecameOf(
  { clock, database }: { readonly clock: Clock; readonly database: Pick<CollectionReader, "listCollections"> },
  collection: string,
  error: unknown,
): Promise<"dropped" | "there" | "unknown"> {
  let isCluster = true;
  const look = async () => {
    const list = await listOf(database);
    if (list === undefined) return "unknown";
    isCluster = list.answered + list.silent.length > 1;
    return !list.names.includes(collection) && isMajority(list) && "dropped";
  };
  const found = await look();
  if (found !== false) return found;
  const withinMs = isCluster ? learnedWithinMs : learnedAloneWithinMs;
  if (!hasCode(error, "QDRANT_REFUSED")) return "there";
  return (await waitAtMost(clock, { withinMs, everyMs: lookEveryMs }, look)) ?? "there";
}

/** A majority of the peers has at least one member that knows of each change that the cluster's consensus has accepted. */
function isMajority({ answered, silent }: Pick<CollectionList, "answered" | "silent">): boolean {
  return answered > silent.length;
}

async function listOf(database: Pick<CollectionReader, "listCollections">): Promise<CollectionList | undefined> {
  try {
    return await withTimeout(answersWithinMs, "Qdrant", () => database.listCollections());
  } catch (error) {
    if (hasCode(error, "UNREACHABLE")) return undefined;
    throw error;
  }
}
