/** Plans a capture: what will be read, fixed for all of its workers. */
import { forEachConcurrently } from "../../../async/for-each-concurrently.ts";
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import { idAfter } from "../../../domain/recovery-points/order.ts";
import type { CaptureType, DataKind, Missing } from "../../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { CaptureBase } from "../../../repository/catalog/read-catalog.ts";
import { newestRestore } from "../../../repository/control/restore-records.ts";
import { collectionsAtOnce } from "../../concurrency.ts";
import type { CaptureAssessment, CaptureAssessor } from "./assess-capture.ts";
import type { CollectionPlanner } from "./plan-collection.ts";
import type { SnapshotTidier } from "./tidy-snapshots.ts";

export interface PlannedRegion {
  readonly clock: Clock;
  readonly region: string;
  readonly type: CaptureType;
  readonly kinds: readonly DataKind[];
  /** How many workers share the plan. */
  readonly workers: number;
}

export class CapturePlanner {
  readonly #region: PlannedRegion;
  readonly #assessor: CaptureAssessor;
  readonly #collections: CollectionPlanner;
  readonly #tidier: SnapshotTidier | undefined;

  /** @param tidier undefined where nothing can be left to tidy. */
  constructor(
    region: PlannedRegion,
    assessor: CaptureAssessor,
    collections: CollectionPlanner,
    tidier: SnapshotTidier | undefined,
  ) {
    this.#region = region;
    this.#assessor = assessor;
    this.#collections = collections;
    this.#tidier = tidier;
  }

  async plan(base: CaptureBase): Promise<CapturePlan> {
    const { clock, kinds, region, type, workers } = this.#region;
    // Before anything is asked of the region.
    const at = clock.now();
    const assessed = await this.#assessor.assess(base);
    const [{ collections, missing }] = await Promise.all([this.#planCollections(assessed), this.#tidier?.tidy()]);
    return {
      format: 1,
      recoveryPoint: idAfter(at, base.newestId === undefined ? [] : [base.newestId]),
      type,
      kinds: [...kinds],
      workers,
      at: at.toISOString(),
      base: assessed.base?.id,
      bases: [...new Set([...base.recoveryPoints.values()].map(({ id }) => id))],
      prunes: base.prunes,
      region,
      epoch: assessed.epoch.epoch,
      restore: newestRestore(assessed.restores),
      qdrantVersion: assessed.qdrantVersion,
      collections,
      carried: [...assessed.carried],
      missing: [...assessed.missing, ...missing],
      excluded: [...assessed.excluded],
      isOfBase: assessed.isOfBase,
      folders: [...assessed.folders],
    };
  }

  async #planCollections({ epoch, wanted, ...assessed }: CaptureAssessment) {
    const collections: CapturePlan["collections"] = [];
    const missing: Missing[] = [];
    await forEachConcurrently(collectionsAtOnce, wanted, async (name) => {
      const found = await this.#collections.plan(name, epoch, assessed);
      if (found.planned !== undefined) collections.push(found.planned);
      if (found.missing !== undefined) missing.push(found.missing);
    });
    const inOrder = (a: { readonly name: string }, b: { readonly name: string }) => (a.name < b.name ? -1 : 1);
    return { collections: collections.sort(inOrder), missing: missing.sort(inOrder) };
  }
}
