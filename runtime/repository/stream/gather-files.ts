/**
 * Brings files out of the stream: what of their content lies in packs of the stream is packed anew, in few packs of the history. A state of
 * the stream names a small pack for each capture since; a recovery point of the history names one for all of them.
 */
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import { type Contents, ContentWriter, type KnownFiles, type WrittenFiles } from "../content/content-writer.ts";
import { type CapturedFile, readFiles } from "../content/file-reader.ts";
import type { OpenRepository } from "../repository.ts";

export interface GatherRequest {
  /** With its stream. */
  readonly repository: OpenRepository;
  readonly key: DataKey;
  /** Ids of packs of the stream. */
  readonly streamed: ReadonlySet<string>;
  /** The same files as the last recovery point of the history has them: what is as it was there is not stored again. */
  readonly before: KnownFiles | undefined;
}

/** The same files, in their order, in packs of the history alone. */
export async function gatherFiles(
  { before, key, repository, streamed }: GatherRequest,
  tree: KnownFiles,
): Promise<WrittenFiles> {
  const isStreamed = ({ packs }: TreeFile) => packs.some((position) => streamed.has(tree.packs[position]?.id ?? ""));
  const moved = tree.files.filter(isStreamed);
  const movedPaths = new Set(moved.map(({ path }) => path));
  const standing = tree.files.filter(({ path }) => !movedPaths.has(path));
  const earlier = (before?.files ?? []).filter(({ path }) => movedPaths.has(path));
  const known: KnownFiles = {
    files: [...standing, ...earlier.map((file) => behind(file, tree.packs.length))],
    packs: [...tree.packs, ...(before?.packs ?? [])],
  };
  const writer = new ContentWriter(repository.history, key, known);
  const contents = readFiles(repository, moved);
  try {
    for (const file of tree.files) {
      if (!movedPaths.has(file.path)) {
        writer.carry(file.path);
        continue;
      }
      const { value } = await contents.next();
      if (value !== undefined) await writer.addFile(file.path, file.size, extentsOf(value));
    }
    return await writer.finish();
  } finally {
    writer.close();
    await contents.return(undefined);
  }
}

/** Whether anything of the tree lies in the stream. */
export function isStreamedTree(packs: readonly Pack[], streamed: ReadonlySet<string>): boolean {
  return packs.some(({ id }) => streamed.has(id));
}

function behind(file: TreeFile, packs: number): TreeFile {
  return { ...file, packs: file.packs.map((position) => position + packs) };
}

/** The content of a captured file with its places. */
async function* extentsOf({ content, regions }: CapturedFile<TreeFile>): Contents {
  let region = 0;
  let done = 0;
  for await (const bytes of content) {
    const current = regions[region];
    if (current === undefined) throw new Error("a captured file has more content than regions");
    yield { offset: current.offset + done, bytes };
    done += bytes.length;
    if (done < current.length) continue;
    region += 1;
    done = 0;
  }
}
