import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Progress } from "../../../ports/progress.ts";
import { attest } from "../../../repository/catalog/attest.ts";
import { readCatalog } from "../../../repository/catalog/read-catalog.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import type { JoinedParts } from "./join-parts.ts";

export interface QuarantineContext {
  readonly repository: OpenRepository;
  readonly clock: Clock;
  readonly progress: Progress;
}

/**
 * Quarantines recovery points that a full capture contradicts. A file with its base's version and other bytes proves that versions
 * were wrong: no incremental recovery point since the last full capture can be trusted.
 */
export class ContradictionQuarantine {
  readonly #context: QuarantineContext;

  constructor(context: QuarantineContext) {
    this.#context = context;
  }

  async quarantine(plan: CapturePlan, { collections }: JoinedParts): Promise<void> {
    const { clock, progress, repository } = this.#context;
    const contradicted = collections
      .flatMap(({ shards }) => shards)
      .filter(({ contradictions }) => contradictions.length > 0);
    const [first] = contradicted;
    if (first === undefined) return;
    const { entries } = await readCatalog(repository);
    // The oldest first.
    const recoveryPoints = entries.flatMap(({ recoveryPoint }) => (recoveryPoint === undefined ? [] : [recoveryPoint]));
    const isOfQdrant = ({ kinds }: RecoveryPoint) => kinds.includes("qdrant");
    const lastFull = recoveryPoints.findLastIndex((each) => isOfQdrant(each) && each.type === "full");
    const names = [...new Set(contradicted.map(({ collection }) => collection))].join(", ");
    const detail =
      `the full capture ${plan.recoveryPoint} found ${first.collection} shard ${first.shard.id}: ${first.contradictions[0]} with the same ` +
      `version and other bytes; the history of ${names} is not what its versions say`;
    for (const recoveryPoint of recoveryPoints.slice(lastFull + 1)) {
      if (recoveryPoint.type !== "incremental" || !isOfQdrant(recoveryPoint)) continue;
      await attest(repository, "quarantined", recoveryPoint, {
        at: clock.now(),
        region: plan.region,
        detail,
      });
      progress({ step: "quarantine", detail: recoveryPoint.id });
    }
  }
}
