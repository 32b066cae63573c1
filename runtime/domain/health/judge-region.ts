/**
 * Whether a region serves, judged from outside. A look asks for several signals at once, because each of them alone lies
 * now and then; and one look proves nothing: a verdict stands until looks have said otherwise for a while, without a break.
 */

export type SignalState = "good" | "bad" | "unknown";

export interface Signal {
  readonly state: SignalState;
  /** The answer, or why there was none. */
  readonly detail: string;
}

export const signalNames = ["qdrant", "gate", "endpoint", "store", "control", "witness"] as const;
export type SignalName = (typeof signalNames)[number];

export interface Look {
  readonly at: Date;
  readonly signals: Readonly<Record<SignalName, Signal>>;
}

/**
 * - serving: clients are served.
 * - impaired: its Qdrant answers from here, and clients do not reach it.
 * - down: its Qdrant does not answer, and a second signal agrees.
 * - unclear: what is known does not say.
 */
export type Verdict = "serving" | "impaired" | "down" | "unclear";

export interface JudgeRules {
  /** How long all looks must agree before a verdict changes, and how long a verdict holds without a look that agrees. */
  readonly settleSeconds: number;
  /** Looks further apart are no evidence for the time between them. */
  readonly longestGapSeconds: number;
}

export const judgeRules: JudgeRules = { settleSeconds: 15, longestGapSeconds: 5 };

export interface Judgement {
  readonly verdict: Verdict;
  readonly since: Date;
  /** The common finding of the latest looks, and since when they agree. */
  readonly leaning: { readonly verdict: Verdict; readonly since: Date; readonly looks: number };
  /** The last look that agreed with the verdict. */
  readonly agreedAt: Date;
  readonly seenAt: Date;
}

/** Judges one look by itself. */
export function assess({ signals }: Look): Verdict {
  const { control, endpoint, gate, qdrant, store, witness } = signals;
  // Clients that come by the public name are served, whatever is between the region and here.
  if (endpoint.state === "good") return "serving";
  const stops = [gate, endpoint].filter(({ state }) => state === "bad");
  if (qdrant.state === "good") return stops.length > 0 ? "impaired" : "serving";
  const others = [...stops, store, control].filter(({ state }) => state === "bad");
  // When nothing at all answers, the observer may be cut off.
  return qdrant.state === "bad" && others.length > 0 && witness.state === "good" ? "down" : "unclear";
}

/** The judgement after one more look. */
export function judge(before: Judgement | undefined, look: Look, rules: JudgeRules = judgeRules): Judgement {
  const said = assess(look);
  const { at } = look;
  const start = { verdict: said, since: at, looks: 1 };
  if (before === undefined) {
    return { verdict: "unclear", since: at, leaning: start, agreedAt: at, seenAt: at };
  }
  const isBroken = !isWithin(before.seenAt, at, rules.longestGapSeconds);
  const goesOn = !isBroken && before.leaning.verdict === said;
  const leaning = goesOn ? { ...before.leaning, looks: before.leaning.looks + 1 } : start;
  const agreedAt = isBroken || said === before.verdict ? at : before.agreedAt;
  const seen = { ...before, leaning, agreedAt, seenAt: at };
  if (said === before.verdict) return seen;
  if (secondsBetween(leaning.since, at) >= rules.settleSeconds) {
    return { ...seen, verdict: said, since: at, agreedAt: at };
  }
  // The looks agree neither with each other nor with the verdict: no verdict can be relied on.
  if (before.verdict === "unclear" || secondsBetween(agreedAt, at) < rules.settleSeconds) return seen;
  return { ...seen, verdict: "unclear", since: at, agreedAt: at };
}

function isWithin(from: Date, to: Date, seconds: number): boolean {
  const between = secondsBetween(from, to);
  return between >= 0 && between <= seconds;
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}
