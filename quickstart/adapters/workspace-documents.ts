/** What a workspace on disk holds, as points: the repository's own Markdown and TypeScript, and that of its packages. */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { DrError } from "../../runtime/errors.ts";
import { chunksOf, type DocumentChunk, type SourceDocument, symbolsOf } from "../domain/document-chunks.ts";
import { embed } from "../domain/text-embedding.ts";
import type { SymbolDocument, WorkspaceCollection, WorkspaceCollectionName } from "../workflow/load-workspace.ts";

const defaultTotalPoints = 22_000;
const shares = { documents: 8 / 22, symbols: 6 / 22 };
const largestFile = 512 * 1024;
const skippedFolders = new Set([".git", ".qdrant-dr"]);
const packageFolder = "node_modules";

interface SourceFile {
  readonly path: string;
  readonly package: string;
}

export interface ReadOptions {
  /** Of all three collections; 22,000 when absent: 8,000 documents, 8,000 pieces of code, 6,000 symbols. */
  readonly totalPoints?: number;
}

/**
 * The three collections, the same for the same files. Packages take turns, one point each, so that all of them are in.
 * What Markdown and symbols lack, code makes up for. Throws SETTING_INVALID when the workspace has too little.
 */
export async function readWorkspace(
  root: string,
  { totalPoints = defaultTotalPoints }: ReadOptions = {},
): Promise<WorkspaceCollection[]> {
  const files = await sourceFiles(resolve(root));
  const markdown = files.filter(({ path }) => path.endsWith(".md"));
  const typescript = files.filter(({ path }) => path.endsWith(".ts"));
  const read = (file: SourceFile) => readSource(resolve(root), file);

  const documents = await takeTurns(markdown, read, chunksOf, Math.round(totalPoints * shares.documents));
  const symbols = await takeTurns(typescript, read, symbolDocuments, Math.round(totalPoints * shares.symbols));
  const code = await takeTurns(typescript, read, chunksOf, totalPoints - documents.length - symbols.length);
  const found = documents.length + symbols.length + code.length;
  if (found < totalPoints) {
    throw new DrError(
      "SETTING_INVALID",
      `${root} holds ${found} points in ${files.length} files; ${totalPoints} are wanted`,
      {
        hint: "name a folder with more Markdown and TypeScript (after `npm install`, this repository has enough), or ask for fewer points",
      },
    );
  }
  return [collection("documents", documents), collection("symbols", symbols), collection("code", code)];
}

function collection(
  name: WorkspaceCollectionName,
  payloads: readonly (DocumentChunk | SymbolDocument)[],
): WorkspaceCollection {
  return {
    name,
    count: payloads.length,
    *points() {
      for (const [index, payload] of payloads.entries()) {
        yield { id: index + 1, vector: embed(payload.text), payload };
      }
    },
  };
}

function symbolDocuments({ path, package: packageName, text }: SourceDocument): SymbolDocument[] {
  return symbolsOf(text).map((symbol) => ({
    ...symbol,
    path,
    package: packageName,
    language: "typescript",
    text: symbol.signature,
  }));
}

/** Every file that may be read, in a fixed order; links are not followed, so that nothing comes twice. */
async function sourceFiles(root: string): Promise<SourceFile[]> {
  const walk = async (folder: string, packageName: string): Promise<SourceFile[]> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const found = entries.map((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !skippedFolders.has(entry.name)) return walk(path, packageOf(path) ?? packageName);
      return entry.isFile() && /\.(?:md|ts)$/.test(entry.name) ? [{ path, package: packageName }] : [];
    });
    return (await Promise.all(found)).flat();
  };
  try {
    return await walk("", basename(root));
  } catch (error) {
    throw new DrError("SETTING_INVALID", `the workspace ${root} cannot be read (${(error as Error).message})`, {
      hint: "name a folder that exists and that you may read",
      cause: error,
    });
  }
}

/** The npm package whose folder this is. */
function packageOf(folder: string): string | undefined {
  const [name = "", scoped] = folder
    .slice(folder.lastIndexOf(`${packageFolder}/`) + packageFolder.length + 1)
    .split("/");
  const isPackage = folder.split("/").includes(packageFolder) && !folder.endsWith(packageFolder);
  if (!isPackage) return undefined;
  return name.startsWith("@") && scoped !== undefined ? `${name}/${scoped}` : name;
}

/** Undefined for what is no source text, whatever its name: too large, or binary (video has `.ts` too). */
async function readSource(root: string, file: SourceFile): Promise<SourceDocument | undefined> {
  const path = join(root, file.path);
  if ((await stat(path)).size > largestFile) return undefined;
  const text = await readFile(path, "utf8");
  return text.includes("\0") ? undefined : { ...file, text };
}

/** Up to `wanted` cuts: one of each package in turn, in the order of its files, which are read only when it is their turn. */
async function takeTurns<Cut>(
  files: readonly SourceFile[],
  read: (file: SourceFile) => Promise<SourceDocument | undefined>,
  cut: (document: SourceDocument) => readonly Cut[],
  wanted: number,
): Promise<Cut[]> {
  async function* cuts(own: readonly SourceFile[]): AsyncGenerator<Cut> {
    for (const file of own) {
      const document = await read(file);
      if (document !== undefined) yield* cut(document);
    }
  }
  const taken: Cut[] = [];
  let waiting = [...Map.groupBy(files, (file) => file.package).values()].map(cuts);
  while (waiting.length > 0 && taken.length < wanted) {
    const next: typeof waiting = [];
    for (const own of waiting) {
      if (taken.length === wanted) break;
      const { value, done } = await own.next();
      if (done === true) continue;
      taken.push(value);
      next.push(own);
    }
    waiting = next;
  }
  return taken;
}
