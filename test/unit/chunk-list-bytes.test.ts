import { expect } from "chai";
import fc from "fast-check";
import { parseChunkList, serialiseChunkList } from "../../runtime/domain/recovery-points/chunk-list-bytes.ts";
import {
  type ChunkList,
  chunksListed,
  type Frame,
  largestFrame,
  type StoredChunk,
} from "../../runtime/domain/recovery-points/stored-content.ts";
import { DrError } from "../../runtime/errors.ts";

const hex = (length: number) =>
  fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const frame: fc.Arbitrary<Frame> = fc.record({
  pack: fc.constantFrom("a".repeat(64), "b".repeat(64), "c".repeat(64)),
  offset: fc.nat(9_000_000),
  length: fc.integer({ min: 1, max: 600_000 }),
  key: fc.constantFrom("1".repeat(32), "2".repeat(32)),
  size: fc.integer({ min: 1, max: largestFrame }),
});
const lists: fc.Arbitrary<ChunkList> = fc
  .uniqueArray(frame, { minLength: 1, maxLength: 12, selector: ({ key, offset, pack }) => `${pack} ${offset} ${key}` })
  .chain((frames) =>
    fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 10_000 }),
        fc
          .record({ name: hex(64), frame: fc.constantFrom(...frames), start: fc.nat() })
          .map(({ start, ...chunk }): StoredChunk => ({ ...chunk, start: start % chunk.frame.size })),
      ),
      { maxLength: 60 },
    ),
  );
const place: Frame = { pack: "a".repeat(64), offset: 5, length: 6, key: "1".repeat(32), size: 7 };
const one: StoredChunk = { name: "e".repeat(64), frame: place, start: 3 };

function refusal(bytes: Buffer): string | undefined {
  try {
    parseChunkList(bytes);
    return undefined;
  } catch (error) {
    return error instanceof DrError ? error.code : String(error);
  }
}

describe("chunk list", () => {
  it("reads back as it was, in order", () => {
    fc.assert(
      fc.property(lists, (list) => {
        expect(parseChunkList(serialiseChunkList(list))).to.deep.equal(list);
      }),
    );
  });

  it("names a pack, a key and a frame once, and costs 38 bytes for each further chunk", () => {
    const listOf = (count: number) => Array.from({ length: count }, () => one);

    expect(serialiseChunkList(listOf(1)).length).to.equal(8 + 32 + 16 + 16 + 38);
    expect(serialiseChunkList(listOf(100)).length).to.equal(8 + 32 + 16 + 16 + 100 * 38);
  });

  it("says how many chunks it covers", () => {
    expect(chunksListed([one, 10, one, 1])).to.equal(13);
  });

  it("is refused when it points at what it does not name, or holds what no list holds", () => {
    const good = serialiseChunkList([one, 2]);
    const changed = (at: number, value: number) => {
      const bytes = Buffer.from(good);
      bytes.writeUInt16BE(value, at);
      return bytes;
    };
    const [frameAt, entriesAt] = [8 + 32 + 16, 8 + 32 + 16 + 16];
    const bad = {
      "another pack": changed(frameAt, 1),
      "another key": changed(frameAt + 2, 1),
      "no bytes of a frame": changed(frameAt + 10, 0),
      "a frame that opens to nothing": changed(frameAt + 14, 0),
      "a frame that opens to too much": changed(frameAt + 12, 9),
      "another frame": changed(entriesAt, 1),
      "a chunk behind its frame": changed(entriesAt + 4, 7),
      "no zeros": changed(entriesAt + 6 + 4, 0),
      "more entries": changed(6, 3),
      "more of everything": changed(0, 60_000),
      "a byte more": Buffer.concat([good, Buffer.alloc(1)]),
      nothing: Buffer.alloc(0),
    };

    expect(parseChunkList(good)).to.deep.equal([one, 2]);
    for (const [what, bytes] of Object.entries(bad)) expect(refusal(bytes), what).to.equal("OBJECT_CORRUPT");
  });

  it("is read or refused as OBJECT_CORRUPT, whatever its bytes are", () => {
    fc.assert(
      fc.property(
        lists,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (list, changes, cut) => {
          const bytes = serialiseChunkList(list);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const outcome = refusal(bytes.subarray(0, bytes.length - (cut % 3)));
          expect(outcome === undefined || outcome === "OBJECT_CORRUPT", outcome).to.equal(true);
        },
      ),
    );
  });
});
