/** Leaves a later finding about a recovery point beside it: create-only, like everything. */
import { newId } from "../../domain/identifier.ts";
import { digestOf } from "../../domain/recovery-points/quarantine.ts";
import type { Attestation, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { attestationSchema } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { toDrError } from "../../errors.ts";
import type { Progress } from "../../ports/progress.ts";
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

/**
 * Says of a recovery point that was made a moment ago that it is not whole. What comes in the way is told, and nothing else: what it is
 * doubted for is the error that matters.
 */
export async function doubtMade(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
  { at, because, progress }: { readonly at: Date; readonly because: string; readonly progress: Progress },
): Promise<void> {
  try {
    await attest(repository, "doubted", recoveryPoint, { at, region: recoveryPoint.region, detail: because });
  } catch (error) {
    progress({ step: "quarantine", detail: `${recoveryPoint.id} could not be doubted: ${toDrError(error).message}` });
  }
}
