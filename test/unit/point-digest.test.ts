import { expect } from "chai";
import fc from "fast-check";
import { canonicalJson, exactText, parseExactly } from "../../runtime/domain/exact-json.ts";
import { digestPoint, hasDigest, isSameAnswer, type ScoredPoint } from "../../runtime/domain/qdrant/point-digest.ts";
import { newKey } from "../../runtime/domain/recovery-points/key.ts";
import { nameOf } from "../../runtime/domain/recovery-points/sealing.ts";

const key = newKey({ collection: "notes" });

/** The same value with the members of every object in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}

describe("canonical JSON", () => {
  it("says what JSON says, whatever the order of members", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).to.deep.equal(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(value))).to.equal(canonicalJson(value));
      }),
    );
  });

  it("keeps the order of arrays, and null apart from absent", () => {
    expect(canonicalJson([1, 2])).not.to.equal(canonicalJson([2, 1]));
    expect(canonicalJson({ a: null })).not.to.equal(canonicalJson({}));
    expect(canonicalJson({ a: undefined })).to.equal(canonicalJson({}));
  });
});

describe("digest of a point", () => {
  const point = { payload: { b: 1, a: { d: [1, 2], c: "x" } }, vector: { text: [0.1, 0.2], image: [1, 2] } };

  it("is the same whatever the order of keys, and another for any other content", () => {
    const others = [
      { ...point, payload: { ...point.payload, b: 2 } },
      { ...point, payload: { ...point.payload, e: null } },
      { ...point, vector: { ...point.vector, text: [0.2, 0.1] } },
      { ...point, vector: { text: [0.1, 0.2] } },
    ];

    expect(digestPoint(key, reversed(point) as typeof point)).to.equal(digestPoint(key, point));
    for (const other of others) expect(digestPoint(key, other)).not.to.equal(digestPoint(key, point));
  });

  const pairs: [one: string, other: string, isSame: boolean][] = [
    ["1234567890123456789", "1234567890123456790", false],
    ["18446744073709551615", "18446744073709551614", false],
    ["1.0", "1", false],
    ["0.0", "-0.0", false],
    ["9007199254740992.0", "9007199254740993", false],
    ["1e16", "1e+16", true],
    ["1e16", "10000000000000000.0", true],
    ["1e-5", "0.00001", true],
  ];
  for (const [one, other, isSame] of pairs) {
    it(`is ${isSame ? "the same" : "another"} for a payload with ${one} and with ${other}`, () => {
      const digestOf = (number: string) => digestPoint(key, { ...point, payload: parseExactly(`{"a":[${number}]}`) });
      expect(digestOf(one) === digestOf(other)).to.equal(isSame);
    });
  }

  it("is recognised as recovery points of before hold it, to which 1.0 was 1, and is no other point's", () => {
    const before = nameOf(key, Buffer.from('{"payload":{"a":1,"b":0.5},"vector":[1]}'));
    const isOf = (payload: string) => hasDigest(key, { payload: parseExactly(payload), vector: [1] }, before);
    expect(isOf('{"b":0.5,"a":1.0}')).to.equal(true);
    expect(isOf('{"b":0.5,"a":2.0}')).to.equal(false);
  });

  it("is not taken for that of a point with 1 when the point has 1.0", () => {
    const [float, whole] = ["1.0", "1"].map((text) => ({ payload: parseExactly(`{"a":${text}}`), vector: [1] }));
    if (float === undefined || whole === undefined) throw new Error("two points");
    for (const [one, other] of [[float, whole] as const, [whole, float] as const]) {
      expect(hasDigest(key, one, digestPoint(key, one))).to.equal(true);
      expect(hasDigest(key, other, digestPoint(key, one)), exactText(other)).to.equal(false);
    }
  });

  it("tells nothing to whoever lacks the key: another key gives another digest", () => {
    expect(digestPoint(newKey({ collection: "notes" }), point)).not.to.equal(digestPoint(key, point));
  });
});

describe("two answers to one question", () => {
  const answer: (ScoredPoint & { readonly score: number })[] = [
    { id: 1, score: 0.9 },
    { id: 2, score: 0.8 },
    { id: 3, score: 0.5 },
  ];
  const cases: [what: string, now: ScoredPoint[], isSame: boolean][] = [
    ["are the same", answer, true],
    ["differ in a score's last digits", answer.map(({ id, score }) => ({ id, score: score + 5e-5 })), true],
    ["differ in a score", answer.map(({ id, score }) => ({ id, score: id === 2 ? score + 2e-4 : score })), false],
    ["lack one", answer.slice(0, 2), false],
    ["have one more", [...answer, { id: 4, score: 0.4 }], false],
    ["have another point of another score", [{ id: 9, score: 0.9 }, ...answer.slice(1)], false],
    ["have another of several equals at the cut", [...answer.slice(0, 2), { id: 7, score: 0.5 }], true],
    ["are in another order with other scores", [...answer].reverse(), false],
  ];
  for (const [what, now, isSame] of cases) {
    it(`count as ${isSame ? "equal" : "different"} when they ${what}`, () => {
      expect(isSameAnswer(answer, now)).to.equal(isSame);
    });
  }

  it("count as equal when scores that are not finite stay so, and as different when one becomes so", () => {
    const infinite: ScoredPoint[] = [
      { id: 1, score: null },
      { id: 2, score: 0.5 },
    ];
    const finite: ScoredPoint[] = [
      { id: 1, score: 0 },
      { id: 2, score: 0.5 },
    ];
    expect(isSameAnswer(infinite, infinite)).to.equal(true);
    expect(isSameAnswer(infinite, finite)).to.equal(false);
    expect(isSameAnswer(finite, infinite)).to.equal(false);
  });

  it("count as equal when equals changed places", () => {
    const equals = [1, 2, 3].map((id) => ({ id, score: 0.5 }));

    expect(isSameAnswer(equals, [...equals].reverse())).to.equal(true);
    expect(isSameAnswer([], [])).to.equal(true);
    expect(isSameAnswer([], equals)).to.equal(false);
  });
});
