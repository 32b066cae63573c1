/** Leaves a later finding about a recovery point beside it: create-only, like everything. */
import { newId } from "../../domain/identifier.ts";
import { digestOf } from "../../domain/recovery-points/quarantine.ts";
import type { Attestation, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { attestationSchema } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { createRecord } from "../record.ts";
import type { OpenRepository } from "../repository.ts";

export async function attest(
  repository: OpenRepository,
  kind: Attestation["kind"],
  recoveryPoint: RecoveryPoint | { readonly id: string },
  finding: {
    readonly at: Date;
    readonly region: string;
    readonly detail: string;
    /** Keys of what is damaged. */
    readonly damaged?: readonly string[];
  },
): Promise<void> {
  const { at, damaged, ...told } = finding;
  const attestation: Attestation = {
    ...told,
    recoveryPoint: recoveryPoint.id,
    ...("format" in recoveryPoint ? { manifest: digestOf(recoveryPoint) } : {}),
    kind,
    at: at.toISOString(),
    ...(damaged === undefined ? {} : { damaged: [...damaged] }),
  };
  const key = storeLayout.attestation(recoveryPoint.id, kind, newId(at));
  await createRecord(repository.stores.repository, key, attestationSchema, attestation);
}
