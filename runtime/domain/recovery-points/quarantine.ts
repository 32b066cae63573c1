/** Which of the findings about a recovery point keep it from being restored. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../exact-json.ts";
import type { Attestation, RecoveryPoint } from "./recovery-point.ts";

type QuarantineKind = Extract<Attestation["kind"], "quarantined" | "folders-quarantined">;

/** What an attestation names, so that it says nothing of another recovery point of the same id. */
export function digestOf(recoveryPoint: RecoveryPoint): string {
  return createHash("sha256").update(canonicalJson(recoveryPoint)).digest("hex");
}

/** As it is read, with when it was stored, by the store's clock, where that is told. */
export interface Finding extends Attestation {
  readonly storedAt?: Date | undefined;
}

/** Who captures a full recovery point finds at once that it was overtaken; later he has nothing to say of it. */
const doubtsFullWithinMs = 3_600_000;

/** Those that are about this recovery point and may be said of it. */
export function findingsAbout(
  { id, type }: Pick<RecoveryPoint, "id" | "type">,
  findings: readonly Finding[],
  /** Of its manifest. Left out: not known. */
  { digest, storedAt }: { readonly digest?: string | undefined; readonly storedAt?: Date | undefined },
): readonly Finding[] {
  return findings.filter((finding) => {
    if (finding.recoveryPoint !== id) return false;
    if (finding.manifest !== undefined && digest !== undefined && finding.manifest !== digest) return false;
    return finding.kind !== "doubted" || type === "incremental" || isSoonAfter(storedAt, finding.storedAt);
  });
}

function isSoonAfter(before: Date | undefined, after: Date | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  const between = after.getTime() - before.getTime();
  return between >= 0 && between <= doubtsFullWithinMs;
}

/** Those that nobody has released since, and no healing has ended. Only damage heals. */
export function standingQuarantines(attestations: readonly Attestation[]): readonly Attestation[] {
  const newestOf = (wanted: Attestation["kind"]) =>
    Math.max(
      ...attestations.flatMap(({ at, kind }) => (kind === wanted ? [Date.parse(at)] : [])),
      Number.NEGATIVE_INFINITY,
    );
  const [healedAt, releasedAt] = [newestOf("healed"), newestOf("released")];
  return attestations.filter(({ at, damaged, kind }) => {
    if (kind !== "quarantined" && kind !== "folders-quarantined" && kind !== "doubted") return false;
    const time = Date.parse(at);
    return time > releasedAt && (damaged === undefined || time > healedAt);
  });
}

/** The first that keeps Qdrant's part, or the folders, from being restored. */
export function standingQuarantine(
  attestations: readonly Attestation[],
  wanted: QuarantineKind,
): Attestation | undefined {
  return standingQuarantines(attestations).find(
    ({ kind }) => kind === wanted || (kind === "doubted" && wanted === "quarantined"),
  );
}
