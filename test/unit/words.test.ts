import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { retiredWordsIn, retiredWordsInCode } from "../support/documents/retired-words.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const rooms = ["bench", "bootstrap", "components", "policy", "quickstart", "runtime", "setup"];
const read = (path: string) => readFileSync(join(root, path), "utf8");

describe("words that the glossary retires", () => {
  for (const room of rooms) {
    it(`stand nowhere in the code of ${room}/`, () => {
      const files = readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
        .filter((path) => /\.(ts|mjs)$/.test(path))
        .map((path) => join(room, path));
      expect(files).to.not.have.length(0);
      const retired = files.flatMap((path) => retiredWordsInCode(read(path)).map((word) => `${path}: ${word}`));
      expect(retired).to.deep.equal([]);
    });
  }

  it("are each found by a pattern, in texts", () => {
    const [, table = ""] = read("docs/concepts/glossary.md").split("## Words we no longer use");
    const rows = [...table.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell = ""]) => cell.trim());
    const words = rows
      .filter((cell) => cell !== "retired" && !/^-+$/.test(cell))
      .flatMap((cell) => cell.split(", "))
      .map((word) => word.replaceAll("`", ""));
    expect(words).to.include.members(["hand over", "--point", "embedded estate"]);
    expect(words.filter((word) => retiredWordsIn(word).length === 0)).to.deep.equal([]);
  });
});
