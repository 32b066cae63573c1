/**
 * One look at a region's bucket: which recovery points are listed with their attestations, the epochs, and which of the objects that
 * they name are there. Every recovery point is judged by one look. It lists and asks for what is asked of it, and no more.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type CatalogEntry, judgeRecoveryPoint, objectsOf } from "../../domain/recovery-points/catalog.ts";
import { digestOf, findingsAbout } from "../../domain/recovery-points/quarantine.ts";
import { capturesOf, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { hasCode, toDrError } from "../../errors.ts";
import { readEpochs } from "../control/epochs.ts";
import { ignoreUnreadable, type ReportUnreadable } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { readAttestations } from "./attestations.ts";
import { ContentPresence } from "./content-presence.ts";
import {
  type ListingBounds,
  listFrom,
  listNewestFirst,
  listOne,
  type RecoveryPointInBucket,
} from "./listed-recovery-points.ts";

const treesAtOnce = 8;

export class BucketView {
  readonly epochs: readonly EpochRecord[];
  readonly presence: ContentPresence;
  readonly #repository: OpenRepository;
  readonly #reportUnreadable: ReportUnreadable;

  private constructor(
    repository: OpenRepository,
    epochs: readonly EpochRecord[],
    presence: ContentPresence,
    reportUnreadable: ReportUnreadable,
  ) {
    this.#repository = repository;
    this.epochs = epochs;
    this.presence = presence;
    this.#reportUnreadable = reportUnreadable;
  }

  /** @param presence what is known of earlier looks, and how much may be asked; everything when left out. */
  static async read(
    repository: OpenRepository,
    reportUnreadable: ReportUnreadable = ignoreUnreadable,
    presence: ContentPresence = new ContentPresence(repository),
  ): Promise<BucketView> {
    const epochs = await readEpochs(repository.stores.control, reportUnreadable);
    return new BucketView(repository, epochs, presence, reportUnreadable);
  }

  /** As `resolveLatestRestorable` orders them. */
  newestFirst(bounds?: ListingBounds): AsyncGenerator<RecoveryPointInBucket> {
    return listNewestFirst(this.#repository.stores.repository, bounds);
  }

  /** See `listFrom`: in no order. */
  from(fromMs: number): Promise<RecoveryPointInBucket[]> {
    return listFrom(this.#repository.stores.repository, fromMs);
  }

  /** Undefined when it is not listed. */
  find(recoveryPointId: string): Promise<RecoveryPointInBucket | undefined> {
    return listOne(this.#repository.stores.repository, recoveryPointId);
  }

  /**
   * Reads and judges a recovery point.
   * @param isWanted false: its objects are not asked for, and it is not complete, nor called anything else for that.
   */
  async entry(
    listed: RecoveryPointInBucket,
    isWanted: (recoveryPoint: RecoveryPoint) => boolean = () => true,
  ): Promise<CatalogEntry> {
    const { id, storedAt } = listed;
    const found = await readAttestations(
      this.#repository.stores.repository,
      listed.attestations,
      this.#reportUnreadable,
    );
    try {
      const recoveryPoint = await this.#repository.readRecoveryPoint(id);
      const attestations = findingsAbout(recoveryPoint, found, { digest: digestOf(recoveryPoint), storedAt });
      if (!isWanted(recoveryPoint)) {
        return { id, state: "incomplete", reasons: [], recoveryPoint, attestations, storedAt };
      }
      const { packs, unasked } = await this.#packsOf(recoveryPoint);
      // Manifests are listed before what they name is asked for: what is written since can only be more.
      const inventory = await this.presence.sizesOf(objectsOf(recoveryPoint, packs).keys());
      const evidence = { attestations, epochs: this.epochs, inventory, packs, unasked };
      return { ...judgeRecoveryPoint(recoveryPoint, evidence), storedAt };
    } catch (error) {
      if (hasCode(error, "UNREACHABLE", "ACCESS_DENIED", "STORE_REFUSED")) throw error;
      return { id, state: "unreadable", reasons: [toDrError(error).message], attestations: found, storedAt };
    }
  }

  async #packsOf(
    recoveryPoint: RecoveryPoint,
  ): Promise<{ readonly packs: Map<string, readonly Pack[]>; readonly unasked: Set<string> }> {
    const packs = new Map<string, readonly Pack[]>();
    const unasked = new Set<string>();
    const trees = new Set(capturesOf(recoveryPoint).map(({ tree }) => tree.id));
    await forEachConcurrently(treesAtOnce, trees, async (id) => {
      const found = await this.presence.packsOf(id);
      if (found === "not asked") unasked.add(id);
      else if (found !== undefined) packs.set(id, found);
    });
    return { packs, unasked };
  }
}
