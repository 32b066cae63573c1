import { formatCount } from "../domain/format.ts";
import type { RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { toDrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import { attest } from "../repository/catalog/attest.ts";
import type { OpenRepository } from "../repository/repository.ts";

/**
 * Leaves beside a recovery point that a Qdrant held all of it and answered as the source did. Who may only read the repository has
 * restored all the same: that the finding could not be left is told.
 */
export async function attestRestored(
  {
    clock,
    progress,
    region,
    repository,
  }: {
    readonly clock: Clock;
    readonly progress: Progress;
    readonly region: string;
    readonly repository: OpenRepository;
  },
  recoveryPoint: RecoveryPoint,
  tested: { readonly points: number; readonly samples: number; readonly canaries: number; readonly recall?: number },
): Promise<void> {
  const recall = tested.recall === undefined ? "" : `, the index finds at least ${percent(tested.recall)} %`;
  const detail = `${formatCount(recoveryPoint.collections.length)} collections, ${formatCount(tested.points)} points, ${formatCount(tested.samples)} samples, ${formatCount(tested.canaries)} queries${recall}`;
  try {
    await attest(repository, "restored", recoveryPoint, { at: clock.now(), region, detail });
  } catch (error) {
    progress({ step: "record", detail: `that it was restored is not recorded: ${toDrError(error).message}` });
  }
}

/** Rounded down: what is not all is not 100 %. */
function percent(share: number): number {
  return Math.floor(100 * share);
}
