/**
 * Whether the gate in front of a region's Qdrant lets clients through. Decided from what the two regions' control stores
 * say, as far as they can be seen, and from what was seen of them before.
 */
import { z } from "zod";
import { epochRecordSchema, newestEpoch } from "./epoch.ts";

/**
 * What a guard does that cannot see the other side. `availability` keeps serving: after a failover during a
 * partition both regions take writes until it sees the new epoch. `consistency` serves only under a lease at a third
 * place: a region that cannot renew it stops, and a promotion waits until it has run out.
 */
export const gateModes = ["availability", "consistency"] as const;
export type GateMode = (typeof gateModes)[number];

/** `pass`: goes on to Qdrant, which knows its own read-only key and the tokens that it gave out; with no administrator's rights. */
export const otherKeys = ["refuse", "pass"] as const;

/** Tells what the gate knows to who has its token, and has it look at once. */
export const gateControlPath = "/.qdrant-dr/gate";

/** Answers 200 while the gate takes calls, also when it is closed. */
export const gateHealthPath = "/.qdrant-dr/health";

/** Answers 200 while clients are let through: for load balancers and health checks of a public name. */
export const gateOpenPath = "/.qdrant-dr/open";

export const fenceRecordSchema = z.object({
  /** The epoch that the switchover is going to make. */
  epoch: z.number().int().positive(),
  /** The region that stops serving. */
  region: z.string(),
  run: z.string(),
  at: z.iso.datetime(),
});
export type FenceRecord = z.infer<typeof fenceRecordSchema>;

export const openingRecordSchema = z.object({
  epoch: z.number().int().positive(),
  region: z.string(),
  run: z.string(),
  /** The recovery point that it holds. */
  recoveryPoint: z.string(),
  at: z.iso.datetime(),
});
export type OpeningRecord = z.infer<typeof openingRecordSchema>;

/** What is known of the newest epoch: from one control store, or from all that a guard ever saw. */
export const gateKnowledgeSchema = z.object({
  newest: epochRecordSchema,
  /** A switchover to the next epoch has closed the gate. */
  isFenced: z.boolean(),
  /** The newest epoch's region holds its data and may serve. */
  isOpened: z.boolean(),
});
export type GateKnowledge = z.infer<typeof gateKnowledgeSchema>;

/** Clocks that drift, and the way of a request: a lease counts as ended so much later than it says. */
const leaseMargin = { factor: 1.1, seconds: 1 };

export function leaseEndsAfter(seconds: number): number {
  return seconds * leaseMargin.factor + leaseMargin.seconds;
}

export interface GateDecision {
  readonly isOpen: boolean;
  /** For clients and operators. */
  readonly reason: string;
}

/** All that is known, from several sources; undefined when nothing is. */
export function mergeKnowledge(sources: readonly (GateKnowledge | undefined)[]): GateKnowledge | undefined {
  const known = sources.filter((source) => source !== undefined);
  const newest = newestEpoch(known.map((source) => source.newest));
  if (newest === undefined) return undefined;
  const ofNewest = known.filter((source) => source.newest.epoch === newest.epoch);
  return {
    newest,
    isFenced: ofNewest.some(({ isFenced }) => isFenced),
    isOpened: ofNewest.some(({ isOpened }) => isOpened),
  };
}

export function decideGate({
  isLeaseHeld,
  known,
  mode,
  region,
}: {
  readonly region: string;
  readonly mode: GateMode;
  /** One entry for each source that could be read: the own control store, the other region's, and what was seen before. */
  readonly known: readonly GateKnowledge[];
  readonly isLeaseHeld: boolean;
}): GateDecision {
  const merged = mergeKnowledge(known);
  if (merged === undefined) return closed("no control store that it can read holds an epoch");
  const { epoch, active, reason } = merged.newest;
  const rival = known.find(({ newest }) => newest.epoch === epoch && newest.active !== active);
  if (rival !== undefined) {
    return closed(`the control stores name two active regions for epoch ${epoch}: ${active}, ${rival.newest.active}`);
  }
  if (active !== region) return closed(`${active} is the active region since epoch ${epoch}`);
  if (merged.isFenced) return closed(`fenced for a switchover to epoch ${epoch + 1}`);
  const hasNewData = reason === "switchover" || reason === "failover";
  if (hasNewData && !merged.isOpened) return closed(`epoch ${epoch} is not opened yet: its data are being made ready`);
  if (mode === "consistency" && !isLeaseHeld) return closed("it holds no lease");
  return { isOpen: true, reason: `active in epoch ${epoch}` };
}

function closed(reason: string): GateDecision {
  return { isOpen: false, reason };
}
