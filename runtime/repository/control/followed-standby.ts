/** Whether a standby still holds what it followed of the journal: replication by captures may have changed it since. */
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { type FollowedState, readFollowed } from "./followed-records.ts";
import { readStandbyKnowledge } from "./standby-records.ts";

/** Undefined when it did not follow this region's journal in this epoch, or something else was brought or begun to be brought since. */
export async function readFollowedStandby(
  control: ObjectStoreReader,
  { epoch, region }: Pick<FollowedState, "region" | "epoch">,
  now: Date,
): Promise<FollowedState | undefined> {
  const followed = await readFollowed(control);
  if (followed?.region !== region || followed.epoch !== epoch) return undefined;
  const { begunAt, held, making } = await readStandbyKnowledge(control, now);
  const isSince = (at: string | undefined) => at !== undefined && Date.parse(at) > Date.parse(followed.at);
  if (isSince(held?.at)) return undefined;
  // What the journal did not tell is brought by a capture while the rest is followed: that it was cut off says nothing of the rest.
  const isOwn = (name: string) => followed.unreconciled.some(({ collection }) => collection === name);
  return isSince(begunAt) && !making.every(({ name }) => isOwn(name)) ? undefined : followed;
}
