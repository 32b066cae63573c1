import { expect } from "chai";
import { problemOfName } from "../../runtime/domain/qdrant/collection-name.ts";

describe("the name of a collection that is to be made", () => {
  for (const name of [
    "notes",
    "notes_2",
    "a.b",
    "...",
    "-a",
    " a ",
    "日本",
    "CON",
    "a\u001eb",
    "x".repeat(255),
    "é".repeat(127),
  ]) {
    it(`${JSON.stringify(name.slice(0, 20))} of ${name.length} can be had`, () => {
      expect(problemOfName(name)).to.equal(undefined);
    });
  }

  for (const [name, problem] of [
    ["", "it names no collection"],
    [".", "it names no collection"],
    ["..", "it names no collection"],
    ["notes_2026-05-31T14:30:00Z", 'Qdrant allows no ":" in it'],
    ["a/b", 'Qdrant allows no "/" in it'],
    ["a\\b", 'Qdrant allows no "\\\\" in it'],
    ["a\u0000b", 'Qdrant allows no "\\u0000" in it'],
    ["x".repeat(256), "it is longer than 255 bytes"],
    ["é".repeat(128), "it is longer than 255 bytes"],
  ] as const) {
    it(`${JSON.stringify(name.slice(0, 26))} of ${name.length} is refused: ${problem}`, () => {
      expect(problemOfName(name)).to.equal(problem);
    });
  }
});
