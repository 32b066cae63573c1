import { expect } from "chai";
import fc from "fast-check";
import { chunksOf, longestChunk, symbolsOf } from "../../quickstart/domain/document-chunks.ts";

const cut = (path: string, text: string) => chunksOf({ path, package: "pkg", text });
const filler = (words: number) => "word ".repeat(words).trim();

const lines = fc.array(
  fc.oneof(
    fc.constantFrom(
      "",
      "# Title",
      "## Part",
      "```ts",
      "```",
      "export const a = 1;",
      "/** Says it. */",
      "}",
      "\u{1F600}".repeat(700),
    ),
    fc.lorem({ maxCount: 40 }),
    fc.string({ unit: "grapheme", maxLength: 200 }),
  ),
  { maxLength: 60 },
);
const documents = fc.record({
  path: fc.constantFrom("a.md", "a.ts", "a.d.ts"),
  text: lines.map((all) => all.join("\n")),
});

describe("document chunks", () => {
  it("loses nothing: the chunks of a document together are its text, but for white space at their borders", () => {
    fc.assert(
      fc.property(documents, ({ path, text }) => {
        const together = cut(path, text).map((chunk) => chunk.text);
        expect(together.join("").replaceAll(/\s/g, "")).to.equal(text.replaceAll(/\s/g, ""));
      }),
    );
  });

  it("makes no chunk empty, too long, or with half a character, which no server takes as JSON", () => {
    fc.assert(
      fc.property(documents, ({ path, text }) => {
        for (const chunk of cut(path, text)) {
          expect(chunk.text.trim()).not.to.equal("");
          expect(chunk.text.length).to.be.at.most(longestChunk);
          expect(chunk.text.isWellFormed()).to.equal(true);
        }
      }),
    );
  });

  it("says in which line of the document each chunk begins", () => {
    fc.assert(
      fc.property(documents, ({ path, text }) => {
        const all = text.split(/\r\n|\r|\n/);
        for (const chunk of cut(path, text)) {
          expect(all[chunk.line - 1]).to.include(chunk.text.split("\n")[0]?.trimEnd());
        }
      }),
    );
  });

  it("makes chunks of 600 to 900 characters where the text has borders to choose from", () => {
    const text = Array.from({ length: 40 }, (_, n) => `Paragraph ${n}. ${filler(30)}`).join("\n\n");
    const chunks = cut("guide.md", text);
    for (const chunk of chunks.slice(0, -1)) expect(chunk.text.length).to.be.within(600, 900);
    expect(chunks.every(({ text }) => text.startsWith("Paragraph"))).to.equal(true);
  });

  it("cuts Markdown at a heading, and names the heading that each chunk stands under", () => {
    const chunks = cut("guide.md", `# Backup\n\n${filler(130)}\n\n## Restore ##\n\n${filler(130)}\n\n${filler(130)}`);
    expect(chunks.map(({ heading, line }) => [heading, line])).to.deep.equal([
      ["Backup", 1],
      ["Restore", 5],
      ["Restore", 9],
    ]);
  });

  it("takes no comment in fenced code for a heading", () => {
    const chunks = cut("guide.md", `# Setup\n\n\`\`\`sh\n# not a heading\nrun\n\`\`\`\n\n${filler(178)}`);
    expect(chunks.map(({ heading }) => heading)).to.deep.equal(["Setup", "Setup"]);
  });

  it("cuts TypeScript between declarations, and keeps the comment with its declaration", () => {
    const declaration = (n: number) =>
      `/**\n * ${filler(60)}\n */\nexport function f${n}(): string {\n  return "${filler(60)}";\n}`;
    const chunks = cut("src/a.ts", [1, 2, 3].map(declaration).join("\n"));
    expect(chunks.map(({ text }) => text)).to.deep.equal([1, 2, 3].map(declaration));
  });

  it("tells prose, source and declarations apart, and keeps where they come from", () => {
    const place = { package: "pkg", line: 1 };
    expect(cut("a/b.md", "Text")).to.deep.equal([
      { ...place, path: "a/b.md", language: "markdown", kind: "prose", text: "Text" },
    ]);
    expect(cut("b.ts", "x")[0]).to.include({ language: "typescript", kind: "source" });
    expect(cut("b.d.ts", "x")[0]).to.include({ language: "typescript", kind: "declarations" });
  });
});

describe("exported symbols", () => {
  it("finds every kind of exported declaration with its signature and line", () => {
    const text = [
      "import { a } from './a.ts';",
      "export const limit: number = 1;",
      "export async function load(path: string): Promise<void> {",
      "}",
      "export declare class Client extends Base {",
      "export default function main() {}",
      "export abstract class Shape {",
      "export interface Options<T> {",
      "export type Id = string;",
      "export const enum Level {",
      "  export namespace inner {",
      "export declare function* walk(): Generator;",
    ].join("\n");
    expect(symbolsOf(text).map(({ kind, name, line }) => `${line} ${kind} ${name}`)).to.deep.equal([
      "2 const limit",
      "3 function load",
      "5 class Client",
      "6 function main",
      "7 class Shape",
      "8 interface Options",
      "9 type Id",
      "10 const enum Level",
      "11 namespace inner",
      "12 function walk",
    ]);
    expect(symbolsOf(text)[1]?.signature).to.equal("export async function load(path: string): Promise<void> {");
  });

  it("passes by what is not exported, is exported from elsewhere, or is in a comment", () => {
    expect(
      symbolsOf("const a = 1;\nexport { a };\nexport * from './b.ts';\n// export const c = 1;\n * export const d = 1;"),
    ).to.deep.equal([]);
  });
});
