import { expect } from "chai";
import fc from "fast-check";
import {
  canonicalJson,
  documentText,
  exactText,
  isExactJson,
  parseExactly,
  withPlainFloats,
} from "../../runtime/domain/exact-json.ts";

describe("exact JSON", () => {
  it("gives back every value that JSON can hold, but for integers that a number cannot", () => {
    const values = fc.jsonValue().filter((value) => !/\d{16}/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(values, (value) => {
        expect(parseExactly(documentText(value))).to.deep.equal(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("keeps integers of any size, wherever they are", () => {
    fc.assert(
      fc.property(fc.bigInt(), (integer) => {
        const text = `{"a":[${integer},{"b":${integer}}]}`;
        expect(documentText(parseExactly(text)).replaceAll(/\s/g, "")).to.equal(text);
      }),
    );
  });

  it("keeps a number that is too large for any", () => {
    expect(documentText(parseExactly("[1e400]")).replaceAll(/\s/g, "")).to.equal("[1e400]");
  });

  it("writes every number as it was read, and reads all else as JSON.parse does", () => {
    const number = fc.oneof(
      fc.bigInt().map(String),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }).map((value) => value.toPrecision(15)),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e-4 }).map((value) => value.toFixed(12)),
      fc.stringMatching(/^-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?$/),
    );
    const text = fc
      .oneof(
        fc.string(),
        number,
        number.map((written) => `,${written}pm: ${written}`),
      )
      .map((value) => JSON.stringify(value));
    const { document } = fc.letrec<{ document: string }>((tie) => ({
      document: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(number, text, fc.constantFrom("true", "false", "null")),
        fc.array(tie("document")).map((elements) => `[${elements.join(",")}]`),
        fc.array(tie("document")).map((values) => `{${values.map((value, n) => `"k${n}":${value}`).join(",")}}`),
      ),
    }));
    fc.assert(
      fc.property(document, (written) => {
        const read = parseExactly(written);
        expect(exactText(read)).to.equal(written);
        expect(isExactJson(read)).to.equal(true);
        expect(exactText(parseExactly(JSON.stringify(JSON.parse(written), null, 2)))).to.equal(
          JSON.stringify(JSON.parse(written)),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  const numbers: [written: string, is: number | bigint | "object", told: string][] = [
    ["0", 0, "0"],
    ["9007199254740991", 9007199254740991, "9007199254740991"],
    ["9007199254740992", 9007199254740992n, "9007199254740992"],
    ["9007199254740993", 9007199254740993n, "9007199254740993"],
    ["-9223372036854775808", -9223372036854775808n, "-9223372036854775808"],
    ["18446744073709551615", 18446744073709551615n, "18446744073709551615"],
    ["0.5", 0.5, "0.5"],
    ["1e-7", 1e-7, "1e-7"],
    ["1.0", "object", "1.0"],
    ["-0.0", "object", "-0.0"],
    ["-0", "object", "-0"],
    ["1e300", "object", "1e+300"],
    ["1e16", "object", "10000000000000000.0"],
    ["1e400", "object", "1e400"],
  ];
  for (const [written, is, told] of numbers) {
    it(`reads ${written}, writes it so, and compares it as ${told}`, () => {
      const read = parseExactly(written);
      if (is === "object") expect(read).to.be.an("object");
      else expect(read).to.equal(is);
      expect(exactText({ a: [read] })).to.equal(`{"a":[${written}]}`);
      expect(canonicalJson(read)).to.equal(told);
    });
  }

  it("refuses what is no JSON, with and without such numbers", () => {
    for (const text of ["", "[1.0", "[1", "{'a':1}", "[01]", "[1.0,]", "[-]"])
      expect(() => parseExactly(text)).to.throw(SyntaxError);
  });

  it("has floats as numbers where how they are written says nothing", () => {
    const read = parseExactly('{"a":[1.0,-0.5,1e300],"b":18446744073709551615,"__proto__":{"c":2.0}}');
    expect(exactText(withPlainFloats(read))).to.equal(
      '{"a":[1,-0.5,1e+300],"b":18446744073709551615,"__proto__":{"c":2}}',
    );
  });

  it("writes equal values the same, whatever the order of their members", () => {
    expect(documentText({ b: 1, a: { d: [2], c: 3 } })).to.equal(documentText({ a: { c: 3, d: [2] }, b: 1 }));
  });

  it("keeps a member that is called __proto__", () => {
    expect(documentText(parseExactly('{"__proto__":{"a":1}}'))).to.contain("__proto__");
  });
});
