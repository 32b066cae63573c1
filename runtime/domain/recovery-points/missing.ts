/** What a recovery point lacks, because its capture could not read it: a partial recovery point. */
import { DrError, type ErrorCode, errorCodes, toDrError } from "../../errors.ts";
import type { DataKind, Missing } from "./recovery-point.ts";

/** What may lack something. Absent in recovery points of before: they are whole. */
interface MayLack {
  readonly missing?: readonly Missing[] | undefined;
}

export function missingFrom({ missing }: MayLack): readonly Missing[] {
  return missing ?? [];
}

/** What it lacks of these kinds, and of Qdrant of these collections. */
export function missingAmong(
  recoveryPoint: MayLack,
  kinds: readonly DataKind[],
  collections: readonly string[] | undefined,
): readonly Missing[] {
  return missingFrom(recoveryPoint).filter(
    ({ kind, name }) => kinds.includes(kind) && (kind !== "qdrant" || (collections?.includes(name) ?? true)),
  );
}

/** Names of the collections that it does not hold at all. */
export function lackedCollections(recoveryPoint: MayLack): string[] {
  return missingFrom(recoveryPoint).flatMap(({ heldAsOf, kind, name }) =>
    kind === "qdrant" && heldAsOf === undefined ? [name] : [],
  );
}

export function missingBecause(part: Pick<Missing, "kind" | "name" | "path">, thrown: unknown): Missing {
  const { code, hint, message } = toDrError(thrown);
  return { ...part, code, because: message, hint };
}

/** The error of which something was left out, when nothing is left that could be captured without it. */
export function errorOf({ because, code, hint }: Missing): DrError {
  const known = code in errorCodes ? (code as ErrorCode) : "CAPTURE_INCOMPLETE";
  return new DrError(known, `${because}; nothing was committed`, { hint });
}

/** How a command ends that did all it could with what is there. Undefined when nothing is missing. */
export function partialityOf(recoveryPoint: string, missing: readonly Missing[]): DrError | undefined {
  const [first, ...others] = missing;
  if (first === undefined) return undefined;
  const more = others.length === 0 ? "" : `, and ${others.length} more parts`;
  const { hint = "mend it, and capture again" } = first;
  return new DrError("RECOVERY_POINT_PARTIAL", `${recoveryPoint} is partial: ${missingInWords(first)}${more}`, {
    hint,
  });
}

/** One line for people. */
export function missingInWords({ because, heldAsOf, kind, name, path }: Missing): string {
  const what = kind === "qdrant" ? `collection ${name}` : `${kind} ${name}${path === undefined ? "" : `, ${path}`}`;
  return `${what} ${heldAsOf === undefined ? "is not in it" : `is in it as of ${heldAsOf}`}: ${because}`;
}

/** Equal where the same parts are missing, whatever the reasons. */
export function sameMissing(a: readonly Missing[], b: readonly Missing[]): boolean {
  const partsOf = (missing: readonly Missing[]) =>
    missing
      .map(({ heldAsOf, kind, name, path }) => JSON.stringify([kind, name, path, heldAsOf]))
      .sort()
      .join();
  return partsOf(a) === partsOf(b);
}
