import { expect } from "chai";
import { shardInSnapshot } from "../../runtime/domain/qdrant/collection-snapshot.ts";
import { type OutgoingEntry, writeSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import { codeOf } from "../support/expect-code.ts";

async function* each<T>(items: Iterable<T>) {
  yield* items;
}

async function tarOf(files: Record<string, Buffer>): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, bytes]): OutgoingEntry => {
    const regions = bytes.length === 0 ? [] : [{ offset: 0, length: bytes.length }];
    return { path, type: "file", size: bytes.length, regions, content: each([bytes]) };
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of writeSparseTar(each(entries))) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A segment as Qdrant nests it: without the end of an archive. */
async function segmentOf(mark: string, files: readonly string[] = ["segment.json", "version.info"]): Promise<Buffer> {
  const whole = await tarOf(Object.fromEntries(files.map((file) => [`snapshot/files/${file}`, Buffer.from(mark)])));
  return whole.subarray(0, whole.length - 1_024);
}

async function snapshotOf(change: (files: Record<string, Buffer>) => unknown = () => undefined): Promise<Buffer> {
  const files: Record<string, Buffer> = {
    "0/segments/one.tar": await segmentOf("of shard 0"),
    "0/wal/open-1": Buffer.from("log of shard 0"),
    "0/replica_state.json": Buffer.from("{}"),
    "10/segments/two.tar": await segmentOf("of shard 10"),
    "1/segments/three.tar": await segmentOf("of shard 1", ["segment.json", "version.info", "deep/vectors.dat"]),
    "1/segments/four.tar": await segmentOf("of shard 1, too"),
    "1/wal/open-1": Buffer.from("log of shard 1"),
    "1/replica_state.json": Buffer.from("{}"),
    "2/replica_state.json": Buffer.from("{}"),
    "config.json": Buffer.from("{}"),
  };
  await change(files);
  return tarOf(files);
}

async function read(archive: AsyncIterable<Uint8Array>, shard: number): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { content, path } of shardInSnapshot(archive, shard)) {
    const pieces: Uint8Array[] = [];
    for await (const { bytes } of content) pieces.push(bytes);
    files[path] = Buffer.concat(pieces).toString();
  }
  return files;
}

function* cutInto(length: number, bytes: Buffer) {
  for (let from = 0; from < bytes.length; from += length) yield bytes.subarray(from, from + length);
}

describe("a shard in a collection snapshot", () => {
  it("comes in the layout of a shard's archive, its log with it, however the bytes are cut", async () => {
    const archive = await snapshotOf();
    for (const length of [1, 511, 512, 100_000]) {
      expect(await read(each(cutInto(length, archive)), 1)).to.deep.equal({
        "segments/three/files/segment.json": "of shard 1",
        "segments/three/files/version.info": "of shard 1",
        "segments/three/files/deep/vectors.dat": "of shard 1",
        "segments/four/files/segment.json": "of shard 1, too",
        "segments/four/files/version.info": "of shard 1, too",
        "wal/open-1": "log of shard 1",
        "replica_state.json": "{}",
      });
    }
  });

  it("is read to the end of the source, so that an error there is met", async () => {
    const archive = await snapshotOf();
    async function* failing() {
      yield archive;
      throw new Error("it is not what was made");
    }

    const error = await read(failing(), 1).catch((thrown: Error) => thrown.message);

    expect(error).to.equal("it is not what was made");
  });

  it("is refused when it is cut off, anywhere", async () => {
    const archive = await snapshotOf();
    for (let length = 0; length < archive.length; length += 512) {
      expect(await codeOf(read(each([archive.subarray(0, length)]), 1)), `${length} bytes`).to.equal(
        "CAPTURE_INCOMPLETE",
      );
    }
  });

  const refused: [what: string, change: (files: Record<string, Buffer>) => unknown][] = [
    [
      "the shard is another peer's",
      (files) => delete files["1/segments/three.tar"] && delete files["1/segments/four.tar"],
    ],
    ["a segment is cut off within a file", (files) => (files["1/segments/four.tar"] = shortened(files, 512))],
    ["a segment is cut off between files", (files) => (files["1/segments/four.tar"] = shortened(files, 1_024))],
    ["a segment is empty", (files) => (files["1/segments/four.tar"] = Buffer.alloc(0))],
    [
      "a segment has another layout",
      async (files) => (files["1/segments/four.tar"] = await tarOf({ "segment.json": Buffer.from("{}") })),
    ],
  ];
  for (const [what, change] of refused) {
    it(`is refused when ${what}`, async () => {
      expect(await codeOf(read(each([await snapshotOf(change)]), 1))).to.equal("CAPTURE_INCOMPLETE");
    });
  }
});

function shortened(files: Record<string, Buffer>, by: number): Buffer {
  const whole = files["1/segments/four.tar"] ?? Buffer.alloc(0);
  return whole.subarray(0, whole.length - by);
}
