import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { healedInWords } from "../heal/text.ts";
import type { ReadAnswer } from "./answer.ts";

export function verifiedInWords(answer: ReadAnswer, region: string, found: readonly RecoveryPoint[]): string {
  return [
    ...answer.recoveryPoints.map((each) => wholeInWords(each, answer.tier, region, found)),
    ...answer.missing.map((each) => `  missing: ${missingInWords(each)}`),
    ...(answer.share === undefined ? [] : [shareInWords(answer.share)]),
    ...(answer.healed === undefined ? [] : healedInWords(answer.healed)),
  ].join("\n");
}

function wholeInWords(
  { bytes, collections, files, folders, recoveryPoint, seconds }: ReadAnswer["recoveryPoints"][number],
  tier: ReadAnswer["tier"],
  region: string,
  found: readonly RecoveryPoint[],
): string {
  const isPartial = found.some((each) => each.id === recoveryPoint && missingFrom(each).length > 0);
  const whole = tier === "chunks" ? "is whole" : "has all that it names";
  const state = isPartial ? `is partial, and what it holds ${whole}` : whole;
  const parts = [
    ...(collections === 0 ? [] : [`${formatCount(collections)} collections`]),
    ...(folders === 0 ? [] : [`${formatCount(folders)} folders`]),
  ];
  const held = parts.length === 0 ? "nothing" : parts.join(" and ");
  const read =
    tier === "chunks" ? `, ${formatCount(files)} files, ${formatBytes(bytes)} read in ${formatSeconds(seconds)}` : "";
  return `${recoveryPoint} ${state} in ${region}: ${held}${read}`;
}

function shareInWords({ bytes, damaged, objects, readSince, share }: NonNullable<ReadAnswer["share"]>): string {
  const known = damaged === 0 ? "nothing is known to be damaged" : `${formatCount(damaged)} objects are damaged`;
  const now = `${formatCount(objects)} objects, ${formatBytes(bytes)} now`;
  return `everything in the store, in turn within 30 days: ${now}, ${Math.floor(share * 100)} % since ${readSince}; ${known}`;
}
