/** Finds what would stop a role change, or make it worse. Changes nothing, and waits for nobody for long. */
import { assessReadiness, type CheckName } from "../../domain/health/readiness.ts";
import type { Clock } from "../../ports/clock.ts";
import { gatherReadiness, writeAgain } from "../status/gather-readiness.ts";
import type { KnownMember, PairMember } from "../status/observe-pair.ts";
import { ask, findNewestRecoveryPoint, patience, type Timeouts } from "../status/observed-region.ts";

export interface Blocker {
  readonly region: string;
  /** The thing that was looked at. */
  readonly what: string;
  readonly detail: string;
  readonly hint?: string | undefined;
  /** A role change stops at it; otherwise it only makes one worse. */
  readonly stops: boolean;
}

export interface BlockerRequest {
  /** The region to promote. */
  readonly target: KnownMember;
  /** The region that steps down in a switchover; absent in a failover, which asks nothing of the other region. */
  readonly active?: PairMember | undefined;
  /** An earlier run has made the target the active region: its gate may be open. */
  readonly isResumed: boolean;
  readonly clock: Clock;
}

/** The plan answers these itself, or they hold only of a region that no role change has begun to promote. */
const notAsked: readonly CheckName[] = ["role", "practice", "drift"];
/** A switchover brings its own recovery point. */
const onlyFailover: readonly CheckName[] = ["recoveryPoint", "exact", "verified", "versions", "rto", "standby"];

export async function findBlockers(request: BlockerRequest): Promise<Blocker[]> {
  const { active } = request;
  const [here, there] = await Promise.all([ofTarget(request), active === undefined ? [] : ofActive(active, patience)]);
  return [...here, ...there].sort((a, b) => Number(b.stops) - Number(a.stops));
}

async function ofTarget({ active, clock, isResumed, target }: BlockerRequest): Promise<Blocker[]> {
  const { backend, name, objectives, observed } = target;
  const found = await findNewestRecoveryPoint(observed, clock, patience);
  const asked = { region: observed, found, objectives, otherEpoch: undefined, backend, clock, patience };
  const { checks } = assessReadiness(await gatherReadiness(asked));
  const skipped = active === undefined ? notAsked : [...notAsked, ...onlyFailover];
  return checks.flatMap(({ detail, hint, isNeeded, name: check, state, title }) => {
    if (state === "good" || state === "not asked" || skipped.includes(check)) return [];
    if (check === "gate" && state === "poor" && isResumed) return [];
    const stops = isNeeded && state !== "poor";
    return [{ region: name, what: title, detail, hint, stops }];
  });
}

/** Asks the region that steps down for what a switchover needs of it. */
async function ofActive({ name, observed, problem }: PairMember, { answerMs }: Timeouts): Promise<Blocker[]> {
  const hint = "if it cannot be mended, run a failover";
  if (observed === undefined) {
    return [{ region: name, what: "Outputs", detail: problem ?? "they are not known here", hint, stops: true }];
  }
  const { database, gate, stores } = observed;
  const questions: [string, () => Promise<unknown>][] = [
    ["Qdrant", () => database.collections()],
    ["Control store", () => writeAgain(stores.control)],
    ...(gate === undefined ? [] : ([["Gate", () => gate.look()]] as [string, () => Promise<unknown>][])),
  ];
  const answers = await Promise.all(
    questions.map(async ([what, question]) => ({ what, answer: await ask(answerMs, what, question) })),
  );
  const silent = answers.flatMap(({ answer, what }) =>
    "problem" in answer ? [{ region: name, what, detail: answer.problem, hint, stops: true }] : [],
  );
  if (gate !== undefined) return silent;
  const missing = { region: name, what: "Gate", detail: "it has none: nothing could stop its writes", stops: true };
  return [...silent, { ...missing, hint: "declare a gate for it, or stop its clients and run a failover" }];
}
