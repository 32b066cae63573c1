/** What was found of a recovery point later, as far as it is signed by who may say that. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { timeOfId } from "../../domain/identifier.ts";
import type { Finding } from "../../domain/recovery-points/quarantine.ts";
import { type Attestation, attestationSchema } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, type StoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { ObjectStoreReader, StoredObject } from "../../ports/object-store.ts";
import { ignoreUnreadable, objectsUnder, type ReportUnreadable, readRecord, unlessMissing } from "../record.ts";

export interface AttestationKey extends Extract<StoreKey, { readonly kind: "attestation" }> {
  /** By the store's clock, where it tells that. */
  readonly storedAt: Date | undefined;
}

const quarantines = ["quarantined", "folders-quarantined", "doubted"] as const;
const readsAtOnce = 16;
/** Both are of one moment. */
const timesDifferMs = 1_000;

/** The key of a finding, as a store lists it; undefined for any other object. */
export function attestationKeyOf({
  key,
  storedAt,
}: Pick<StoredObject, "key" | "storedAt">): AttestationKey | undefined {
  const parsed = parseStoreKey(key);
  return parsed?.kind === "attestation" ? { ...parsed, storedAt } : undefined;
}

/** In the order of the keys. */
export async function readAttestations(
  store: ObjectStoreReader,
  keys: readonly AttestationKey[],
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<Finding[]> {
  const read: (Finding | undefined)[] = [];
  await forEachConcurrently(readsAtOnce, keys.entries(), async ([place, key]) => {
    read[place] = await readAttestation(store, key, reportUnreadable);
  });
  return read.filter((found) => found !== undefined);
}

/** Keys of what was found of this recovery point. */
export async function attestationsOf(store: ObjectStoreReader, recoveryPointId: string): Promise<AttestationKey[]> {
  const objects = await objectsUnder(store, storeLayout.attestations(recoveryPointId));
  return objects.flatMap((object) => attestationKeyOf(object) ?? []);
}

async function readAttestation(
  store: ObjectStoreReader,
  { finding, id, recoveryPointId, storedAt }: AttestationKey,
  reportUnreadable: ReportUnreadable,
): Promise<Finding | undefined> {
  const key = storeLayout.attestation(recoveryPointId, finding, id);
  try {
    const found = await unlessMissing(readRecord(store, key, attestationSchema));
    if (found !== undefined && saysWhatItsKeySays(found, { finding, id, recoveryPointId })) {
      return { ...found, storedAt };
    }
    // Listed, and missing when it is asked for: not read either. Only a prune deletes attestations, after their recovery point.
    reportUnreadable(key);
    // What was signed was believed of its key.
    if (found !== undefined) return undefined;
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC")) throw error;
    reportUnreadable(key);
    // What nobody signed who may say that says nothing.
    if (hasCode(error, "NOT_AUTHENTIC")) return undefined;
  }
  // One that cannot be read must not hide every recovery point of the bucket; but its key says that it is a quarantine.
  const kind = quarantines.find((each) => each === finding);
  if (kind === undefined) return undefined;
  const detail = `${key} says so, and cannot be read`;
  return { recoveryPoint: recoveryPointId, kind, at: new Date(0).toISOString(), region: "unknown", detail, storedAt };
}

/** Who may say what is known by the key alone: what is said there must be that, of that recovery point and of that time. */
function saysWhatItsKeySays(
  { at, kind, recoveryPoint }: Attestation,
  { finding, id, recoveryPointId }: Pick<AttestationKey, "finding" | "id" | "recoveryPointId">,
): boolean {
  const madeAt = timeOfId(id);
  return (
    kind === finding &&
    recoveryPoint === recoveryPointId &&
    madeAt !== undefined &&
    Math.abs(madeAt.getTime() - Date.parse(at)) <= timesDifferMs
  );
}
