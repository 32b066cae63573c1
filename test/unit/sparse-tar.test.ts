import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import {
  type Extent,
  type OutgoingEntry,
  readSparseTar,
  writeSparseTar,
} from "../../runtime/domain/qdrant/sparse-tar.ts";
import { codeOf } from "../support/expect-code.ts";

const block = 512;

/** A file as a test thinks of it: size, and what is in its regions. */
interface TestFile {
  readonly path: string;
  readonly size: number;
  readonly regions: readonly (Extent & { readonly bytes: Buffer })[];
}

interface Expanded {
  readonly path: string;
  readonly type: string;
  readonly content: Buffer;
}

async function* once<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

function outgoing({ path, size, regions }: TestFile): OutgoingEntry {
  return { path, type: "file", size, regions, content: once(...regions.map(({ bytes }) => bytes)) };
}

async function archiveOf(files: readonly TestFile[], folders: readonly string[] = []): Promise<Buffer> {
  const entries: OutgoingEntry[] = [
    ...folders.map((path) => ({ path, type: "directory", size: 0, regions: [], content: once<Uint8Array>() }) as const),
    ...files.map(outgoing),
  ];
  const pieces: Uint8Array[] = [];
  for await (const piece of writeSparseTar(once(...entries))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Cuts the archive at the given lengths, as a network would. */
async function* inPieces(archive: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let piece = 0; at < archive.length; piece += 1) {
    const size = sizes.length === 0 ? archive.length : (sizes[piece % sizes.length] ?? 1);
    yield archive.subarray(at, at + size);
    at += size;
  }
}

async function expand(archive: Buffer, sizes: readonly number[] = []): Promise<Expanded[]> {
  const entries: Expanded[] = [];
  for await (const { path, type, size, content } of readSparseTar(inPieces(archive, sizes))) {
    const whole = Buffer.alloc(size);
    for await (const { offset, bytes } of content) whole.set(bytes, offset);
    entries.push({ path, type, content: whole });
  }
  return entries;
}

function contentOf({ size, regions }: TestFile): Buffer {
  const whole = Buffer.alloc(size);
  for (const { bytes, offset } of regions) whole.set(bytes, offset);
  return whole;
}

function expanded(files: readonly TestFile[]): Expanded[] {
  return files.map((file) => ({ path: file.path, type: "file", content: contentOf(file) }));
}

/** Regions on block borders, with holes before them; the last may end anywhere when the file ends there. */
function fileOf(path: string, shape: readonly { hole: number; data: number }[], tail: number, hole: number): TestFile {
  const regions: (Extent & { bytes: Buffer })[] = [];
  let offset = 0;
  for (const [at, { data, hole }] of shape.entries()) {
    offset += hole * block;
    const isLast = at === shape.length - 1;
    const length = data * block + (isLast ? tail : 0);
    regions.push({ offset, length, bytes: Buffer.alloc(length, at + 1) });
    offset += length;
  }
  return { path, size: offset + hole, regions };
}

const name = fc.stringMatching(/^[a-zA-Z0-9_ é-]{1,20}$/);
const path = fc.oneof(
  fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
  // Longer than a header's field, so that a long-name record is needed.
  fc.array(name, { minLength: 12, maxLength: 20 }).map((parts) => `${parts.join("/")}/${"long".repeat(26)}`),
);
const shapes = fc.array(
  // Holes are at least one block: regions that touch are one region.
  fc.record({ hole: fc.integer({ min: 1, max: 40 }), data: fc.integer({ min: 1, max: 4 }) }),
  { maxLength: 60 },
);
const file = fc
  .tuple(path, shapes, fc.integer({ min: 0, max: block - 1 }), fc.integer({ min: 0, max: 3_000 }))
  .map(([path, shape, tail, hole]) => fileOf(path, shape, tail, hole));

const many = Array.from({ length: 60 }, () => ({ hole: 2, data: 1 }));
const examples: readonly TestFile[] = [
  { path: "empty", size: 0, regions: [] },
  { path: "zeros only", size: 1_000_000, regions: [] },
  { path: "dense", size: 700, regions: [{ offset: 0, length: 700, bytes: Buffer.alloc(700, 3) }] },
  fileOf("four regions", many.slice(0, 4), 17, 0),
  fileOf("five regions", many.slice(0, 5), 17, 0),
  fileOf("four regions and a hole", many.slice(0, 4), 0, 4_096),
  fileOf("twenty-five regions", many.slice(0, 25), 0, 0),
  fileOf("twenty-six regions", many.slice(0, 26), 1, 0),
  fileOf("sixty regions and a hole", many, 0, 100_000),
  fileOf(`${"deep/".repeat(30)}${"long-name-".repeat(15)}`, many.slice(0, 30), 5, 0),
  { path: "n".repeat(100), size: 3, regions: [{ offset: 0, length: 3, bytes: Buffer.from("abc") }] },
  { path: "n".repeat(101), size: 3, regions: [{ offset: 0, length: 3, bytes: Buffer.from("abc") }] },
  { path: "ends on a block", size: 512, regions: [{ offset: 0, length: 512, bytes: Buffer.alloc(512, 9) }] },
];

describe("sparse tar", () => {
  it("reads back what it wrote, whatever the files, their holes, and the pieces the stream comes in", async () => {
    const pieceSizes = fc.array(fc.integer({ min: 1, max: 3_000 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 5 }), pieceSizes, async (files, sizes) => {
        expect(await expand(await archiveOf(files), sizes)).to.deep.equal(expanded(files));
      }),
      { numRuns: 150 },
    );
  });

  it("reads back empty files, files of zeros, 4, 5, 25, 26 and 60 regions, and names around the field's 100 bytes", async () => {
    const entries = await expand(await archiveOf(examples, ["wal", "segments/one"]));

    expect(entries.slice(0, 2).map(({ path, type }) => ({ path, type }))).to.deep.equal([
      { path: "wal", type: "directory" },
      { path: "segments/one", type: "directory" },
    ]);
    expect(entries.slice(2)).to.deep.equal(expanded(examples));
  });

  it("costs what the data costs, not what the file's size says", async () => {
    const archive = await archiveOf([fileOf("sparse", [{ hole: 100_000, data: 1 }], 0, 50_000_000)]);

    expect(archive.length).to.be.at.most(5 * block);
  });

  it("passes over the content of an entry that nobody read", async () => {
    const paths: string[] = [];
    for await (const { path } of readSparseTar(inPieces(await archiveOf(examples), [1_000]))) paths.push(path);

    expect(paths).to.deep.equal(examples.map(({ path }) => path));
  });

  it("can carry sizes beyond 8 GiB, which octal digits cannot", async () => {
    const huge = 20 * 2 ** 30 + 5;
    const bytes = Buffer.alloc(block, 1);
    const archive = await archiveOf([
      { path: "huge", size: huge, regions: [{ offset: huge - 5 - 512, length: 512, bytes }] },
    ]);

    const sizes: number[] = [];
    const offsets: number[] = [];
    for await (const { size, content } of readSparseTar(inPieces(archive, []))) {
      sizes.push(size);
      for await (const { offset } of content) offsets.push(offset);
    }

    expect({ sizes, offsets }).to.deep.equal({ sizes: [huge], offsets: [huge - 5 - 512] });
  });

  describe("beside GNU tar", () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-tar-"));

    after(() => rmSync(folder, { recursive: true, force: true }));

    it("GNU tar lists and extracts what we write", async () => {
      const archive = join(folder, "ours.tar");
      const into = join(folder, "extracted");
      mkdirSync(into);
      writeFileSync(archive, await archiveOf(examples, ["wal"]));

      const listing = execFileSync("tar", ["-tvf", archive], { encoding: "utf8" }).trimEnd().split("\n");
      execFileSync("tar", ["-xf", archive, "-C", into]);

      expect(listing).to.have.lengthOf(examples.length + 1);
      for (const example of examples) {
        const found = listing.find((line) => line.endsWith(` ${example.path}`));
        expect(found, example.path).to.match(new RegExp(`\\b${example.size}\\b`));
        expect(readFileSync(join(into, example.path)).equals(contentOf(example)), example.path).to.equal(true);
      }
    });

    it("we read what GNU tar writes sparsely, in its old format", async () => {
      const from = join(folder, "theirs");
      mkdirSync(from);
      const files: Record<string, { size: number; at: number[] }> = {
        empty: { size: 0, at: [] },
        zeros: { size: 5_000_000, at: [] },
        dense: { size: 10_000, at: [0, 4_096, 8_192] },
        scattered: { size: 40_000_000, at: Array.from({ length: 60 }, (_, n) => n * 512_000) },
        [`${"long-name-".repeat(15)}`]: { size: 2_000_001, at: [1_048_576] },
      };
      for (const [name, { at, size }] of Object.entries(files)) {
        const handle = openSync(join(from, name), "w");
        for (const offset of at) writeSync(handle, Buffer.alloc(1_000, (offset % 250) + 1), 0, 1_000, offset);
        ftruncateSync(handle, size);
        closeSync(handle);
      }
      const archive = join(folder, "theirs.tar");
      execFileSync("tar", ["--sparse", "--format=oldgnu", "-cf", archive, "-C", from, "."]);

      const read = await expand(readFileSync(archive), [10_240]);

      const sparse = readFileSync(archive).length;
      expect(sparse, "the archive is sparse").to.be.lessThan(2_000_000);
      for (const name of Object.keys(files)) {
        const entry = read.find(({ path }) => path === name);
        expect(entry?.content.equals(readFileSync(join(from, name))), name).to.equal(true);
      }
      expect(read.filter(({ type }) => type === "file")).to.have.lengthOf(Object.keys(files).length);
    });
  });

  describe("refuses as CAPTURE_INCOMPLETE", () => {
    it("every truncation of an archive", async () => {
      const archive = await archiveOf(
        [
          fileOf("sparse", many.slice(0, 6), 3, 700),
          examples[2] as TestFile,
          fileOf("l".repeat(120), many.slice(0, 1), 0, 0),
        ],
        ["wal"],
      );
      for (let length = 0; length < archive.length; length += 1) {
        expect(await codeOf(expand(archive.subarray(0, length))), `${length} bytes`).to.equal("CAPTURE_INCOMPLETE");
      }
      expect(await expand(archive)).to.have.lengthOf(4);
    });

    it("paths that leave the shard", async () => {
      for (const path of ["../outside", "a/../../outside", "/absolute", "a/..", `${"x/".repeat(80)}../y`]) {
        const archive = await archiveOf([{ path, size: 0, regions: [] }]);
        expect(await codeOf(expand(archive)), path).to.equal("CAPTURE_INCOMPLETE");
      }
    });

    it("entries of a type it does not know: links, devices, pax headers", async () => {
      for (const type of "1234678xgKVM") {
        const archive = await archiveOf([{ path: "entry", size: 0, regions: [] }]);
        archive.write(type, 156, "latin1");
        expect(await codeOf(expand(withSum(archive))), type).to.equal("CAPTURE_INCOMPLETE");
      }
    });

    it("any changed byte of a header", async () => {
      const archive = await archiveOf([fileOf("file", many.slice(0, 5), 0, 0)]);
      for (let at = 0; at < block; at += 1) {
        // The sum's own last byte is padding that every writer fills as it likes.
        if (at >= 154 && at < 156) continue;
        const changed = Buffer.from(archive);
        changed.writeUInt8(changed.readUInt8(at) ^ 0x01, at);
        expect(await codeOf(expand(changed)), `byte ${at}`).to.equal("CAPTURE_INCOMPLETE");
      }
    });

    it("sparse maps that overlap, reach beyond the file, or do not add up to what is stored", async () => {
      const regions = [
        { offset: 0, length: block },
        { offset: 4 * block, length: block },
      ];
      const bytes = Buffer.alloc(block, 1);
      const good = await archiveOf([
        { path: "map", size: 9 * block, regions: regions.map((region) => ({ ...region, bytes })) },
      ]);
      const octal = (value: number) => `${value.toString(8).padStart(11, "0")}\0`;
      const changes: Record<string, [at: number, value: number]> = {
        overlap: [386 + 24, 256],
        "a region beyond the file": [386 + 24, 9 * block],
        "a size below the regions": [483, block],
        "more than is stored": [386 + 12, 2 * block],
        "less than is stored": [386 + 12, 256],
      };
      expect(await expand(good)).to.have.lengthOf(1);
      for (const [what, [at, value]] of Object.entries(changes)) {
        const changed = Buffer.from(good);
        changed.write(octal(value), at, "latin1");
        expect(await codeOf(expand(withSum(changed))), what).to.equal("CAPTURE_INCOMPLETE");
      }
    });
  });
});

/** Sets the first header's checksum to what its bytes sum up to. */
function withSum(archive: Buffer): Buffer {
  archive.fill(0x20, 148, 156);
  const sum = archive.subarray(0, block).reduce((total, byte) => total + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return archive;
}
