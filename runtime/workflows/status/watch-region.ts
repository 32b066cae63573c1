/** Looks at a region until the looks come to a verdict. */
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
  const end = clock.monotonic() + seconds * 1000;
  let judgement: Judgement | undefined;
  for (let looks = 1; ; looks += 1) {
    const begun = clock.monotonic();
    const look = await lookAtRegion(region, witness, clock, answerMs);
    judgement = judge(judgement, look, rules);
    if (judgement.leaning.looks === 1) {
      progress({ step: "look", detail: `${region.region} seems ${judgement.leaning.verdict}` });
    }
    if (judgement.verdict !== "unclear") return { look, judgement, looks };
    const next = Math.max(begun + everyMs, clock.monotonic());
    if (next > end) return { look, judgement, looks };
    await clock.sleep(Math.max(0, next - clock.monotonic()));
  }
}
