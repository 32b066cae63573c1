/**
 * How large an object may be that is read whole. Who can write to a store can put anything there: what is larger is refused before
 * its bytes come, and never written by this tool.
 */
import { sealedAtMost } from "./sealing.ts";
import { largestTree } from "./shard-tree.ts";
import { isOfJournal, keyBelowStream, parseContentKey } from "./store-layout.ts";

/** Records of a few fields: the gate reads no others. */
const smallest = 64 * 1024;
/** Records that name collections, folders, shards or objects. */
const listing = 8 * 1024 * 1024;
/** Eight times what a pack holds today. */
const largestPack = 64 * 1024 * 1024;
/** The text of a journal object's entries: one point may be as long as a request. */
export const largestEntries = 48 * 1024 * 1024;
const largestJournalObject = 64 * 1024 + sealedAtMost(largestEntries);
const keyIdLength = 32;
const largestSealed = keyIdLength + sealedAtMost(largestTree);

const small = /^(epochs|fences|openings|leases|keys|scratch|probes|snapshots|schedule|alerts)\/|^repository\.json$/;
const sealed = /^(trees\/|facts\/|healed\/|recovery-points\/[^/]+\/[^/]+\/manifest$|sessions\/)/;

/** The most bytes that the object of this key may have. */
export function mostBytesOf(object: string): number {
  const key = keyBelowStream(object) ?? object;
  if (small.test(key)) return smallest;
  if (isOfJournal(key)) return largestJournalObject;
  if (parseContentKey(key)?.kind === "pack") return largestPack;
  return sealed.test(key) ? largestSealed : listing;
}
