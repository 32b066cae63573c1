import { expect } from "chai";
import { lineageOf, shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";

const list = { name: "e".repeat(64), pack: "a".repeat(64), offset: 5, length: 6, key: "1".repeat(32) };

describe("shard tree", () => {
  const tree = {
    format: 1,
    collection: "notes",
    shard: 0,
    lineage: "east/1/7/none",
    segments: {},
    files: [{ path: "replica_state.json", size: 10, lists: [list, null], packs: [0] }],
    packs: [{ id: list.pack, size: 11 }],
  };

  it("is read as it was written", () => {
    expect(shardTreeSchema.parse(JSON.parse(JSON.stringify(tree)))).to.deep.equal(tree);
  });

  it("is refused in another format, with packs of no size, and with names that are no names", () => {
    for (const change of [
      { format: 2 },
      { shard: -1 },
      { packs: [{ id: list.pack, size: 0 }] },
      { packs: [{ id: "../escape", size: 1 }] },
      { files: [{ path: "a", size: -1, lists: [], packs: [] }] },
      ...["../a", "/etc/a", "a/../../b", "a//b", ".", "", "a\0"].map((path) => ({
        files: [{ path, size: 0, lists: [], packs: [] }],
      })),
    ]) {
      expect(shardTreeSchema.safeParse({ ...tree, ...change }).success, JSON.stringify(change)).to.equal(false);
    }
  });
});

describe("lineage", () => {
  const parts = { region: "east", epoch: 1, peer: 7, fingerprint: "started", restore: undefined };

  it("is the same for the same server and another after any restore, epoch, peer or region", () => {
    const others = [
      { ...parts, region: "west" },
      { ...parts, epoch: 2 },
      { ...parts, peer: 8 },
      { ...parts, fingerprint: "started again" },
      { ...parts, restore: "20260101T000000000Z-00000000" },
    ].map(lineageOf);

    expect(lineageOf({ ...parts })).to.equal(lineageOf(parts));
    expect(new Set([lineageOf(parts), ...others]).size).to.equal(6);
  });
});
