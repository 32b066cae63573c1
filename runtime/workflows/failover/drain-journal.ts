/** Brings what the lost region's journal holds and the standby has not applied yet; then the limits of its collections hold again. */
import type { FollowedState } from "../../repository/control/followed-records.ts";
import { JournalFollower } from "../journal/journal-follower.ts";
import { StandbyTurn } from "../replicate/standby-turn.ts";
import type { RoleChangePlan } from "./plan-failover.ts";
import type { RoleChangeRequest } from "./request.ts";

/** Can be repeated until clients write here. */
export async function drainJournal(
  { clock, database, repository }: Pick<RoleChangeRequest, "clock" | "database" | "repository">,
  { epoch, region }: Pick<RoleChangePlan, "epoch" | "region">,
  followed: FollowedState,
): Promise<string> {
  // Whoever followed until now stops.
  const turn = await StandbyTurn.take({ clock, failover: epoch, region, repository });
  const follower = new JournalFollower(
    {
      reader: repository.journalOf(followed.region),
      target: database,
      control: repository.stores.control,
      refuseUnlessMine: () => turn.records.refuseUnlessMine(),
      clock,
    },
    followed,
  );
  const { position, strictModes } = await follower.drain();
  const present = new Set(await database.collections());
  for (const { collection, settings } of strictModes) {
    if (present.has(collection)) await database.setStrictMode(collection, settings);
  }
  const objects = position.number - followed.position.number;
  return `the journal of ${followed.region} is applied to its end: ${objects} objects since it was recorded last`;
}
