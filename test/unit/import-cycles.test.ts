/**
 * Files that import each other cannot be read, tested or moved one at a time. Biome's noImportCycles says the same, and takes ten times
 * as long as all of its other rules together.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import ts from "typescript";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const folders = ["bench", "bootstrap", "components", "package", "policy", "quickstart", "runtime", "setup", "test"];

/** What each file imports, types included. */
type Imports = ReadonlyMap<string, readonly string[]>;

describe("imports", () => {
  it("lead from no file back to it", () => {
    const imports = importsOf(sourceFiles());
    expect([...imports.keys()]).to.include.members(["index.ts", "runtime/cli.ts", "setup/run.mjs"]);
    expect(imports.get("runtime/main.ts")).to.include("runtime/cli.ts");
    expect(cyclesOf(imports)).to.deep.equal([]);
  });

  it("a cycle is found wherever it begins, and a file that two others import is none", () => {
    const graph = { top: ["left", "right"], left: ["bottom"], right: ["bottom"], bottom: [] as string[] };
    expect(cyclesOf(new Map(Object.entries(graph)))).to.deep.equal([]);
    const closed = { ...graph, bottom: ["right"] };
    expect(cyclesOf(new Map(Object.entries(closed)))).to.deep.equal(["bottom → right → bottom"]);
    expect(cyclesOf(new Map([["self", ["self"]]]))).to.deep.equal(["self → self"]);
  });
});

function sourceFiles(): string[] {
  const inFolders = folders.flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  );
  return ["index.ts", ...inFolders].filter((path) => /\.(ts|mjs)$/.test(path) && !path.includes("node_modules"));
}

function importsOf(files: readonly string[]): Imports {
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(checkout, file), "utf8"));
      const paths = importedFiles
        .filter(({ fileName }) => fileName.startsWith("."))
        .map(({ fileName }) => join(checkout, dirname(file), fileName));
      return [file, paths.filter((path) => existsSync(path)).map((path) => relative(checkout, path))];
    }),
  );
}

/** One for each import that closes a cycle, as a path. */
function cyclesOf(imports: Imports): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]) => {
    const at = trail.indexOf(file);
    if (at >= 0) cycles.push([...trail.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...trail, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return cycles;
}
