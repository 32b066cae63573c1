/** How a standby is made what a journal tells, where its Qdrant does not show how things are. */
import { expect } from "chai";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import { JournalApplier, type JournalTarget } from "../../runtime/workflows/journal/journal-applier.ts";

describe("applying a journal", () => {
  it("makes an index again that was deleted just before, and that an optimizing Qdrant still shows", async () => {
    const indexes = new Set(["group"]);
    const target: Partial<JournalTarget> = {
      exists: async () => true,
      aliases: async () => [],
      // As Qdrant 1.16.3 answers while it optimizes.
      describe: (async () => ({ config: {}, payloadIndexes: { group: "integer" } })) as never,
      deletePayloadIndex: async (_collection, field) => void indexes.delete(field),
      createPayloadIndex: async (_collection, field) => void indexes.add(field),
    };
    const applier = new JournalApplier(target as JournalTarget, { unreconciled: new Map(), strictModes: new Map() });
    const told = (of: Record<string, string>): JournalEntry => ({
      kind: "collection",
      at: new Date().toISOString(),
      collection: "items",
      config: {},
      indexes: of,
    });
    await applier.apply([told({}), told({ group: "integer" })]);
    expect([...indexes]).to.deep.equal(["group"]);
    await applier.apply([told({})]);
    expect([...indexes]).to.deep.equal([]);
  });
});
