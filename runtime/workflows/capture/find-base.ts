/** Finds what a capture builds on. */
import type { CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import type { DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import type { Progress } from "../../ports/progress.ts";
import { type CaptureBase, readCaptureBase } from "../../repository/catalog/read-catalog.ts";
import { epochsAfter, readEpochs } from "../../repository/control/epochs.ts";
import { isPlannedSince } from "../../repository/prune/prune-sight.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { unreadableReporter } from "../name-unreadable.ts";

export interface BaseSource {
  readonly repository: OpenRepository;
  readonly kinds: readonly DataKind[];
  /** What this run made; only the epochs since, and whether a prune was planned since, are read then. */
  readonly remembered: CaptureBase | undefined;
  /** Nothing that was captured before is of what is captured now. */
  readonly buildsOnNothing?: boolean | undefined;
  readonly progress: Progress;
}

export class BaseFinder {
  readonly #source: BaseSource;

  constructor(source: BaseSource) {
    this.#source = source;
  }

  async find(): Promise<CaptureBase> {
    const { buildsOnNothing = false, kinds, progress, remembered, repository } = this.#source;
    if (buildsOnNothing) {
      return { ...(await readCaptureBase(repository, [], unreadableReporter(progress))), recoveryPoints: new Map() };
    }
    if (remembered === undefined) return readCaptureBase(repository, kinds, unreadableReporter(progress));
    const { control } = repository.stores;
    // What this run remembers may be in the plan.
    if (await isPlannedSince(control, remembered.prunes)) {
      return readCaptureBase(repository, kinds, unreadableReporter(progress));
    }
    const newest = newestEpoch(remembered.epochs);
    const epochs =
      newest === undefined
        ? await readEpochs(control)
        : [...remembered.epochs, ...(await epochsAfter(control, newest.epoch))];
    return { ...remembered, epochs };
  }

  /** The recovery point that the plan builds on: another worker that proposed it may have found another base than this one. */
  async recoveryPointOf({ base: id }: CapturePlan, base: CaptureBase): Promise<RecoveryPoint | undefined> {
    if (id === undefined) return undefined;
    const known = [...base.recoveryPoints.values()].find((recoveryPoint) => recoveryPoint.id === id);
    return known ?? this.#source.repository.readRecoveryPoint(id);
  }
}
