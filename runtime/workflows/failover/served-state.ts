import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { compareWithObservation } from "../observe-collection.ts";
import type { RegionSession } from "../region-session.ts";

/**
 * Refuses a Qdrant that does not hold what the active region began to serve from after a failover.
 * Throws ROLE_REFUSES when it is not active since one, and VERIFICATION_FAILED when the Qdrant holds something else.
 */
export async function requireServedState(active: RegionSession, database: VectorDatabase): Promise<void> {
  const { region } = active.region;
  const epoch = newestEpoch(await readEpochs(active.stores.control));
  if (epoch?.active !== region || epoch.reason !== "failover" || epoch.recoveryPoint === undefined) {
    throw new DrError(
      "ROLE_REFUSES",
      `${region} is not active since a failover: no recovery point says from what it began to serve`,
      { hint: "leave --against out; `qdrant-dr status` shows the roles" },
    );
  }
  const repository = await active.repository();
  const recoveryPoint = await repository.readRecoveryPoint(epoch.recoveryPoint);
  const present = await database.collections();
  for (const captured of recoveryPoint.collections) {
    const [difference] = present.includes(captured.name)
      ? await compareWithObservation(database, captured, await repository.keys.key(captured.key))
      : [`${captured.name} is missing`];
    if (difference === undefined) continue;
    throw new DrError("VERIFICATION_FAILED", `what --against names does not hold ${recoveryPoint.id}: ${difference}`, {
      hint: `\`qdrant-dr restore --stack ${region} --recovery-point ${recoveryPoint.id} --to <url>\` into an empty Qdrant`,
    });
  }
}
