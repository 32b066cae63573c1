/** Which of the findings about a recovery point keep it from being restored. */
import type { Attestation } from "./recovery-point.ts";

type QuarantineKind = Extract<Attestation["kind"], "quarantined" | "folders-quarantined">;

/** Those that no healing has ended. Only damage heals. */
export function standingQuarantines(attestations: readonly Attestation[]): readonly Attestation[] {
  const healedAt = attestations.filter(({ kind }) => kind === "healed").map(({ at }) => Date.parse(at));
  const newest = Math.max(...healedAt, Number.NEGATIVE_INFINITY);
  return attestations.filter(({ at, damaged, kind }) => {
    if (kind !== "quarantined" && kind !== "folders-quarantined") return false;
    return damaged === undefined || Date.parse(at) > newest;
  });
}

/** The first of this kind. */
export function standingQuarantine(
  attestations: readonly Attestation[],
  kind: QuarantineKind,
): Attestation | undefined {
  return standingQuarantines(attestations).find((each) => each.kind === kind);
}
