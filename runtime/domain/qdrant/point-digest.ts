/** Compares what Qdrant answers about points in two places. */
import type { DataKey } from "../recovery-points/key.ts";
import { nameOf } from "../recovery-points/sealing.ts";

/** A point in the answer of a search. */
export interface ScoredPoint {
  readonly id: number | bigint | string;
  /** Null where it is not finite. */
  readonly score: number | null;
}

/** Scores of an exact search may differ in the last digits from one layout of segments to another: by so much, and of large ones by this share. */
const scoreTolerance = 1e-4;

/** As much of a hash as nobody meets twice. */
const digestBytes = 16;

/** A keyed digest of a point's payload and vectors, whatever the order of their keys. */
export function digestSketch(key: DataKey, { content }: { readonly content: string }): string {
  return Buffer.from(nameOf(key, Buffer.from(content)), "hex")
    .subarray(0, digestBytes)
    .toString("base64url");
}

/** Equal answers, but for the order of equals and for which of several equals made the cut. */
export function isSameAnswer(before: readonly ScoredPoint[], now: readonly ScoredPoint[]): boolean {
  if (before.length !== now.length) return false;
  if (!before.every(({ score }, rank) => isNear(score, now[rank]?.score))) return false;
  const cut = before.at(-1)?.score;
  const idsNow = new Set(now.map(({ id }) => id));
  return before.every(({ id, score }) => idsNow.has(id) || isNear(score, cut));
}

/** How many of the best points a search by the index found: those of an exact search, or others as near. */
export function countFound(best: readonly ScoredPoint[], found: readonly ScoredPoint[]): number {
  const cut = best.at(-1)?.score;
  const ids = new Set(best.map(({ id }) => id));
  return found.slice(0, best.length).filter(({ id, score }) => ids.has(id) || isNear(score, cut)).length;
}

function isNear(a: ScoredPoint["score"], b: ScoredPoint["score"] | undefined): boolean {
  if (typeof a !== "number" || typeof b !== "number") return a === b;
  return Math.abs(a - b) <= scoreTolerance * Math.max(1, Math.abs(a), Math.abs(b));
}
