/** Reads one inventory of a region's bucket and judges every recovery point in it. */

import {
  type CatalogEntry,
  type Inventory,
  judgeRecoveryPoint,
  resolveLatestRestorable,
} from "../../domain/recovery-points/catalog.ts";
import {
  type Attestation,
  attestationSchema,
  capturesOf,
  type DataKind,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { parseRecoveryPointKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import { type EpochRecord, isOfActiveRegion } from "../../domain/roles/epoch.ts";
import { hasCode, toDrError } from "../../errors.ts";
import { readEpochs } from "../control/epochs.ts";
import { parseRecord, type TellUnreadable, untold } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";

export interface Catalog {
  readonly entries: readonly CatalogEntry[];
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
  /** Keys of records beside the recovery points that could not be read, and were not obeyed. */
  readonly unreadable: readonly string[];
}

export async function readCatalog(repository: OpenRepository): Promise<Catalog> {
  const unreadable: string[] = [];
  const tell: TellUnreadable = (key) => unreadable.push(key);
  const [{ inventory, recoveryPointKeys }, epochs] = await Promise.all([
    listRepository(repository),
    readEpochs(repository.stores.control, tell),
  ]);
  const packs = new Map<string, readonly Pack[]>();
  const entries: CatalogEntry[] = [];
  for (const recoveryPointId of recoveryPointsIn(recoveryPointKeys)) {
    entries.push(await readEntry(repository, recoveryPointId, { recoveryPointKeys, inventory, epochs, packs }, tell));
  }
  entries.sort((a, b) => Date.parse(a.recoveryPoint?.startedAt ?? "") - Date.parse(b.recoveryPoint?.startedAt ?? ""));
  return { entries, inventory, epochs, unreadable };
}

/**
 * What `resolveLatestRestorable` answers of the whole catalog, for as few readings as it takes: ids begin with the time, of
 * the same clock as the recovery points' own. With it, how many recovery points are listed, and where none is complete, what the newest lacks.
 */
export async function readNewestRecoveryPoint(repository: OpenRepository): Promise<{
  readonly newest: ReturnType<typeof resolveLatestRestorable>;
  readonly listed: number;
  readonly wanting?: string;
}> {
  const [{ inventory, recoveryPointKeys }, epochs] = await Promise.all([
    listRepository(repository),
    readEpochs(repository.stores.control),
  ]);
  const packs = new Map<string, readonly Pack[]>();
  const ids = recoveryPointsIn(recoveryPointKeys).sort().reverse();
  let wanting: string | undefined;
  for (const recoveryPointId of ids) {
    const entry = await readEntry(repository, recoveryPointId, { recoveryPointKeys, inventory, epochs, packs });
    const newest = resolveLatestRestorable([entry]);
    if (newest !== undefined) return { newest, listed: ids.length };
    wanting ??= `${recoveryPointId}: ${entry.reasons[0] ?? `it holds ${entry.recoveryPoint?.kinds.join(", ")}`}`;
  }
  return { newest: undefined, listed: ids.length, ...(wanting === undefined ? {} : { wanting }) };
}

/** By the keys alone: one that cannot be read says it, too. */
export async function isQuarantined({ stores }: OpenRepository, recoveryPointId: string): Promise<boolean> {
  for await (const _quarantine of stores.repository.list(storeLayout.attestation(recoveryPointId, "quarantined", "")))
    return true;
  return false;
}

/** What a capture builds on. */
export interface CaptureBase {
  /**
   * The newest recovery point of an active region that is not quarantined and holds `kind`; whether all its objects are there is not
   * judged here: the capture looks at each tree that it builds on.
   */
  readonly recoveryPoints: ReadonlyMap<DataKind, RecoveryPoint>;
  /** Ids of all recovery points that are listed. */
  readonly listed: ReadonlySet<string>;
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
}

/** Reads as many manifests as it takes to find a base for each kind: usually one. */
export async function readCaptureBase(
  repository: OpenRepository,
  kinds: readonly DataKind[],
  tell: TellUnreadable,
): Promise<CaptureBase> {
  const [{ inventory, recoveryPointKeys }, epochs] = await Promise.all([
    listRepository(repository),
    readEpochs(repository.stores.control, tell),
    // Asked for meanwhile: every manifest and tree needs it.
    repository.keys.key(repository.description.key),
  ]);
  const listed = recoveryPointsIn(recoveryPointKeys);
  const recoveryPoints = new Map<DataKind, RecoveryPoint>();
  const quarantines = [...recoveryPointKeys.keys()].filter((key) => key.includes("quarantined"));
  const isQuarantined = (id: string, kind: "quarantined" | "folders-quarantined" = "quarantined") =>
    quarantines.some((key) => key.startsWith(storeLayout.attestation(id, kind, "")));
  // Ids begin with the time; should a clock have been wrong, an older base is as right as the newest, only dearer.
  for (const recoveryPointId of [...listed].sort().reverse()) {
    if (kinds.every((kind) => recoveryPoints.has(kind))) break;
    if (isQuarantined(recoveryPointId)) continue;
    const recoveryPoint = await whenReadable(repository.readRecoveryPoint(recoveryPointId));
    if (recoveryPoint === undefined) tell(storeLayout.manifest(recoveryPointId));
    if (recoveryPoint === undefined || !isOfActiveRegion(recoveryPoint, epochs)) continue;
    const areFoldersBad = isQuarantined(recoveryPointId, "folders-quarantined");
    for (const kind of recoveryPoint.kinds) {
      if (recoveryPoints.has(kind) || (areFoldersBad && kind !== "qdrant")) continue;
      recoveryPoints.set(kind, recoveryPoint);
    }
  }
  return { recoveryPoints, listed: new Set(listed), inventory, epochs };
}

export async function readEntry(
  repository: OpenRepository,
  recoveryPointId: string,
  seen: {
    readonly recoveryPointKeys: Inventory;
    readonly inventory: Inventory;
    readonly epochs: readonly EpochRecord[];
    /** Those of trees that were read already; more are added. */
    readonly packs: Map<string, readonly Pack[]>;
  },
  tell: TellUnreadable = untold,
): Promise<CatalogEntry> {
  const attestations = await readAttestations(repository, recoveryPointId, seen.recoveryPointKeys, tell);
  try {
    const recoveryPoint = await repository.readRecoveryPoint(recoveryPointId);
    await readPacks(repository, recoveryPoint, seen.inventory, seen.packs);
    return judgeRecoveryPoint(recoveryPoint, { ...seen, attestations });
  } catch (error) {
    if (hasCode(error, "UNREACHABLE", "ACCESS_DENIED", "STORE_REFUSED")) throw error;
    return { id: recoveryPointId, state: "unreadable", reasons: [toDrError(error).message], attestations };
  }
}

export function recoveryPointsIn(recoveryPointKeys: Inventory): string[] {
  return [...recoveryPointKeys.keys()].flatMap((key) => {
    const parsed = parseRecoveryPointKey(key);
    return parsed?.kind === "manifest" ? [parsed.recoveryPointId] : [];
  });
}

export async function listRepository(
  repository: OpenRepository,
): Promise<{ recoveryPointKeys: Inventory; inventory: Inventory }> {
  // Manifests before packs and trees: what is written after the first listing can only be more.
  const recoveryPointKeys = await inventoryOf(repository, storeLayout.recoveryPoints);
  const [packs, trees] = await Promise.all([
    inventoryOf(repository, storeLayout.packs),
    inventoryOf(repository, storeLayout.trees),
  ]);
  return { recoveryPointKeys, inventory: new Map([...packs, ...trees]) };
}

async function inventoryOf(repository: OpenRepository, prefix: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of repository.stores.repository.list(prefix)) sizes.set(key, size);
  return sizes;
}

async function readPacks(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
  inventory: Inventory,
  packs: Map<string, readonly Pack[]>,
): Promise<void> {
  for (const { tree } of capturesOf(recoveryPoint)) {
    if (packs.has(tree.id) || !inventory.has(storeLayout.tree(tree.id))) continue;
    const read = await whenReadable(repository.readTree(tree.id, treePacksSchema));
    // Judged as "cannot be read" otherwise; other recovery points may be whole.
    if (read !== undefined) packs.set(tree.id, read.packs);
  }
}

async function readAttestations(
  repository: OpenRepository,
  recoveryPointId: string,
  recoveryPointKeys: Inventory,
  tell: TellUnreadable,
): Promise<Attestation[]> {
  const keys = [...recoveryPointKeys.keys()].filter((key) =>
    key.startsWith(`${storeLayout.recoveryPoints}${recoveryPointId}/attestations/`),
  );
  const read = await Promise.all(
    keys.map(async (key) => {
      const bytes = await repository.stores.repository.get(key);
      try {
        return [parseRecord(attestationSchema, key, bytes)];
      } catch (error) {
        if (!hasCode(error, "OBJECT_CORRUPT")) throw error;
        tell(key);
        // One that cannot be read must not hide every recovery point of the bucket; but its key says that it is a quarantine.
        const quarantines = ["quarantined", "folders-quarantined"] as const;
        const kind = quarantines.find((each) => key.startsWith(storeLayout.attestation(recoveryPointId, each, "")));
        if (kind === undefined) return [];
        const detail = `${key} says so, and cannot be read`;
        return [{ recoveryPoint: recoveryPointId, kind, at: new Date(0).toISOString(), region: "unknown", detail }];
      }
    }),
  );
  return read.flat();
}
