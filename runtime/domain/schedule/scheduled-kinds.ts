/** The runs that `serve` starts by the clock, in one table. */
import type { RunKind } from "../monitoring/runs.ts";

export const scheduledKinds = [
  "full",
  "incremental",
  "verify",
  "test-restore",
  "prune",
  "drill",
] as const satisfies RunKind[];
export type ScheduledKind = (typeof scheduledKinds)[number];

/**
 * Runs of one lane come one after the other; those of different lanes run beside each other. Captures never wait for a verification that
 * takes hours, and nothing is removed while a capture builds on it.
 */
export type Lane = "history" | "reading";

interface ScheduledKindDefinition {
  readonly lane: Lane;
  /** A run may end well so long after its time before it counts as one that did not happen. */
  readonly slackMinutes: number;
  /** The command that does it. */
  readonly args: readonly string[];
  /** In the middle of a sentence. */
  readonly title: string;
}

export const kindTable: Readonly<Record<ScheduledKind, ScheduledKindDefinition>> = {
  full: { lane: "history", slackMinutes: 120, args: ["backup", "--type", "full"], title: "full capture" },
  incremental: {
    lane: "history",
    slackMinutes: 60,
    args: ["backup", "--type", "incremental"],
    title: "incremental capture",
  },
  verify: { lane: "reading", slackMinutes: 240, args: ["verify"], title: "verification" },
  "test-restore": { lane: "reading", slackMinutes: 480, args: ["restore", "--test"], title: "test restore" },
  prune: { lane: "history", slackMinutes: 240, args: ["prune"], title: "prune" },
  drill: { lane: "reading", slackMinutes: 480, args: ["drill"], title: "drill" },
};
