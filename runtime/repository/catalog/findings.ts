/** What stands beside recovery points, read for who looks at all of them. */
import type { Finding } from "../../domain/recovery-points/quarantine.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { type AttestationKey, attestationKeyOf, readAttestations } from "./attestations.ts";

export interface Findings {
  /** Ids of the recovery points whose manifests are listed. */
  readonly recoveryPoints: readonly string[];
  /** Ids of those of which only findings are listed. */
  readonly gone: readonly string[];
  /** By the recovery point. */
  readonly attestations: ReadonlyMap<string, readonly Finding[]>;
}

export async function readFindings(store: ObjectStoreReader): Promise<Findings> {
  const recoveryPoints = new Set<string>();
  const found = new Set<string>();
  const keys: AttestationKey[] = [];
  for await (const object of store.list(storeLayout.recoveryPoints)) {
    const parsed = parseStoreKey(object.key);
    if (parsed?.kind === "manifest") recoveryPoints.add(parsed.recoveryPointId);
    const finding = attestationKeyOf(object);
    if (finding === undefined) continue;
    found.add(finding.recoveryPointId);
    keys.push(finding);
  }
  const findings = await readAttestations(store, keys);
  return {
    recoveryPoints: [...recoveryPoints],
    gone: [...found].filter((id) => !recoveryPoints.has(id)),
    attestations: Map.groupBy(findings, ({ recoveryPoint }) => recoveryPoint),
  };
}
