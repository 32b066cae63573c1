/** Finds out whether a region may be captured now, and what of it would be: before anything is read, changed, or asked that costs the region. */
import { differenceOf } from "../../../domain/recovery-points/order.ts";
import type { DataKind, Missing, RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import { checkSupported } from "../../../domain/recovery-points/version-rule.ts";
import { type EpochRecord, newestEpoch } from "../../../domain/roles/epoch.ts";
import { DrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ObjectStoreReader } from "../../../ports/object-store.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import type { Runner } from "../../../ports/runner.ts";
import type { CaptureBase } from "../../../repository/catalog/read-catalog.ts";
import { isStepDone } from "../../../repository/control/failover-records.ts";
import {
  halfMadeCollections,
  type RestoreRecords,
  readRestores,
  restoresUnderWay,
} from "../../../repository/control/restore-records.ts";
import { ignoreUnreadable } from "../../../repository/record.ts";
import { unreadableReporter } from "../../name-unreadable.ts";
import type { FolderCapture } from "../folder-capture.ts";
import { type ChosenCollections, type CollectionChooser, isOfNow } from "./choose-collections.ts";

export interface AssessedRegion {
  readonly region: string;
  readonly clock: Clock;
  /** Where the restores and failovers of the region are recorded. */
  readonly control: ObjectStoreReader;
  readonly database: VectorDatabase;
  readonly kinds: readonly DataKind[];
  readonly folders: readonly Pick<FolderCapture, "kind" | "name">[];
  /** This run has assessed the region before, and told what there is to tell. */
  readonly isContinued: boolean;
  /** The process that captures: it knows which of its machine have ended. */
  readonly runner: Pick<Runner, "isDead"> | undefined;
  readonly progress: Progress;
}

export interface CaptureAssessment {
  readonly epoch: EpochRecord;
  readonly restores: RestoreRecords;
  /** Absent when nothing of Qdrant is captured. */
  readonly qdrantVersion: string | undefined;
  /** The recovery point that the Qdrant part builds on. */
  readonly base: RecoveryPoint | undefined;
  /** Collections that are read. */
  readonly wanted: readonly string[];
  /** Collections that stay as in the base. */
  readonly carried: readonly string[];
  /** Collections that are left out on purpose. */
  readonly excluded: readonly string[];
  /** Collections that are not read now, and that the base says it lacks. */
  readonly missing: readonly Missing[];
  /** Collections that a restore which was cut off left half-made, with its id. */
  readonly halfMade: ReadonlyMap<string, string>;
  /** Nothing was restored since the base, and no other region was active: what it holds may stand beside what is read. */
  readonly isOfBase: boolean;
  readonly folders: readonly Pick<FolderCapture, "kind" | "name">[];
}

export class CaptureAssessor {
  readonly #region: AssessedRegion;
  readonly #chooser: CollectionChooser;

  constructor(region: AssessedRegion, chooser: CollectionChooser) {
    this.#region = region;
    this.#chooser = chooser;
  }

  /** Refuses what must not be captured now: another region than the active one, half-restored data, an unsupported version. */
  async assess({ epochs, recoveryPoints }: CaptureBase): Promise<CaptureAssessment> {
    const { control, database, folders, isContinued, kinds, progress, region } = this.#region;
    const holdsQdrant = kinds.includes("qdrant");
    const epoch = newestEpoch(epochs);
    if (epoch?.active !== region) {
      throw new DrError("ROLE_REFUSES", `${region} is not the active region: ${epoch?.active ?? "none"} is`, {
        hint: "capture in the active region; recovery points of another one would be ignored",
      });
    }
    const [qdrantVersion, restores] = await Promise.all([
      holdsQdrant ? database.version() : undefined,
      readRestores(control, undefined, isContinued ? ignoreUnreadable : unreadableReporter(progress)),
    ]);
    const unproven = qdrantVersion === undefined ? undefined : checkSupported(qdrantVersion);
    if (unproven !== undefined && !isContinued) progress({ step: "version", detail: unproven });
    if (holdsQdrant && !isContinued) await this.#tellClocks();
    const halfMade = await this.#halfMadeUnlessRestoring(epoch, restores);
    const base = recoveryPoints.get("qdrant");
    const chosen: ChosenCollections = holdsQdrant
      ? await this.#chooser.choose({ epoch, restores }, base)
      : { wanted: [], carried: [], excluded: [], missing: [] };
    return {
      epoch,
      restores,
      qdrantVersion,
      base,
      halfMade,
      isOfBase: base !== undefined && isOfNow(base, { epoch, restores }),
      ...chosen,
      folders: folders.filter(({ kind }) => kinds.includes(kind)).map(({ kind, name }) => ({ kind, name })),
    };
  }

  /** Nothing is refused: the order of recovery points does not rest on it, and who reads their times looks at other clocks, too. */
  async #tellClocks(): Promise<void> {
    const { clock, database, progress } = this.#region;
    const there = await database.time();
    const difference = there && differenceOf(clock.now(), there);
    if (difference === undefined) return;
    progress({
      step: "clock",
      detail: `the clock here is ${difference} Qdrant's: one of them is wrong, and with it the time that this recovery point names. Set it right`,
    });
  }

  /**
   * Refuses while something is restored, or was restored and is not yet compared: that must not become the newest recovery point. What a
   * restore that was cut off left is known by name.
   */
  async #halfMadeUnlessRestoring(
    { active, epoch, recoveryPoint }: EpochRecord,
    restores: RestoreRecords,
  ): Promise<ReadonlyMap<string, string>> {
    const { control, runner } = this.#region;
    const watch = { now: await this.#earliestNow(restores), runner };
    const [restore] = restoresUnderWay(restores, watch);
    // Opening begins with waking the optimizers, which a capture must not meet.
    const isPromoted = recoveryPoint === undefined || (await isStepDone(control, epoch, "open"));
    if (restore === undefined && isPromoted) return halfMadeCollections(control, restores, watch);
    const what = isPromoted ? `restore ${restore} has not ended` : `the failover of epoch ${epoch} has not ended`;
    throw new DrError(
      "ROLE_REFUSES",
      `${what}: a capture now could make a half-restored state the newest recovery point of ${active}`,
      {
        hint: "let it end, or run it again; then capture. A restore that was cut off counts for some minutes",
      },
    );
  }

  /** By the clock here, or by Qdrant's if that is behind: a restore that goes on must not look dead by one clock that is ahead. */
  async #earliestNow({ begun, done }: RestoreRecords): Promise<Date> {
    const { clock, database } = this.#region;
    const here = clock.now();
    if (begun.every(({ id }) => done.has(id))) return here;
    const there = await database.time();
    return there === undefined || there > here ? here : there;
  }
}
