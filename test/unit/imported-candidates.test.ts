import { expect } from "chai";
import { decideKept } from "../../runtime/domain/history/decide-kept.ts";
import { usualRetention } from "../../runtime/domain/history/retention.ts";
import { CandidateMaker, manifestFactsSchema } from "../../runtime/repository/prune/candidates.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";

describe("retention of imported recovery points", () => {
  const now = new Date("2026-06-30T12:00:00.000Z");
  const candidateOf = (id: string, daysAgo: number, isImported: boolean) => {
    const at = new Date(now.getTime() - daysAgo * 24 * 3_600_000).toISOString();
    const imported = [{ collection: "notes", file: "notes.snapshot", bytes: 1, sha256: "a" }];
    const facts = manifestFactsSchema.parse({
      ...{ format: 1, id, kinds: ["qdrant"], region: "east", epoch: 1, startedAt: at, finishedAt: at, type: "full" },
      ...(isImported ? { imported } : {}),
      collections: [{ name: "notes", facts: "f", shards: [{ isExact: !isImported, tree: { id: "t", size: 1 } }] }],
      folders: [],
    });
    const evidence = { epochs: [firstEpoch], isQuarantined: false, isVerified: false, heldBy: [] };
    return new CandidateMaker().candidateOf(facts, evidence);
  };

  it("keeps each for its days, and none takes the place of one that was captured", () => {
    const captured = [0.001, 0.002, 0.003, 200].map((days) => candidateOf(`captured ${days}`, days, false));
    const imported = [0.0005, 0.0006, 200, 400].map((days) => candidateOf(`imported ${days}`, days, true));
    const without = decideKept(captured, usualRetention, now);
    const { dropped, kept } = decideKept([...captured, ...imported], usualRetention, now);
    expect([...kept.keys()].filter((id) => id.startsWith("captured"))).to.have.members([...without.kept.keys()]);
    expect([...dropped.keys()].filter((id) => id.startsWith("imported"))).to.deep.equal(["imported 400"]);
  });
});
