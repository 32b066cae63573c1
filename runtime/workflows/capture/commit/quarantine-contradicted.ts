import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Progress } from "../../../ports/progress.ts";
import { attest } from "../../../repository/catalog/attest.ts";
import { listNewestFirst } from "../../../repository/catalog/listed-recovery-points.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { whenReadable } from "../../../repository/when-readable.ts";
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
    const suspects: RecoveryPoint[] = [];
    for await (const { id } of listNewestFirst(repository.stores.repository)) {
      const recoveryPoint = await whenReadable(repository.readRecoveryPoint(id));
      if (recoveryPoint === undefined || !recoveryPoint.kinds.includes("qdrant")) continue;
      if (recoveryPoint.type === "full") break;
      suspects.push(recoveryPoint);
    }
    const names = [...new Set(contradicted.map(({ collection }) => collection))].join(", ");
    const detail =
      `the full capture ${plan.recoveryPoint} found ${first.collection} shard ${first.shard.id}: ${first.contradictions[0]} with the same ` +
      `version and other bytes; the history of ${names} is not what its versions say`;
    for (const recoveryPoint of suspects.reverse()) {
      await attest(repository, "doubted", recoveryPoint, {
        at: clock.now(),
        region: plan.region,
        detail,
      });
      progress({ step: "quarantine", detail: recoveryPoint.id });
    }
  }
}
