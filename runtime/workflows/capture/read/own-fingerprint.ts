/** What a peer tells of everything that may have made its versions another server's, without what test restores gave it. */
import type { Clock } from "../../../ports/clock.ts";
import type { ObjectStoreReader } from "../../../ports/object-store.ts";
import type { ShardPlacement, ShardReader } from "../../../ports/qdrant.ts";
import { readScratchUploads } from "../../../repository/control/scratch-uploads.ts";
import { waitAtMost } from "../../../time/wait-until.ts";

/** A shard that was taken is noted at once; one that is still on its way counts nowhere yet. */
const settles = { withinMs: 10_000, everyMs: 200 };

export interface FingerprintSource {
  readonly clock: Clock;
  readonly database: Pick<ShardReader, "processStart" | "restoreFingerprint">;
  /** Control store of the region, where its test restores note what they give. */
  readonly control: ObjectStoreReader;
  /** What a run was told before: the store is asked only when a peer tells something new. */
  readonly known: KnownFingerprints;
}

/** By peer: what it told, and that without what test restores gave it. */
export type KnownFingerprints = Map<number, { readonly told: string; readonly own: string }>;

export async function ownFingerprint(
  { clock, control, database, known }: FingerprintSource,
  shard: ShardPlacement,
): Promise<string> {
  let told = await database.restoreFingerprint(shard);
  const before = known.get(shard.peer);
  if (before?.told === told) return before.own;
  const process = await database.processStart(shard);
  let own = "";
  let noted = await readScratchUploads(control, process, clock.now());
  await waitAtMost(clock, settles, async () => {
    told = await database.restoreFingerprint(shard);
    const after = await readScratchUploads(control, process, clock.now());
    own = without(told, after.taken);
    const isOne = noted.taken === after.taken;
    // What was counted and is not noted yet would make it another one: nothing else was given to the process then.
    const isSettled = isOne && (own === before?.own || noted.underWay + after.underWay === 0);
    noted = after;
    return isSettled;
  });
  known.set(shard.peer, { told, own });
  return own;
}

/** A fingerprint ends in the number of restores, unless the process cannot tell. */
function without(fingerprint: string, taken: number): string {
  const [, start, count] = /^(.*\/)(\d+)$/.exec(fingerprint) ?? [];
  return start === undefined ? fingerprint : `${start}${Number(count) - taken}`;
}
