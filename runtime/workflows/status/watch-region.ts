/** Looks at a region until the looks come to a verdict. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Judgement, type JudgeRules, judge, judgeRules, type Look } from "../../domain/health/judge-region.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { lookAtRegion } from "./look-at-region.ts";
import { type ObservedRegion, patience } from "./observed-region.ts";

export interface WatchRequest {
  readonly region: ObservedRegion;
  readonly witness: ObservedRegion | undefined;
  /** At most so long; 0: one look. */
  readonly seconds: number;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly answerMs?: number;
  /** From the begin of a look to that of the next. */
  readonly everyMs?: number;
  readonly rules?: JudgeRules;
}

export interface Watched {
  readonly look: Look;
  readonly judgement: Judgement;
  readonly looks: number;
}

export async function watchRegion(request: WatchRequest): Promise<Watched> {
  const { clock, progress, region, rules = judgeRules, seconds, witness } = request;
  const { answerMs = patience.answerMs, everyMs = 1_000 } = request;
  const end = performance.now() + seconds * 1000;
  let judgement: Judgement | undefined;
  for (let looks = 1; ; looks += 1) {
    const begun = performance.now();
    const look = await lookAtRegion(region, witness, clock, answerMs);
    judgement = judge(judgement, look, rules);
    if (judgement.leaning.looks === 1) {
      progress({ step: "look", detail: `${region.region} seems ${judgement.leaning.verdict}` });
    }
    if (judgement.verdict !== "unclear") return { look, judgement, looks };
    const next = Math.max(begun + everyMs, performance.now());
    if (next > end) return { look, judgement, looks };
    await sleep(Math.max(0, next - performance.now()));
  }
}
