import { expect } from "chai";
import fc from "fast-check";
import { embed, embeddingDimensions } from "../../quickstart/domain/text-embedding.ts";

const similarity = (a: string, b: string) => {
  const other = embed(b);
  return embed(a).reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
};

const snapshots = "A snapshot of a collection holds its segments. Restore the snapshot to bring the collection back.";
const restoring = "To restore a collection, upload its snapshot: the segments of the collection are replaced.";
const cooking = "Peel two onions, fry them slowly in butter until golden, then add flour and half a litre of stock.";

describe("text embedding", () => {
  it("gives every text, even an empty one, a vector of 128 float32 numbers and length 1", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.lorem({ maxCount: 60 })), (text) => {
        const vector = embed(text);
        expect(vector).to.have.length(embeddingDimensions);
        expect(vector.every((value) => Math.fround(value) === value)).to.equal(true);
        expect(Math.hypot(...vector)).to.be.closeTo(1, 1e-5);
      }),
    );
  });

  it("gives the same text the same vector, on every machine: the vector of a known text does not change", () => {
    expect(embed(snapshots)).to.deep.equal(embed(snapshots));
    const largest = embed("snapshot").findIndex((value) => Math.abs(value) === 1);
    expect(largest).to.equal(55);
  });

  it("places texts about the same nearer than texts about something else", () => {
    expect(similarity(snapshots, restoring)).to.be.greaterThan(similarity(snapshots, cooking) + 0.2);
    expect(similarity(snapshots, restoring)).to.be.greaterThan(similarity(restoring, cooking) + 0.2);
  });

  it("places a text that is extended by a sentence nearer to itself than any other text", () => {
    fc.assert(
      fc.property(fc.lorem({ mode: "sentences", maxCount: 6 }), (text) => {
        expect(similarity(text, `${text} ${text}`)).to.be.greaterThan(similarity(text, cooking));
      }),
    );
  });

  it("finds the words inside camelCase and snake_case names", () => {
    const words = "restore shard snapshot";
    expect(similarity("restoreShardSnapshot", words)).to.be.greaterThan(0.5);
    expect(similarity("restore_shard_snapshot", words)).to.be.greaterThan(0.5);
    expect(similarity("parseHeaderLine", words)).to.be.lessThan(0.4);
  });

  it("does not tell upper from lower case in a word", () => {
    expect(similarity("Qdrant SNAPSHOT", "qdrant snapshot")).to.be.closeTo(1, 1e-5);
  });

  it("counts a word that comes often less than it comes: ten times is not ten times as much", () => {
    const once = similarity("backup restore verify", "backup");
    const tenTimes = similarity(`${"backup, ".repeat(10)} restore verify`, "backup");
    expect(tenTimes).to.be.greaterThan(once);
    expect(tenTimes).to.be.lessThan(0.99);
  });
});
