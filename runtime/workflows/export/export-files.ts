/**
 * Writes files that people keep and change: whatever this did not write stays as it is. A record beside them says what it wrote. Killed
 * anywhere and run again, it goes on.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { DrError } from "../../errors.ts";
import type { TextFiles } from "../../ports/text-files.ts";

const recordPath = ".qdrant-dr-export.json";
const newerSuffix = ".new";

/** By the path of a file: hashes of the texts that were written there. */
const recordSchema = z.object({ format: z.literal(1), files: z.record(z.string(), z.array(z.string())) });

export interface ExportedFiles {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  /** Changed by somebody since: kept, with the text of now beside it. */
  readonly kept: readonly { readonly file: string; readonly newer: string }[];
}

/** @throws TARGET_NOT_EMPTY, before anything is written, when a file stands in the way that this never wrote. */
export async function exportFiles(folder: TextFiles, files: ReadonlyMap<string, string>): Promise<ExportedFiles> {
  const known = await readRecord(folder);
  const wanted = new Map<string, string>();
  const unchanged = new Map<string, string>();
  const kept: { file: string; newer: string }[] = [];
  const foreign: string[] = [];
  const look = async (path: string, text: string): Promise<void> => {
    const found = await folder.read(path);
    const hashes = known.get(path);
    if (found === text) unchanged.set(path, text);
    else if (found === undefined || hashes?.includes(hashOf(found))) wanted.set(path, text);
    else if (hashes === undefined || path.endsWith(newerSuffix)) foreign.push(path);
    else {
      kept.push({ file: path, newer: `${path}${newerSuffix}` });
      await look(`${path}${newerSuffix}`, text);
    }
  };
  for (const [path, text] of files) await look(path, text);
  if (foreign.length > 0) {
    throw new DrError(
      "TARGET_NOT_EMPTY",
      `the folder holds files that are not as they were exported: ${foreign.join(", ")}`,
      {
        hint: "move them away, or name another folder; nothing was written",
      },
    );
  }
  // Before the files: a run that is cut off between has told of what stands there, before it and after it.
  await writeRecord(folder, known, new Map([...wanted, ...unchanged]));
  for (const [path, text] of wanted) await folder.write(path, text);
  return { written: [...wanted.keys()], unchanged: [...unchanged.keys()], kept };
}

async function readRecord(folder: TextFiles): Promise<Map<string, readonly string[]>> {
  const text = await folder.read(recordPath);
  if (text === undefined) return new Map();
  const { data } = recordSchema.safeParse(parsed(text));
  // Without a record that can be read nothing there is known to be this command's.
  return new Map(Object.entries(data?.files ?? {}));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function writeRecord(
  folder: TextFiles,
  known: ReadonlyMap<string, readonly string[]>,
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const isKnown = ([path, text]: readonly [string, string]) => known.get(path)?.includes(hashOf(text));
  if ([...texts].every(isKnown)) return;
  const files = Object.fromEntries(known);
  for (const [path, text] of texts) files[path] = [...new Set([...(known.get(path) ?? []), hashOf(text)])].slice(-10);
  await folder.write(recordPath, `${JSON.stringify({ format: 1, files }, undefined, 2)}\n`);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
