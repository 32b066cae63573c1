import { expect } from "chai";
import { newKey } from "../../runtime/domain/recovery-points/key.ts";
import { nameOf } from "../../runtime/domain/recovery-points/sealing.ts";
import { chunkSize } from "../../runtime/domain/recovery-points/stored-content.ts";
import { sealingThreads } from "../../runtime/repository/content/sealing-threads.ts";
import { codeOf } from "../support/expect-code.ts";

const key = newKey({ collection: "notes" });
const chunks = [Buffer.alloc(chunkSize, "a"), Buffer.from("short"), Buffer.alloc(chunkSize, 7)];

/** Seals the chunks; answers what came, each with its name and key as a piece of one run of bytes. */
async function sealed(expected: (string | undefined)[] = []) {
  const slot = await sealingThreads.slot();
  for (const [position, chunk] of chunks.entries()) slot.chunks.set(chunk, position * chunkSize);
  const lengths = chunks.map(({ length }) => length);
  const answer = await sealingThreads.seal(key, { lengths, expected, input: slot.input, output: slot.output });
  const bytes = Buffer.from(slot.sealed);
  sealingThreads.release(slot);
  let offset = 0;
  const pieces = answer.names.map((name, position) => {
    const length = answer.sealedLengths[position] ?? 0;
    offset += length;
    return { key, name, offset: offset - length, length };
  });
  return { bytes, pieces };
}

describe("sealing threads", () => {
  it("give back what was sealed, under the names of the contents", async () => {
    const { bytes, pieces } = await sealed();
    expect(pieces.map(({ name }) => name)).to.deep.equal(chunks.map((chunk) => nameOf(key, chunk)));

    const { lengths, plain } = await sealingThreads.open(pieces, { bytes, plainSize: chunkSize });

    expect(Buffer.from(plain).equals(Buffer.concat(chunks))).to.equal(true);
    expect(lengths).to.deep.equal(chunks.map(({ length }) => length));
  });

  it("seal nothing that is expected: it is stored already", async () => {
    const { pieces } = await sealed([undefined, nameOf(key, chunks[1] ?? Buffer.alloc(0))]);
    expect(pieces.map(({ length }) => length > 0)).to.deep.equal([true, false, true]);
  });

  it("tell keys of one id apart, and say what does not open as the error that it is", async () => {
    const { bytes, pieces } = await sealed();
    const other = { ...newKey({ collection: "notes" }), id: key.id };
    const opening = sealingThreads.open(
      pieces.map((piece) => ({ ...piece, key: other })),
      { bytes, plainSize: chunkSize },
    );
    expect(await codeOf(opening)).to.equal("OBJECT_CORRUPT");
    expect((await sealingThreads.open(pieces, { bytes, plainSize: chunkSize })).lengths).to.have.lengthOf(3);
  });
});
