/** What was found of a recovery point later, as far as it is signed by who may say that. */
import { type Attestation, attestationSchema } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, type StoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { ignoreUnreadable, keysUnder, type ReportUnreadable, readRecord, unlessMissing } from "../record.ts";

export type AttestationKey = Extract<StoreKey, { readonly kind: "attestation" }>;

const quarantines = ["quarantined", "folders-quarantined", "doubted"] as const;

export async function readAttestations(
  store: ObjectStoreReader,
  keys: readonly AttestationKey[],
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<Attestation[]> {
  const read = await Promise.all(keys.map((key) => readAttestation(store, key, reportUnreadable)));
  return read.flat();
}

/** Keys of what was found of this recovery point. */
export async function attestationsOf(store: ObjectStoreReader, recoveryPointId: string): Promise<AttestationKey[]> {
  const keys = await keysUnder(store, storeLayout.attestations(recoveryPointId));
  return keys.flatMap((key) => {
    const parsed = parseStoreKey(key);
    return parsed?.kind === "attestation" ? [parsed] : [];
  });
}

async function readAttestation(
  store: ObjectStoreReader,
  { finding, id, recoveryPointId }: AttestationKey,
  reportUnreadable: ReportUnreadable,
): Promise<Attestation[]> {
  const key = storeLayout.attestation(recoveryPointId, finding, id);
  try {
    const found = await unlessMissing(readRecord(store, key, attestationSchema));
    if (found !== undefined) return [found];
    // Listed, and missing when it is asked for: not read either. Only a prune deletes attestations, after their recovery point.
    reportUnreadable(key);
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC")) throw error;
    reportUnreadable(key);
    // What nobody signed who may say that says nothing.
    if (hasCode(error, "NOT_AUTHENTIC")) return [];
  }
  // One that cannot be read must not hide every recovery point of the bucket; but its key says that it is a quarantine.
  const kind = quarantines.find((each) => each === finding);
  if (kind === undefined) return [];
  const detail = `${key} says so, and cannot be read`;
  return [{ recoveryPoint: recoveryPointId, kind, at: new Date(0).toISOString(), region: "unknown", detail }];
}
