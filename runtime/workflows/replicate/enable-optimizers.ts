/** Ends a standby's rest: Qdrant may merge and index again, as the recovery point's configuration says. */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/**
 * Can be repeated: what is awake is left alone, as a change of settings while its server is captured could stop it (1.19.0).
 * Merges change the standby's segments: replication recognises none of them afterwards, and must not apply differences.
 */
export async function enableOptimizers({
  recoveryPoint,
  repository,
  target,
}: {
  readonly recoveryPoint: RecoveryPoint;
  readonly repository: Pick<OpenRepository, "readFacts">;
  readonly target: Pick<VectorDatabase, "describe" | "setOptimizationThreads">;
}): Promise<void> {
  for (const collection of recoveryPoint.collections) {
    const { name } = collection;
    const { config: present } = await target.describe(name);
    if (threadsIn(present) !== 0) continue;
    const { config } = await repository.readFacts(collection);
    const wanted = threadsIn(config);
    if (wanted === 0) continue;
    // Null would leave 0 as it is (1.16.3).
    await target.setOptimizationThreads(name, wanted ?? "auto");
  }
}

function threadsIn(config: unknown): number | null | undefined {
  const { optimizer_config } = config as { optimizer_config?: { max_optimization_threads?: number | null } };
  return optimizer_config?.max_optimization_threads;
}
