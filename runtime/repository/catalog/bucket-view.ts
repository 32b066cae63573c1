/**
 * One look at a region's bucket: which objects are there, which recovery points are listed with their attestations, and the
 * epochs. Every recovery point is judged by one look.
 */
import { type CatalogEntry, type Inventory, judgeRecoveryPoint } from "../../domain/recovery-points/catalog.ts";
import { compareAge } from "../../domain/recovery-points/order.ts";
import {
  type Attestation,
  attestationSchema,
  capturesOf,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import {
  type ContentKind,
  contentKinds,
  contentPrefix,
  parseContentKey,
  parseStoreKey,
  type StoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { hasCode, toDrError } from "../../errors.ts";
import type { ObjectStoreReader, StoredObject } from "../../ports/object-store.ts";
import { readEpochs } from "../control/epochs.ts";
import {
  ignoreUnreadable,
  objectsUnder,
  type ReportUnreadable,
  readOptionalRecord,
  unlessUnreadable,
} from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";

type AttestationKey = Extract<StoreKey, { readonly kind: "attestation" }>;

const quarantines = ["quarantined", "folders-quarantined"] as const;

export class BucketView {
  /** Sizes of what is named by its content. */
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
  /** Ids of the recovery points whose manifests are listed. */
  readonly listed: readonly string[];
  readonly #repository: OpenRepository;
  readonly #attestations: ReadonlyMap<string, readonly AttestationKey[]>;
  /** When each manifest was stored. */
  readonly #storedAt: ReadonlyMap<string, Date | undefined>;

  private constructor(
    repository: OpenRepository,
    besideRecoveryPoints: readonly StoredObject[],
    inventory: Inventory,
    epochs: readonly EpochRecord[],
  ) {
    this.#repository = repository;
    this.inventory = inventory;
    this.epochs = epochs;
    const found = besideRecoveryPoints.map(({ key, storedAt }) => ({ parsed: parseStoreKey(key), storedAt }));
    this.#storedAt = new Map(
      found.flatMap(({ parsed, storedAt }) =>
        parsed?.kind === "manifest" ? [[parsed.recoveryPointId, storedAt]] : [],
      ),
    );
    this.listed = [...this.#storedAt.keys()];
    const keys = found.flatMap(({ parsed }) => parsed ?? []);
    this.#attestations = Map.groupBy(
      keys.filter((key) => key.kind === "attestation"),
      ({ recoveryPointId }) => recoveryPointId,
    );
  }

  static async read(
    repository: OpenRepository,
    reportUnreadable: ReportUnreadable = ignoreUnreadable,
  ): Promise<BucketView> {
    const store = repository.stores.repository;
    const [[besideRecoveryPoints, inventory], epochs] = await Promise.all([
      // Manifests before what they name: what is written after the first listing can only be more.
      objectsUnder(store, storeLayout.recoveryPoints).then(async (found) => [found, await listContent(store)] as const),
      readEpochs(repository.stores.control, reportUnreadable),
    ]);
    return new BucketView(repository, besideRecoveryPoints, inventory, epochs);
  }

  /** The newest first, as `resolveLatestRestorable` orders them. */
  newestFirst(): string[] {
    const listed = [...this.#storedAt].map(([id, storedAt]) => ({ id, storedAt }));
    return listed.sort((a, b) => compareAge(b, a)).map(({ id }) => id);
  }

  /** Whether the recovery point has an attestation of this kind, by the keys alone: one that cannot be read says it, too. */
  hasAttestation(recoveryPointId: string, finding: Attestation["kind"]): boolean {
    return this.#attestationsOf(recoveryPointId).some((key) => key.finding === finding);
  }

  /**
   * Reads and judges a recovery point.
   * @param packs those of trees that were read already; more are added.
   */
  async entry(
    recoveryPointId: string,
    packs: Map<string, readonly Pack[]>,
    reportUnreadable: ReportUnreadable = ignoreUnreadable,
  ): Promise<CatalogEntry> {
    const attestations = await this.#readAttestations(recoveryPointId, reportUnreadable);
    const storedAt = this.#storedAt.get(recoveryPointId);
    try {
      const recoveryPoint = await this.#repository.readRecoveryPoint(recoveryPointId);
      await this.#readPacks(recoveryPoint, packs);
      const { epochs, inventory } = this;
      return { ...judgeRecoveryPoint(recoveryPoint, { attestations, epochs, inventory, packs }), storedAt };
    } catch (error) {
      if (hasCode(error, "UNREACHABLE", "ACCESS_DENIED", "STORE_REFUSED")) throw error;
      return { id: recoveryPointId, state: "unreadable", reasons: [toDrError(error).message], attestations, storedAt };
    }
  }

  async #readPacks(recoveryPoint: RecoveryPoint, packs: Map<string, readonly Pack[]>): Promise<void> {
    for (const { tree } of capturesOf(recoveryPoint)) {
      if (packs.has(tree.id) || !this.inventory.has(storeLayout.tree(tree.id))) continue;
      const read = await whenReadable(this.#repository.readTree(tree.id, treePacksSchema));
      // Judged as "cannot be read" otherwise; other recovery points may be whole.
      if (read !== undefined) packs.set(tree.id, read.packs);
    }
  }

  async #readAttestations(recoveryPointId: string, reportUnreadable: ReportUnreadable): Promise<Attestation[]> {
    const read = await Promise.all(
      this.#attestationsOf(recoveryPointId).map(async ({ finding, id }) => {
        const key = storeLayout.attestation(recoveryPointId, finding, id);
        // Listed, and missing when it is asked for: not read either. Only a prune deletes attestations, after their recovery point.
        const reading = readOptionalRecord(this.#repository.stores.repository, key, attestationSchema);
        const attestation = await unlessUnreadable(key, reading, ignoreUnreadable);
        if (attestation !== undefined) return attestation;
        reportUnreadable(key);
        // One that cannot be read must not hide every recovery point of the bucket; but its key says that it is a quarantine.
        const kind = quarantines.find((each) => each === finding);
        if (kind === undefined) return [];
        const detail = `${key} says so, and cannot be read`;
        return { recoveryPoint: recoveryPointId, kind, at: new Date(0).toISOString(), region: "unknown", detail };
      }),
    );
    return read.flat();
  }

  #attestationsOf(recoveryPointId: string): readonly AttestationKey[] {
    return this.#attestations.get(recoveryPointId) ?? [];
  }
}

/** Sizes of what is named by its content, by the keys. */
async function listContent(store: ObjectStoreReader): Promise<Inventory> {
  const found = await Promise.all(contentKinds.map((kind) => sizesUnder(store, kind)));
  return new Map(found.flatMap((sizes) => [...sizes]));
}

async function sizesUnder(store: ObjectStoreReader, kind: ContentKind): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of store.list(contentPrefix(kind)))
    if (parseContentKey(key)?.kind === kind) sizes.set(key, size);
  return sizes;
}
