/** A practised disaster as it goes on a laptop, for the tests of what shows it. */
import type { PracticeCollection, PracticeResult } from "../../../quickstart/domain/practice-result.ts";
import type { TimedStep } from "../../../runtime/domain/timed-step.ts";

const begun = Date.parse("2026-10-14T12:03:11.123Z");

function at(seconds: number): string {
  return new Date(begun + Math.round(1000 * seconds)).toISOString();
}

function step(name: string, start: number, seconds: number, title: string, detail: string): TimedStep {
  return { name, title, startedAt: at(start), seconds, detail };
}

function collection(name: string, loaded: number, written: number, lost: number): PracticeCollection {
  const last = loaded + written;
  // The last ones, but for one that came through: writes do not arrive in order.
  const lostIds = Array.from({ length: lost + 1 }, (_, back) => last - back).filter((id) => id !== last - 3);
  return {
    name,
    pointsBefore: last,
    pointsAfter: last - lost,
    acknowledgedWrites: written,
    lostIds,
  };
}

export function practiceResult(changes: Partial<PracticeResult> = {}): PracticeResult {
  const killed = 45;
  const collections = [
    collection("documents", 8_000, 304, 41),
    collection("code", 8_000, 298, 37),
    collection("symbols", 6_000, 311, 40),
  ];
  const sum = (count: (collection: PracticeCollection) => number) =>
    collections.reduce((total, each) => total + count(each), 0);
  const full = "20261014T120342623Z-5f0c2a91";
  const incremental = "20261014T120351123Z-c81d77e4";
  return {
    rtoSeconds: 8.4,
    rpoSeconds: 4.9,
    rtoObjectiveSeconds: 1800,
    rpoObjectiveSeconds: 900,
    lostWrites: sum(({ lostIds }) => lostIds.length),
    acknowledgedWrites: sum(({ acknowledgedWrites }) => acknowledgedWrites),
    pointsBefore: sum(({ pointsBefore }) => pointsBefore),
    pointsAfter: sum(({ pointsAfter }) => pointsAfter),
    verified: true,
    startedAt: at(0),
    killedAt: at(killed),
    servedAt: at(killed + 8.4),
    steps: [
      step("provision", 0, 17, "Provision two regions (pulumi up)", "2 Pulumi stacks, 6 Qdrant peers, 2 buckets."),
      step("load", 17, 14.2, "Load a workspace’s documents", "22,000 points in 3 collections, 2 shards each."),
      step("capture-full", 31.5, 3, "Capture a full recovery point", "3 collections, 6 shards; 61.2 MB read."),
      step("write-on", 34.7, 5, "Let the client write on", "A client kept writing to all collections."),
      step(
        "capture-incremental",
        40,
        2,
        "Capture an incremental recovery point",
        "9.8 MB read, 2.1 MB new in the store.",
      ),
      step("copy", 42.1, 1.5, "Copy both to the standby’s bucket", "212 objects, 43.9 MB."),
      step("verify", 43, 2, "Verify both in the standby’s bucket", "Every chunk read back and its digest compared."),
      step(
        "disaster",
        killed,
        0.3,
        "Kill the primary region, remove its disks",
        "SIGKILL to 3 peers and the bucket’s server.",
      ),
      step("failover", killed + 0.3, 8, "Fail over to the standby region", "Epoch 2; the standby is the primary now."),
      step("measure", 56.9, 3.1, "Measure what the client saw", "Every acknowledged write looked for by its id."),
    ],
    failover: [
      step(
        "assess",
        killed + 0.3,
        0.9,
        "Find the newest complete recovery point",
        "The primary does not answer; the newest verified point is chosen.",
      ),
      step("epoch", killed + 1.2, 0.05, "Claim the epoch", "Epoch 2 fences the old primary off."),
      step(
        "restore",
        killed + 1.3,
        4.1,
        "Restore from this region’s bucket",
        "6 shards restored from the standby’s bucket.",
      ),
      step(
        "verify",
        killed + 5.4,
        0.7,
        "Compare with what the source answered",
        "96 samples and 24 nearest-neighbour answers are the same.",
      ),
      step("traffic", killed + 6.1, 0.05, "Lead clients here", "The public name leads to the standby."),
      step("promote", killed + 1.3, 5.5, "Promote the stack (pulumi up)", "Pulumi up, beside the other steps."),
    ],
    collections,
    points: [
      { id: full, type: "full", time: at(31.5), isExact: true, readBytes: 61_214_208, storedBytes: 41_802_113 },
      {
        id: incremental,
        type: "incremental",
        time: at(40),
        isExact: false,
        readBytes: 9_810_944,
        storedBytes: 2_114_560,
      },
    ],
    restoredPoint: incremental,
    proofs: [
      {
        claim: "The standby holds what was captured, nothing else.",
        evidence: "Exact counts of 3 collections, 96 sampled points and 24 nearest-neighbour answers compared.",
      },
      {
        claim: "The old primary cannot come back by accident.",
        evidence: "Restarted, it was refused: its epoch is 1, the store’s is 2.",
      },
      {
        claim: "Clients need no new address.",
        evidence: "The client that wrote before the kill wrote and read back after it, with the same URL and key.",
      },
      {
        claim: "Data at rest is sealed.",
        evidence: "No plain payload text was found in the 212 objects of the bucket.",
      },
    ],
    versions: { "qdrant-dr": "0.1.0", Qdrant: "1.19.1", Pulumi: "3.270.0", SeaweedFS: "4.07", "Node.js": "24.21.0" },
    report: "/home/anna/qdrant-dr/.local/reports/2026-10-14T12-03-11Z/report.html",
    ...changes,
  };
}

/** The same result with every text that comes from outside replaced; times stay times. */
export function withTexts(result: PracticeResult, text: string): PracticeResult {
  const rename = (step: TimedStep): TimedStep => ({ ...step, title: text, detail: text });
  return {
    ...result,
    steps: result.steps.map(rename),
    failover: result.failover.map(rename),
    collections: result.collections.map((each) => ({ ...each, name: text })),
    points: result.points.map((recoveryPoint) => ({ ...recoveryPoint, id: text })),
    restoredPoint: text,
    proofs: result.proofs.map(() => ({ claim: text, evidence: text })),
    versions: { [text]: text },
    report: text,
  };
}
