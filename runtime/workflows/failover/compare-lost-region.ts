/** Compares a region that was lost in a failover with the one that is active since, or with the recovery point that was served. */
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { withFacts } from "../../repository/content/collection-facts.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { compareWithObservation } from "../observe-collection.ts";
import type { RegionSession } from "../region-session.ts";
import { type CollectionDivergence, findDivergence } from "./report-divergence.ts";

export interface LostRegionComparison {
  readonly lost: RegionSession;
  readonly active: RegionSession;
  /**
   * A Qdrant that holds the recovery point from which the active region began to serve. Nobody has written to it since: it also
   * shows which points the lost region had deleted. Without it, the active region's own Qdrant is compared.
   */
  readonly served: VectorDatabase | undefined;
}

/** Throws ROLE_REFUSES when no failover made `active` the active region, and VERIFICATION_FAILED when `served` holds something else. */
export async function compareLostRegion({
  active,
  lost,
  served,
}: LostRegionComparison): Promise<CollectionDivergence[]> {
  if (served === undefined) return findDivergence(lost.database, active.database);
  await requireServedState(active, served);
  return findDivergence(lost.database, served, { isServedState: true });
}

async function requireServedState(active: RegionSession, database: VectorDatabase): Promise<void> {
  const { region } = active.region;
  const epoch = newestEpoch(await readEpochs(active.stores.control));
  if (epoch?.active !== region || epoch.reason !== "failover" || epoch.recoveryPoint === undefined) {
    throw new DrError(
      "ROLE_REFUSES",
      `no failover made ${region} the active region: there is no recovery point from which it began to serve`,
      { hint: "leave --against out; `qdrant-dr status` shows the roles" },
    );
  }
  const repository = (await active.repository()).withStream();
  const recoveryPoint = await repository.readRecoveryPoint(epoch.recoveryPoint);
  const present = await database.collections();
  for (const captured of await withFacts(repository, recoveryPoint.collections)) {
    const { differences } = present.includes(captured.name)
      ? await compareWithObservation(database, captured, await repository.keys.key(captured.key))
      : { differences: [`${captured.name} is missing`] };
    const [difference] = differences;
    if (difference === undefined) continue;
    throw new DrError(
      "VERIFICATION_FAILED",
      `the Qdrant of --against does not hold ${recoveryPoint.id}: ${difference}`,
      {
        hint: `\`qdrant-dr restore --stack ${region} --recovery-point ${recoveryPoint.id} --to <url>\` into an empty Qdrant`,
      },
    );
  }
}
