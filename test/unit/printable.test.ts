/** What clients and servers name does not steer the terminal of who reads it. */
import { expect } from "chai";
import { printable, printableAnswer } from "../../runtime/domain/printable.ts";

describe("text for a terminal", () => {
  it("has no character that steers it, and keeps every other one", () => {
    const steering = "\u001b[2J\u0007\b\r\u007f\u009b31m\u0085\u2028\u2029\u202e\u2066\u200f\u061c";
    expect(printable(steering)).to.equal(
      "\\u001b[2J\\u0007\\u0008\\u000d\\u007f\\u009b31m\\u0085\\u2028\\u2029\\u202e\\u2066\\u200f\\u061c",
    );
    const plain = "notes · größe 🧑‍🚒 日本語 עברית\n\tnext";
    expect(printable(plain)).to.equal(plain);
  });

  it("leaves JSON that says the same", () => {
    for (let code = 0; code < 0x2100; code += 1) {
      const value = { [String.fromCodePoint(code)]: `a${String.fromCodePoint(code)}b` };
      expect(JSON.parse(printable(JSON.stringify(value)))).to.deep.equal(value);
    }
  });

  it("of an answer has no line that a name made", () => {
    const collection = "notes\nok: verified";
    const text = `1 recovery point\n  ${collection}  complete\n  of ${collection}`;
    const quoted = { recoveryPoints: [{ collections: [collection], counts: { [collection]: 1 } }] };
    expect(printableAnswer(text, quoted).split("\n")).to.deep.equal([
      "1 recovery point",
      "  notes\\u000aok: verified  complete",
      "  of notes\\u000aok: verified",
    ]);
  });
});
