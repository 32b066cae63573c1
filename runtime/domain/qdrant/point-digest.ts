/** Whether what Qdrant answers about points is the same in two places. */

import { isWrittenNumber, numberText, withPlainFloats } from "../exact-json.ts";
import type { DataKey } from "../recovery-points/key.ts";
import { nameOf } from "../recovery-points/sealing.ts";

export interface Answer {
  readonly id: number | bigint | string;
  /** Null where it is not finite. */
  readonly score: number | null;
}

/** Scores of an exact search may differ in the last digits from one layout of segments to another. */
const scoreTolerance = 1e-4;

interface Content {
  readonly payload: unknown;
  readonly vector: unknown;
}

/** A keyed digest of a point's payload and vectors, whatever the order of their keys. */
export function digestPoint(key: DataKey, { payload, vector }: Content): string {
  return nameOf(key, Buffer.from(canonicalJson({ numbers: "exact", payload, vector })));
}

/** Whether this is the point's digest; recovery points of before have digests to which `1.0` and `1` were the same. */
export function hasDigest(key: DataKey, { payload, vector }: Content, digest: string): boolean {
  if (digest === digestPoint(key, { payload, vector })) return true;
  return digest === nameOf(key, Buffer.from(canonicalJson({ payload: withPlainFloats(payload), vector })));
}

/** Equal answers, but for the order of equals and for which of several equals made the cut. */
export function isSameAnswer(before: readonly Answer[], now: readonly Answer[]): boolean {
  if (before.length !== now.length) return false;
  if (!before.every(({ score }, rank) => isNear(score, now[rank]?.score))) return false;
  const cut = before.at(-1)?.score;
  const idsNow = new Set(now.map(({ id }) => id));
  return before.every(({ id, score }) => idsNow.has(id) || isNear(score, cut));
}

function isNear(a: Answer["score"], b: Answer["score"] | undefined): boolean {
  return typeof a === "number" && typeof b === "number" ? Math.abs(a - b) <= scoreTolerance : a === b;
}

export function canonicalJson(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint" || isWrittenNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
