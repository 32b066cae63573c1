import { createHash } from "node:crypto";
import { expect } from "chai";
import { newKey } from "../../runtime/domain/recovery-points/key.ts";
import { nameOf } from "../../runtime/domain/recovery-points/sealing.ts";
import { chunkSize } from "../../runtime/domain/recovery-points/stored-content.ts";
import { DrError } from "../../runtime/errors.ts";
import { largestDirectory, readEnd } from "../../runtime/repository/content/pack-end.ts";
import { sealingThreads } from "../../runtime/repository/content/sealing-threads.ts";
import { codeOf } from "../support/expect-code.ts";

const key = newKey({ collection: "notes" });
const chunks = [Buffer.alloc(chunkSize, "a"), Buffer.from("short"), Buffer.alloc(chunkSize, 7)];
const whole = Buffer.concat(chunks);
const spans = chunks.map(({ length }, at) => ({ start: chunks.slice(0, at).join("").length, length }));

/** Names the chunks and seals them as one frame; answers it as an order to open it. */
async function sealed() {
  const slot = await sealingThreads.slot();
  slot.chunks.set(whole);
  const { names, sealedLengths } = await sealingThreads.seal(key, {
    input: slot.input,
    chunks: spans,
    frames: [{ start: 0, length: whole.length }],
    output: slot.output,
  });
  const [length = 0] = sealedLengths;
  const bytes = Buffer.concat([Buffer.from("before"), slot.sealed.subarray(0, length)]);
  sealingThreads.release(slot);
  const wanted = names.map((name, at) => ({
    name,
    to: spans[at]?.start ?? 0,
    ...(spans[at] ?? { start: 0, length: 0 }),
  }));
  return { names, bytes, frame: { key, offset: 6, length, size: whole.length, chunks: wanted } };
}

const room = () => new SharedArrayBuffer(whole.length);

describe("sealing threads", () => {
  it("give back what was sealed, under the names of the contents", async () => {
    const { bytes, frame, names } = await sealed();
    expect(names).to.deep.equal(chunks.map((chunk) => nameOf(key, chunk)));

    const output = room();
    await sealingThreads.open([frame], { bytes, output });

    expect(Buffer.from(output).equals(whole)).to.equal(true);
  });

  it("take out of a frame what is wanted, to where it is wanted", async () => {
    const { bytes, frame } = await sealed();
    const output = room();
    const chunks = frame.chunks.slice(1, 2).map((chunk) => ({ ...chunk, to: 3 }));

    await sealingThreads.open([{ ...frame, chunks }], { bytes, output });

    expect(Buffer.from(output).toString("latin1", 0, 9)).to.equal("\0\0\0short\0");
  });

  it("refuse a chunk that is another one than its name says, or beyond its frame", async () => {
    const { bytes, frame } = await sealed();
    const [first, second] = frame.chunks;
    if (first === undefined || second === undefined) throw new Error("three chunks were sealed");
    const wrong = [
      { ...first, name: second.name },
      { ...second, start: second.start + 1 },
      { ...first, start: whole.length - 10 },
    ];
    for (const chunk of wrong) {
      const opening = sealingThreads.open([{ ...frame, chunks: [chunk] }], {
        bytes: Buffer.from(bytes),
        output: room(),
      });
      expect(await codeOf(opening)).to.equal("OBJECT_CORRUPT");
    }
  });

  it("open to no more than a frame is said to hold", async () => {
    const { bytes, frame } = await sealed();
    const opening = sealingThreads.open([{ ...frame, size: frame.size - 1 }], { bytes, output: room() });
    expect(await codeOf(opening)).to.equal("OBJECT_CORRUPT");
  });

  it("tell keys of one id apart, and say what does not open as the error that it is", async () => {
    const { bytes, frame } = await sealed();
    const other = { ...newKey({ collection: "notes" }), id: key.id };
    const opening = sealingThreads.open([{ ...frame, key: other }], { bytes: Buffer.from(bytes), output: room() });
    expect(await codeOf(opening)).to.equal("OBJECT_CORRUPT");
    await sealingThreads.open([frame], { bytes, output: room() });
  });

  it("end a pack in shared memory, with a directory that opens behind these bytes and no others", async () => {
    const input = new SharedArrayBuffer(70_000 + largestDirectory);
    Buffer.from(input).set(whole.subarray(0, 70_000));
    const directory = Buffer.from("what the pack holds");
    const { id, size } = await sealingThreads.endPack(key, { input, length: 70_000, repository: "r", directory });
    const pack = Buffer.from(Buffer.from(input, 0, size));
    expect(id).to.equal(createHash("sha256").update(pack).digest("hex"));
    const end = readEnd(pack);
    expect(end).to.include({ id, keyId: key.id });
    expect(end?.directory(key, "r").equals(directory)).to.equal(true);
    expect(() => end?.directory(key, "another")).to.throw(DrError);
    const forged = Buffer.from(pack);
    forged.fill(7, 0, 70_000);
    expect(readEnd(forged)?.id).not.to.equal(id);
    expect(() => readEnd(forged)?.directory(key, "r")).to.throw(DrError);
    for (const cut of [0, 3, 35, 36, 100]) expect(() => readEnd(pack.subarray(0, cut))).not.to.throw();
  });
});
