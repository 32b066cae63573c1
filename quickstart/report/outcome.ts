/** What a result amounts to, in words: the page and the terminal must say the same. */
import { formatCount, formatSeconds } from "../../runtime/domain/format.ts";
import type { PracticeResult } from "../domain/practice-result.ts";

export interface ObjectiveVerdict {
  readonly name: "RTO" | "RPO";
  readonly seconds: number;
  readonly objectiveSeconds: number;
  readonly isMet: boolean;
  /** How far from the objective: `29 min 52 s below the objective of 30 min`. */
  readonly distance: string;
}

export function objectiveVerdicts(result: PracticeResult): readonly ObjectiveVerdict[] {
  return [
    verdict("RTO", result.rtoSeconds, result.rtoObjectiveSeconds),
    verdict("RPO", result.rpoSeconds, result.rpoObjectiveSeconds),
  ];
}

function verdict(name: ObjectiveVerdict["name"], seconds: number, objectiveSeconds: number): ObjectiveVerdict {
  const isMet = seconds <= objectiveSeconds;
  const difference = formatSeconds(Math.abs(objectiveSeconds - seconds));
  const where = seconds === objectiveSeconds ? "exactly" : `${difference} ${isMet ? "below" : "above"}`;
  return {
    name,
    seconds,
    objectiveSeconds,
    isMet,
    distance: `${where} the objective of ${formatSeconds(objectiveSeconds)}`,
  };
}

/** One sentence on the time, one on the data. */
export function headline(result: PracticeResult): readonly string[] {
  const { lostWrites, acknowledgedWrites, rtoSeconds } = result;
  const lost = lostWrites === 0 ? "None" : formatCount(lostWrites);
  const verb = lostWrites <= 1 ? "was" : "were";
  return [
    `The primary region was killed; clients were served again after ${formatSeconds(rtoSeconds)}.`,
    `${lost} of ${formatCount(acknowledgedWrites)} acknowledged writes ${verb} lost.`,
  ];
}

/** Why this result must not be filed as a success; empty when it may. */
export function shortcomings(result: PracticeResult): readonly string[] {
  const missed = objectiveVerdicts(result).filter(({ isMet }) => !isMet);
  return [
    ...(result.verified
      ? []
      : [
          "Not verified: not every check of the copies, of the restored data and of the writes after the failover passed.",
        ]),
    ...missed.map(({ name, seconds, distance }) => `${name} missed: ${formatSeconds(seconds)} is ${distance}.`),
  ];
}
