/** A restore to a time: nothing leads clients anywhere before all of the journal is applied. */
import { expect } from "chai";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { replay } from "../../runtime/workflows/journal/replay.ts";

const at = "2026-03-01T12:00:00.000Z";
const points = (id: string): JournalEntry => ({
  ...{ kind: "points", at, collection: "items", isComplete: false, ids: [id], points: [] },
});
const aliases = (alias: string): JournalEntry => ({ kind: "aliases", at, aliases: [{ alias, collection: "items" }] });

async function replayed(objects: readonly JournalEntry[][]) {
  const calls: string[] = [];
  const target: Partial<VectorDatabase> = {
    collections: async () => ["items"],
    describe: async () => ({ config: {}, payloadIndexes: {} }) as never,
    aliases: async () => [{ alias: "captured", collection: "items" }],
    createAlias: async ({ alias }) => void calls.push(`lead ${alias}`),
    deleteAlias: async (alias) => void calls.push(`drop ${alias}`),
    async replacePoints(_, { deleted }) {
      calls.push(`points ${deleted.join()}`);
      return "applied";
    },
  };
  const reader = {
    async next({ number }: { number: number }) {
      const entries = objects[number];
      return entries && { position: { number: number + 1, digest: "" }, at, isTakeover: false, entries };
    },
    refuseGap: async () => undefined,
  };
  const repository = { journalOf: () => reader } as unknown as OpenRepository;
  const { areAliasesSet } = await replay(
    { repository, target: target as VectorDatabase },
    { region: "east", from: { number: 0, digest: "" }, until: new Date(at), names: undefined, entries: 0 },
  );
  return { areAliasesSet, calls };
}

describe("a replay of the journal", () => {
  it("sets the last aliases that the journal tells, when all else is applied", async () => {
    expect(
      await replayed([
        [points("1"), aliases("old")],
        [aliases("new"), points("2")],
      ]),
    ).to.deep.equal({
      areAliasesSet: true,
      calls: ["points 1", "points 2", "drop captured", "lead new"],
    });
  });

  it("leaves aliases to the recovery point when the journal tells none", async () => {
    expect(await replayed([[points("1")]])).to.deep.equal({ areAliasesSet: false, calls: ["points 1"] });
  });
});
