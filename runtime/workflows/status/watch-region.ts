/** Looks at a region again and again, and says what the looks come to. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Judgement, type JudgeRules, judge, judgeRules, type Look } from "../../domain/estate/judge-region.ts";
import type { Clock, Progress } from "../../ports.ts";
import { lookAtRegion } from "./look-at-region.ts";
import { type ObservedRegion, patience } from "./observed-region.ts";

const everyMs = 1_000;

export interface WatchRequest {
  readonly region: ObservedRegion;
  readonly witness: ObservedRegion | undefined;
  /** 0: one look. */
  readonly seconds: number;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly answerMs?: number;
  readonly rules?: JudgeRules;
}

export interface Watched {
  readonly look: Look;
  readonly judgement: Judgement;
  readonly looks: number;
}

export async function watchRegion(request: WatchRequest): Promise<Watched> {
  const { answerMs = patience.answerMs, clock, progress, region, rules = judgeRules, seconds, witness } = request;
  const end = performance.now() + seconds * 1000;
  let judgement: Judgement | undefined;
  for (let looks = 1; ; looks += 1) {
    const begun = performance.now();
    const look = await lookAtRegion(region, witness, clock, answerMs);
    const before: Judgement | undefined = judgement;
    judgement = judge(before, look, rules);
    if (seconds > 0 && judgement.verdict !== before?.verdict) {
      progress({ step: "judge", detail: `${region.region} is ${judgement.verdict}` });
    }
    const next = Math.max(begun + everyMs, performance.now());
    if (next > end) return { look, judgement, looks };
    await sleep(next - performance.now());
  }
}
