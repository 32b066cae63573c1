/** What stands beside recovery points, read for who looks at all of them. */
import { type Attestation, attestationSchema } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { ignoreUnreadable, readRecords } from "../record.ts";

export interface Findings {
  /** Ids of the recovery points whose manifests are listed. */
  readonly recoveryPoints: readonly string[];
  /** Ids of those of which only findings are listed. */
  readonly gone: readonly string[];
  /** By the recovery point. */
  readonly attestations: ReadonlyMap<string, readonly Attestation[]>;
}

export async function readFindings(store: ObjectStoreReader): Promise<Findings> {
  const recoveryPoints = new Set<string>();
  const found = new Set<string>();
  const keys: string[] = [];
  for await (const { key } of store.list(storeLayout.recoveryPoints)) {
    const parsed = parseStoreKey(key);
    if (parsed?.kind === "manifest") recoveryPoints.add(parsed.recoveryPointId);
    if (parsed?.kind !== "attestation") continue;
    found.add(parsed.recoveryPointId);
    keys.push(key);
  }
  const records = (await readRecords(store, keys, attestationSchema, ignoreUnreadable)).map(({ record }) => record);
  return {
    recoveryPoints: [...recoveryPoints],
    gone: [...found].filter((id) => !recoveryPoints.has(id)),
    attestations: Map.groupBy(records, ({ recoveryPoint }) => recoveryPoint),
  };
}
