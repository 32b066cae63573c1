import { formatBytes, formatCount } from "../../runtime/domain/format.ts";
import type { PracticeCollection, PracticeProof } from "./practice-result.ts";

/** What a practised disaster proved, each claim with its numbers. */
export function proofsOf({
  collections,
  failover,
  hasAllLater,
  verified,
}: {
  readonly collections: readonly PracticeCollection[];
  readonly failover: {
    readonly epoch: number;
    readonly recoveryPoint: string;
    readonly steps: readonly { name: string; detail: string }[];
  };
  readonly hasAllLater: boolean;
  readonly verified: readonly { readonly files: number; readonly bytes: number }[];
}): PracticeProof[] {
  const detailOf = (name: string) => failover.steps.find((step) => step.name === name)?.detail ?? "not done";
  const bytes = verified.reduce((total, report) => total + report.bytes, 0);
  const acknowledged = collections.reduce((total, { acknowledgedWrites }) => total + acknowledgedWrites, 0);
  const lost = collections.reduce((total, { lostIds }) => total + lostIds.length, 0);
  return [
    {
      claim: "The recovery points could be read from the standby region's own bucket before the disaster.",
      evidence: `${verified.length} points: ${formatBytes(bytes)} fetched, decrypted and compared with their keyed names.`,
    },
    {
      claim: "The standby was restored without the primary region, which no longer existed.",
      evidence: `${failover.recoveryPoint}: ${detailOf("restore")}.`,
    },
    {
      claim: "What was restored is what was captured.",
      evidence: `${detailOf("verify")}.`,
    },
    {
      claim: "Every acknowledged write is accounted for.",
      evidence: `${formatCount(acknowledged)} acknowledged before the disaster, ${formatCount(lost)} of them absent afterwards, each listed by its id.`,
    },
    {
      claim: hasAllLater
        ? "No write acknowledged after the failover was lost."
        : "Writes acknowledged after the failover are missing: this must not happen.",
      evidence: "The ids that the client recorded, compared with the ids in the standby.",
    },
    {
      claim: "The stack agrees with what happened.",
      evidence: `Epoch ${failover.epoch}; pulumi up: ${detailOf("promote")}.`,
    },
  ];
}
