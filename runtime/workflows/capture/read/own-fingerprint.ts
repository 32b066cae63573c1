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
  /** Control store of the region, where its test restores note what they give; undefined: they count as any restore. */
  readonly control: ObjectStoreReader | undefined;
}

export async function ownFingerprint(
  { clock, control, database }: FingerprintSource,
  shard: ShardPlacement,
): Promise<string> {
  if (control === undefined) return database.restoreFingerprint(shard);
  const process = await database.processStart(shard);
  let fingerprint = "";
  let before = await readScratchUploads(control, process, clock.now());
  await waitAtMost(clock, settles, async () => {
    const told = await database.restoreFingerprint(shard);
    const after = await readScratchUploads(control, process, clock.now());
    fingerprint = without(told, after.taken);
    const isSettled = before.taken === after.taken && before.underWay + after.underWay === 0;
    before = after;
    return isSettled;
  });
  return fingerprint;
}

/** A fingerprint ends in the number of restores, unless the process cannot tell. */
function without(fingerprint: string, taken: number): string {
  const [, start, count] = /^(.*\/)(\d+)$/.exec(fingerprint) ?? [];
  return start === undefined ? fingerprint : `${start}${Number(count) - taken}`;
}
