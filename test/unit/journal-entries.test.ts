/** Entries of a journal as text, and ids of points in one form: properties. */
import { expect } from "chai";
import fc from "fast-check";
import { documentText, parseExactly } from "../../runtime/domain/exact-json.ts";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import { decodeEntries, encodeEntries, inOneLine } from "../../runtime/domain/journal/entry-text.ts";
import { isPointId, numericId, uuidId } from "../../runtime/domain/journal/point-id.ts";

const at = "2026-01-31T12:00:00.000Z";
const odd =
  '{"id":18446744073709551615,"payload":{"a":1.0,"b":-0.0,"c":1e300,"d":"\\n\\u2028","__proto__":1},"vector":[0.1]}';
const text = fc.string({ unit: "grapheme" });
const id = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  fc.uuid().map((uuid) => `"${uuid}"`),
);
const config = fc.constant(parseExactly('{"params":{"vectors":{"size":4}},"x":[1.0,12345678901234567890]}') as never);
const entry: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("points" as const),
      at: fc.constant(at),
      collection: text,
      isComplete: fc.boolean(),
      ids: fc.array(id),
      points: fc.array(
        fc.oneof(
          fc.constant(odd),
          fc.json().map((json) => inOneLine(`{"payload":${json}}`)),
        ),
      ),
      shardKey: fc.constantFrom('"a"', "7"),
    },
    { requiredKeys: ["kind", "at", "collection", "isComplete", "ids", "points"] },
  ),
  fc.record({
    kind: fc.constant("collection" as const),
    at: fc.constant(at),
    collection: text,
    config,
    indexes: fc.dictionary(fc.string(), config),
  }),
  fc.record({ kind: fc.constant("collection-deleted" as const), at: fc.constant(at), collection: text }),
  fc.record({
    kind: fc.constant("aliases" as const),
    at: fc.constant(at),
    aliases: fc.array(fc.record({ alias: text, collection: text })),
  }),
  fc.record({
    kind: fc.constant("shard-key" as const),
    at: fc.constant(at),
    collection: text,
    shardKey: fc.constant('"a"'),
    isThere: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("unreconciled" as const), at: fc.constant(at), reason: text }),
);

describe("entries of a journal", () => {
  it("are read as they were written, with every number as it was", () => {
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        expect(documentText(decodeEntries(encodeEntries(entries)))).to.equal(documentText(entries));
      }),
    );
  });

  it("are not read when a line or a byte is missing", () => {
    const whole = encodeEntries([{ kind: "points", at, collection: "a", isComplete: true, ids: ["1"], points: [odd] }]);
    const lines = whole.split("\n").slice(0, -1);
    for (const cut of [lines.slice(0, 1), lines.slice(0, 2), lines.slice(1)]) {
      expect(() => decodeEntries(`${cut.join("\n")}\n`), cut.join()).to.throw();
    }
    expect(() => decodeEntries(whole.slice(0, -1))).to.throw("the last line has no end");
    expect(() => decodeEntries(whole.replace("[1]", "[1.0]"))).to.throw("what is no id");
  });
});

describe("the id of a point", () => {
  it("has one text however a UUID is written, and is a number as far as Qdrant has them", () => {
    const uuid = "936da01f-9abd-4d9d-80c7-02af85c822a8";
    const forms = [uuid, uuid.toUpperCase(), uuid.replaceAll("-", ""), `{${uuid}}`, `urn:uuid:${uuid}`];
    expect(forms.map(uuidId)).to.deep.equal(forms.map(() => `"${uuid}"`));
    expect(["", "1", `${uuid}0`, uuid.slice(1), `{${uuid}`].map(uuidId)).to.deep.equal(Array(5).fill(undefined));
    expect(["0", "18446744073709551615"].map(numericId)).to.deep.equal(["0", "18446744073709551615"]);
    expect(["", "-1", "01", "1.0", "1e3", "18446744073709551616"].map(numericId)).to.deep.equal(
      Array(6).fill(undefined),
    );
    expect([`"${uuid}"`, "7"].every(isPointId)).to.equal(true);
    expect([`"${uuid.toUpperCase()}"`, "7,8", "07"].some(isPointId)).to.equal(false);
  });
});
