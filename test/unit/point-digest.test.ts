import { expect } from "chai";
import fc from "fast-check";
import { canonicalJson, exactText, parseExactly } from "../../runtime/domain/exact-json.ts";
import { countFound, digestSketch, isSameAnswer, type ScoredPoint } from "../../runtime/domain/qdrant/point-digest.ts";
import { PointReader, type ReadPoint } from "../../runtime/domain/qdrant/point-reader.ts";
import { newKey } from "../../runtime/domain/recovery-points/key.ts";

const key = newKey({ collection: "notes" });

interface Content {
  readonly payload: unknown;
  readonly vector: unknown;
}

/** As Qdrant answers it, in pieces of a length. */
function readPoints(answer: string, pieceLength = 256): ReadPoint[] {
  const bytes = Buffer.from(answer);
  const reader = new PointReader();
  const found: ReadPoint[] = [];
  for (let at = 0; at < bytes.length; at += pieceLength)
    found.push(...reader.read(bytes.subarray(at, at + pieceLength)));
  reader.end();
  return found;
}

function sketchOf({ payload, vector }: Content, pieceLength?: number): ReadPoint {
  const [point] = readPoints(exactText({ result: [{ id: 1, payload, vector }], status: "ok" }), pieceLength);
  if (point === undefined) throw new Error("no point");
  return point;
}

const digestPoint = (_key: typeof key, content: Content) => digestSketch(key, sketchOf(content));

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

  it("is the same in pieces of any length, and equal exactly where the content is, however large", () => {
    const large = fc.tuple(fc.constantFrom(10, 1_500, 3_000), fc.jsonValue());
    const grown = large.map(([length, value]) => ({
      text: "ä\n".repeat(length),
      list: Array(length).fill(value),
      value,
    }));
    const contents = fc.record({
      payload: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), grown),
      vector: fc.constant([1]),
    });
    fc.assert(
      fc.property(contents, contents, fc.integer({ min: 1, max: 9_999 }), (one, other, length) => {
        const { content } = sketchOf(one, length);
        expect(sketchOf(one, 65_536).content).to.equal(content);
        expect(sketchOf(reversed(one) as Content).content).to.equal(content);
        const areEqual = canonicalJson(parseExactly(exactText(one))) === canonicalJson(parseExactly(exactText(other)));
        expect(sketchOf(other).content === content).to.equal(areEqual);
        expect(content.length).to.be.below(20_000);
      }),
      { numRuns: 20 },
    );
  });

  it("comes with the id, the vectors of every kind and short values of the payload", () => {
    const points = readPoints(
      `{"time":0.1,"result":[
        {"id":18446744073709551615,"payload":null,"vector":[1.5,-0.0]},
        {"id":"a-uuid","payload":{"id":7,"vector":[9],"tag":"a","ok":true,"half":0.5,"a.b":"no path","deep":{"tag":"b"},"list":["c"],"none":null},"shard_key":"k","vector":{"text":[1,2],"many":[[1.5,2],[3,4]],"sparse":{"indices":[1],"values":[0.5]}}},
        {"id":3,"vector":{}}
      ],"status":"ok"}`,
      3,
    );
    expect(points.map(({ id, vectors }) => ({ id, vectors }))).to.deep.equal([
      { id: 18446744073709551615n, vectors: [{ vector: [1.5, -0] }] },
      {
        id: "a-uuid",
        vectors: [
          { using: "text", vector: [1, 2] },
          {
            using: "many",
            vector: [
              [1.5, 2],
              [3, 4],
            ],
          },
          { using: "sparse", vector: { indices: [1], values: [0.5] } },
        ],
      },
      { id: 3, vectors: [] },
    ]);
    expect(points.map(({ scalars }) => scalars)).to.deep.equal([
      [],
      [
        { key: "id", value: 7 },
        { key: "tag", value: "a" },
        { key: "ok", value: true },
      ],
      [],
    ]);
  });

  it("comes without vectors that are odd or very long, and without long values", () => {
    const long = (length: number) => JSON.stringify(Array.from({ length }, () => 1));
    const vectors = [
      ...[
        "[]",
        "[[]]",
        "[[1],[]]",
        "[[1,2],[3,4]]",
        "[[1,2]]",
        "[1,null]",
        "[[[1]]]",
        "{}",
        '{"indices":[1],"values":[1,2]}',
        '{"indices":[1]}',
      ],
      ...['{"indices":[1],"values":[1],"more":[1]}', '{"__proto__":[1],"values":[1]}', '"text"', long(16_385)],
      `[${long(9_000)},${long(9_000)}]`,
    ];
    const named = vectors.map((vector, index) => `"v${index}":${vector}`).join(",");
    const payload = `{"text":"${"x".repeat(129)}","big":12345678901234567890,"kept":"${"y".repeat(128)}"}`;
    const [read] = readPoints(`{"result":[{"id":1,"payload":${payload},"vector":{${named},"good":${long(16_384)}}}]}`);
    expect(read?.vectors.map(({ using }) => using)).to.deep.equal(["good"]);
    expect(read?.scalars).to.deep.equal([{ key: "kept", value: "y".repeat(128) }]);
  });

  it("is made of no answer that breaks off, or is none", () => {
    const answer = '{"result":[{"id":1,"payload":{"a":"\\u00e4\\n"},"vector":[1]}]}';
    for (let length = 0; length < answer.length; length += 1)
      expect(() => readPoints(answer.slice(0, length))).to.throw(SyntaxError);
    for (const no of ["<html>", '{"result":[1,]}', '{"a" 1}', "{]", '{"a":01}', '{"a":tru}', '"\\x"', "1 2"]) {
      expect(() => readPoints(no), no).to.throw(SyntaxError);
    }
    expect(() => readPoints("[".repeat(2_000))).to.throw(SyntaxError);
  });

  it("tells nothing to whoever lacks the key: another key gives another digest", () => {
    expect(digestSketch(newKey({ collection: "notes" }), sketchOf(point))).not.to.equal(digestPoint(key, point));
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

  it("are found by the index when they are the same points, or others as near", () => {
    expect(countFound(answer, answer)).to.equal(3);
    expect(countFound(answer, [...answer.slice(1), { id: 7, score: 0.5 }])).to.equal(3);
    expect(countFound(answer, [{ id: 8, score: 0.2 }])).to.equal(0);
    expect(countFound([], answer)).to.equal(0);
  });

  it("count as equal when large scores differ in the last digits", () => {
    const of = (score: number): ScoredPoint[] => [{ id: 1, score }];
    expect(isSameAnswer(of(20_000), of(20_001))).to.equal(true);
    expect(isSameAnswer(of(20_000), of(20_003))).to.equal(false);
  });

  it("count as equal when equals changed places", () => {
    const equals = [1, 2, 3].map((id) => ({ id, score: 0.5 }));

    expect(isSameAnswer(equals, [...equals].reverse())).to.equal(true);
    expect(isSameAnswer([], [])).to.equal(true);
    expect(isSameAnswer([], equals)).to.equal(false);
  });
});
