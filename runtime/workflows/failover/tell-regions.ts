/** Epoch records of a failover in both regions' control stores. */

import { withTimeout } from "../../async/with-timeout.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { claimEpoch } from "../../repository/control/epochs.ts";

const toldWithinMs = 5_000;

/**
 * One create-only write in the store of the region that is promoted decides; the other region is told as well as
 * possible: its gate closes when it learns of the epoch, there or by looking here.
 */
export async function claimAndTell(
  record: EpochRecord,
  { control, otherControl }: { readonly control: ObjectStore; readonly otherControl: ObjectStore | undefined },
): Promise<string> {
  const claimed = await claimEpoch(control, record);
  if (claimed.run !== record.run || claimed.active !== record.active) {
    const { active, epoch, reason, run } = claimed;
    throw new DrError("EPOCH_CONFLICT", `another run (${run}) claimed epoch ${epoch} first: ${active}, ${reason}`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }
  return `epoch ${record.epoch}${await tell(otherControl, record)}`;
}

async function tell(control: ObjectStore | undefined, record: EpochRecord): Promise<string> {
  if (control === undefined) return "; the other region could not be told";
  try {
    // Nobody is served meanwhile; and create-only, the record does no harm if it comes later.
    const told = await withTimeout(toldWithinMs, "its control store", () => claimEpoch(control, record));
    if (told.run === record.run && told.active === record.active) return ", told to the other region";
    return `; the other region holds another epoch ${told.epoch}, by run ${told.run}`;
  } catch (error) {
    return `; the other region could not be told: ${toDrError(error).message}`;
  }
}
