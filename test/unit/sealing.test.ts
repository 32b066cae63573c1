import { randomBytes } from "node:crypto";
import { expect } from "chai";
import fc from "fast-check";
import { newKey, parseKey, serialiseKey } from "../../runtime/domain/recovery-points/key.ts";
import {
  freeAtOnce,
  nameOf,
  seal,
  sealedAtMost,
  sealInto,
  unseal,
} from "../../runtime/domain/recovery-points/sealing.ts";
import { codeOf } from "../support/expect-code.ts";

const key = newKey({ collection: "notes" });
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }),
  // Compresses well: the other codec.
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 70_000 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte)),
);
const names = fc.string({ unit: "binary", maxLength: 80 });

function refusalOf(act: () => unknown) {
  return codeOf(Promise.resolve().then(act));
}

describe("sealing", () => {
  it("opens to what was sealed, for any content and name", () => {
    fc.assert(
      fc.property(contents, names, (plain, name) => {
        expect(unseal(key, name, seal(key, name, plain), plain.length).equals(plain)).to.equal(true);
      }),
    );
  });

  it("leaves no memory of large frames to the garbage collector", () => {
    const plain = Buffer.alloc(512 * 1024, randomBytes(100_000));
    const place = Buffer.alloc(sealedAtMost(plain.length));
    const before = process.memoryUsage().arrayBuffers;

    for (let frame = 0; frame < 20; frame += 1) {
      const length = sealInto(place, key, "frame", plain);
      const opened = unseal(key, "frame", place.subarray(0, length), plain.length);
      expect(opened.equals(plain)).to.equal(true);
      freeAtOnce(opened);
    }

    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(2 * plain.length);
  });

  it("frees nothing that small buffers share", () => {
    const [kept, freed] = [Buffer.from("kept"), Buffer.from("freed")];

    freeAtOnce(freed);

    expect(String(kept)).to.equal("kept");
  });

  it("opens with a key that was stored and read back", () => {
    const sealed = seal(key, "name", Buffer.from("content"));

    expect(String(unseal(parseKey(serialiseKey(key)), "name", sealed, 100))).to.equal("content");
  });

  it("refuses any flipped bit as OBJECT_CORRUPT", async () => {
    await fc.assert(
      fc.asyncProperty(contents, names, fc.nat(), async (plain, name, position) => {
        const sealed = seal(key, name, plain);
        const bit = position % (sealed.length * 8);
        sealed.writeUInt8(sealed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(await refusalOf(() => unseal(key, name, sealed, plain.length))).to.equal("OBJECT_CORRUPT");
      }),
    );
    const sealed = seal(key, "name", Buffer.from("every bit of a short one"));
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(await refusalOf(() => unseal(key, "name", changed, 100)), `bit ${bit}`).to.equal("OBJECT_CORRUPT");
    }
  });

  it("refuses every cut, and bytes behind the end, as OBJECT_CORRUPT", async () => {
    const sealed = seal(key, "name", Buffer.from("content that is cut"));
    for (let length = 0; length < sealed.length; length += 1) {
      const cut = sealed.subarray(0, length);
      expect(await refusalOf(() => unseal(key, "name", cut, 100)), `${length} bytes`).to.equal("OBJECT_CORRUPT");
    }
    const longer = Buffer.concat([sealed, Buffer.alloc(1)]);
    expect(await refusalOf(() => unseal(key, "name", longer, 100))).to.equal("OBJECT_CORRUPT");
  });

  it("refuses another key and another name: no object can stand in for another", async () => {
    await fc.assert(
      fc.asyncProperty(contents, names, names, async (plain, name, other) => {
        const sealed = seal(key, name, plain);
        const stranger = newKey({ collection: "notes" });
        expect(await refusalOf(() => unseal(stranger, name, sealed, plain.length))).to.equal("OBJECT_CORRUPT");
        if (Buffer.from(name).equals(Buffer.from(other))) return;
        expect(await refusalOf(() => unseal(key, other, sealed, plain.length))).to.equal("OBJECT_CORRUPT");
      }),
    );
  });

  it("opens to no more than its reader allows, whatever the sender compressed", async () => {
    const bomb = seal(key, "name", Buffer.alloc(10_000_000));

    expect(bomb.length).to.be.lessThan(2_000);
    expect(await refusalOf(() => unseal(key, "name", bomb, 65_536))).to.equal("OBJECT_CORRUPT");
  });

  it("seals the same content differently each time, under one name", () => {
    const content = Buffer.from("the same");

    expect(seal(key, "name", content).equals(seal(key, "name", content))).to.equal(false);
    expect(nameOf(key, content)).to.equal(nameOf(key, Buffer.from("the same")));
  });

  it("names contents apart, and the same content apart under two keys", () => {
    fc.assert(
      fc.property(contents, contents, (one, other) => {
        expect(nameOf(key, one) === nameOf(key, other)).to.equal(Buffer.from(one).equals(Buffer.from(other)));
        expect(nameOf(key, one)).not.to.equal(nameOf(newKey("repository"), one));
      }),
    );
  });
});
