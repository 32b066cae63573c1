/** What happens before a capture stores anything: its plan is written, and what captures that were cut off left is looked for. */
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { Progress } from "../../../ports/progress.ts";
import { unfinishedCaptures } from "../../../repository/catalog/capture-session.ts";
import { findOrphanedPieces } from "../../../repository/catalog/orphaned-pieces.ts";
import type { CaptureBase } from "../../../repository/catalog/read-catalog.ts";
import type { OrphanedPieces } from "../../../repository/content/content-writer.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { unreadableReporter } from "../../name-unreadable.ts";
import type { CaptureMemory } from "../capture-memory.ts";
import type { CaptureWorkers } from "../capture-workers.ts";
import type { Storing } from "./storing.ts";

export interface StoringContext {
  readonly repository: OpenRepository;
  readonly memory: CaptureMemory | undefined;
  /** A run that remembers its base: it was not cut off since the last recovery point. */
  readonly isContinued: boolean;
  readonly workers: CaptureWorkers;
  readonly progress: Progress;
}

export class StoringStarter {
  readonly #context: StoringContext;

  constructor(context: StoringContext) {
    this.#context = context;
  }

  for(plan: CapturePlan, base: CaptureBase): Storing {
    const { isContinued, memory, workers } = this.#context;
    let announced: Promise<void> | undefined;
    let orphaned: Promise<OrphanedPieces | undefined> | undefined;
    return {
      begin: async () => {
        memory?.forget();
        announced ??= workers.announce(plan);
        await announced;
      },
      orphanedPieces: async () => {
        if (!isContinued) orphaned ??= this.#orphanedPieces(plan, base);
        return orphaned;
      },
    };
  }

  /** Looked for only when an earlier capture was cut off since the last recovery point was made: it costs a list of the packs. */
  async #orphanedPieces(plan: CapturePlan, base: CaptureBase): Promise<OrphanedPieces | undefined> {
    const { progress, repository } = this.#context;
    const newest = [...base.recoveryPoints.values()].map(({ startedAt }) => Date.parse(startedAt));
    const since = newest.length === 0 ? undefined : new Date(Math.max(...newest));
    const unfinished = await unfinishedCaptures(repository, since, unreadableReporter(progress));
    const cutOff = unfinished.filter(
      ({ plan: { recoveryPoint } }) => recoveryPoint !== plan.recoveryPoint || plan.workers > 1,
    );
    return cutOff.length === 0 ? undefined : findOrphanedPieces(repository, cutOff, base.prunes);
  }
}
