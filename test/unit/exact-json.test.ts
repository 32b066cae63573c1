import { expect } from "chai";
import fc from "fast-check";
import { documentText, parseExactly } from "../../runtime/domain/infrastructure/exact-json.ts";

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

  it("writes equal values the same, whatever the order of their members", () => {
    expect(documentText({ b: 1, a: { d: [2], c: 3 } })).to.equal(documentText({ a: { c: 3, d: [2] }, b: 1 }));
  });

  it("keeps a member that is called __proto__", () => {
    expect(documentText(parseExactly('{"__proto__":{"a":1}}'))).to.contain("__proto__");
  });
});
