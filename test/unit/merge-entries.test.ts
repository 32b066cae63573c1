/** Entries of a journal in fewer steps leave the same points, and what concerns all collections waits for each of them. */
import { expect } from "chai";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import { type CollectionStep, stagesOf } from "../../runtime/domain/journal/merge-entries.ts";
import { seeded } from "../support/seeded.ts";

const at = "2026-01-01T00:00:00.000Z";

/** What stands in each collection and shard key after these steps, as Qdrant would make it: by id. */
function applied(steps: readonly CollectionStep[]): Map<string, string> {
  const points = new Map<string, string>();
  for (const step of steps) {
    if (step.kind === "collection-deleted") points.clear();
    if (step.kind !== "points") continue;
    const place = (id: string) => `${step.shardKey ?? ""} ${id}`;
    for (const id of step.deleted) points.delete(place(id));
    for (const point of step.points) {
      const { id, left } = JSON.parse(point) as { id: number; left?: string };
      // What an upsert leaves out may stay.
      const stood = points.get(place(`${id}`));
      points.set(place(`${id}`), left === undefined ? point : `${point} ${stood}`);
    }
  }
  return points;
}

describe("merged entries of a journal", () => {
  it("leave what the entries leave, one by one, in fewer steps", () => {
    const random = seeded(7);
    const int = (below: number) => Math.floor(random() * below);
    for (let round = 0; round < 200; round += 1) {
      const entries: JournalEntry[] = Array.from({ length: 40 }, (_, n) => {
        if (int(30) === 0) return { kind: "collection-deleted", at, collection: "a" };
        const isComplete = int(2) === 0;
        const ids = [...new Set(Array.from({ length: 1 + int(4) }, () => `${int(60)}`))];
        const present = ids.filter(() => isComplete || int(4) > 0);
        const points = present.map((id) => `{"id":${id},"n":${n}${isComplete ? "" : ',"left":"out"'}}`);
        const shardKey = int(3) === 0 ? { shardKey: '"k"' } : {};
        return { kind: "points", at, collection: "a", isComplete, ids, points, ...shardKey };
      });
      const [merged] = stagesOf(entries);
      const single = entries.flatMap((entry) => stagesOf([entry])[0]?.collections.get("a") ?? []);
      const steps = merged?.collections.get("a") ?? [];
      expect(applied(steps)).to.deep.equal(applied(single));
      expect(steps.length).to.be.lessThan(single.length);
    }
  });

  it("do not delete a point that an upsert makes whole: who reads meanwhile misses none", () => {
    const [stage] = stagesOf([
      { kind: "points", at, collection: "a", isComplete: true, ids: ["1"], points: ['{"id":1}'] },
      { kind: "points", at, collection: "a", isComplete: false, ids: ["2", "3"], points: ['{"id":2}'] },
    ]);
    expect(stage?.collections.get("a")).to.deep.equal([
      { kind: "points", shardKey: undefined, deleted: ["2", "3"], points: ['{"id":1}', '{"id":2}'] },
    ]);
  });

  it("wait for all collections where an alias, or what is not told of any, comes", () => {
    const points = (collection: string): JournalEntry => ({
      kind: "points",
      at,
      collection,
      isComplete: true,
      ids: ["1"],
      points: ['{"id":1}'],
    });
    const stages = stagesOf([
      points("a"),
      points("b"),
      { kind: "aliases", at, aliases: [] },
      points("a"),
      { kind: "unreconciled", at, reason: "lost" },
    ]);
    expect(stages.map(({ collections, last }) => [[...collections.keys()], last?.kind])).to.deep.equal([
      [["a", "b"], "aliases"],
      [["a"], "unreconciled"],
    ]);
  });
});
