/** The injected reader of roles: the configuration names the initial role, the epoch records decide. */

import { withTimeout } from "../../async/with-timeout.ts";
import { type EpochRecord, effectiveRole, newestEpoch, type Role } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { untilAborted } from "../until-aborted.ts";
import { readEpochs } from "./epochs.ts";

/** A region that is lost must not hold up the other one. */
const peerAnswersWithinMs = 5_000;

/**
 * @param peerControl the other region's, which may know of a failover that this one could not be told of; asked as well as possible.
 * @throws ROLE_UNKNOWN when the control store cannot be read or holds no epoch, and when the two stores contradict each other: a
 *   guess could make two active regions.
 */
export async function readEffectiveRole(
  region: string,
  control: ObjectStoreReader,
  peerControl?: ObjectStoreReader,
): Promise<{ role: Role; epoch: EpochRecord }> {
  let records: EpochRecord[];
  try {
    records = await readEpochs(control);
  } catch (cause) {
    throw new DrError("ROLE_UNKNOWN", `the role of ${region} cannot be known: ${(cause as Error).message}`, {
      hint: "make the control store readable; nothing was changed",
      cause,
    });
  }
  const own = newestEpoch(records);
  if (own === undefined) {
    throw new DrError("ROLE_UNKNOWN", `the role of ${region} cannot be known: its control store holds no epoch`, {
      hint: "it is not the store of this estate, or it was emptied; nothing was changed",
    });
  }
  const theirs = peerControl && (await newestThere(peerControl));
  if (theirs?.epoch === own.epoch && theirs.active !== own.active) {
    throw new DrError(
      "ROLE_UNKNOWN",
      `the control stores name two active regions for epoch ${own.epoch}: ${own.active}, ${theirs.active}`,
      { hint: "look at the records `epochs/` of both; nothing was changed" },
    );
  }
  const epoch = theirs !== undefined && theirs.epoch > own.epoch ? theirs : own;
  return { role: effectiveRole(region, epoch), epoch };
}

async function newestThere(control: ObjectStoreReader): Promise<EpochRecord | undefined> {
  try {
    return newestEpoch(
      await withTimeout(peerAnswersWithinMs, "the other region's control store", (signal) =>
        readEpochs(untilAborted(control, signal)),
      ),
    );
  } catch {
    return undefined;
  }
}
