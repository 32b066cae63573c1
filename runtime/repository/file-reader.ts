/** Reads captured files back: fetches, opens and checks their chunks, neighbouring ones with one request. */

import { nameOf, unseal } from "../domain/sealing.ts";
import {
  type ChunkList,
  chunkSize,
  largestTree,
  type Piece,
  parseChunkList,
  type TreeFile,
} from "../domain/shard-tree.ts";
import type { Extent } from "../domain/sparse-tar.ts";
import { storeLayout } from "../domain/store-layout.ts";
import { DrError, hasCode } from "../errors.ts";
import type { OpenRepository } from "./repository.ts";

const largestRequest = 4 * 1024 * 1024;
const widestGap = 256 * 1024;

export interface CapturedFile {
  readonly file: TreeFile;
  readonly list: ChunkList;
  readonly regions: readonly Extent[];
  /** The bytes of the regions; to be read before the next file is asked for. */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * A shard's files in the order in which they were captured. Their chunks lie one behind the other in the packs, so they
 * are read as one sequence: many small files cost no more requests than a large one.
 */
export async function* readFiles(repository: OpenRepository, files: readonly TreeFile[]): AsyncGenerator<CapturedFile> {
  const lists = await readChunkLists(repository, files);
  const pieces = lists.flat().filter((entry) => typeof entry !== "number");
  const chunks = openInOrder(repository, pieces);
  for (const [position, file] of files.entries()) {
    const list = lists[position] ?? [];
    const content = take(chunks, list.filter((entry) => typeof entry !== "number").length);
    yield { file, list, regions: regionsOf(file, list), content };
    // What was not asked for is passed over, so that the next file begins with its own chunks.
    for await (const _skipped of content);
  }
}

export async function readChunkLists(repository: OpenRepository, files: readonly TreeFile[]): Promise<ChunkList[]> {
  const stored = files.flatMap(({ chunks }) => chunks ?? []);
  const opened = openInOrder(repository, stored, largestTree);
  const lists: ChunkList[] = [];
  for (const file of files) {
    const chunks = Math.ceil(file.size / chunkSize);
    if (file.chunks === undefined) {
      lists.push(chunks === 0 ? [] : [chunks]);
      continue;
    }
    const next = await opened.next();
    const list = parseChunkList(String(next.value));
    const listed = list.reduce<number>((sum, entry) => sum + (typeof entry === "number" ? entry : 1), 0);
    if (listed !== chunks) {
      throw new DrError("OBJECT_CORRUPT", `${file.path} has ${listed} chunks where ${chunks} are due`);
    }
    lists.push(list);
  }
  return lists;
}

async function* take(chunks: AsyncIterator<Buffer>, count: number): AsyncGenerator<Buffer> {
  for (let taken = 0; taken < count; taken += 1) {
    const next = await chunks.next();
    if (next.done) throw new Error("fewer chunks were opened than are listed");
    yield next.value;
  }
}

/** The stretches of a file that hold data. */
function regionsOf(file: TreeFile, list: ChunkList): Extent[] {
  const regions: { offset: number; length: number }[] = [];
  let offset = 0;
  for (const entry of list) {
    if (typeof entry === "number") {
      offset += entry * chunkSize;
      continue;
    }
    const length = Math.min(chunkSize, file.size - offset);
    const last = regions.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else regions.push({ offset, length });
    offset += length;
  }
  return regions;
}

/** Opens pieces in order; the next request is under way while a piece is used. */
async function* openInOrder(
  repository: OpenRepository,
  pieces: readonly Piece[],
  plainSize = chunkSize,
): AsyncGenerator<Buffer, void> {
  const runs = runsOf(pieces);
  const open = () => {
    const run = runs.next();
    if (run.done) return undefined;
    const opening = openRun(repository, run.value, plainSize);
    // Awaited in the next turn; a failure before that must not count as unhandled.
    opening.catch(() => undefined);
    return opening;
  };
  for (let next = open(); next !== undefined; ) {
    const opened = await next;
    next = open();
    yield* opened;
  }
}

/** Pieces that one request brings: of one pack, and near each other. */
interface Run {
  readonly pack: string;
  readonly pieces: Piece[];
  start: number;
  end: number;
}

/** Takes pieces in order into runs. What lies between two near pieces is fetched too: it is cheaper than a request. */
function* runsOf(pieces: readonly Piece[]): Generator<Run> {
  let run: Run | undefined;
  for (const piece of pieces) {
    const [start, end] = [piece.offset, piece.offset + piece.length];
    if (run !== undefined && run.pack === piece.pack) {
      const isNear = start <= run.end + widestGap && end >= run.start - widestGap;
      const [first, last] = [Math.min(run.start, start), Math.max(run.end, end)];
      if (isNear && last - first <= largestRequest) {
        run.pieces.push(piece);
        [run.start, run.end] = [first, last];
        continue;
      }
    }
    if (run !== undefined) yield run;
    run = { pack: piece.pack, pieces: [piece], start, end };
  }
  if (run !== undefined) yield run;
}

async function openRun(repository: OpenRepository, run: Run, plainSize: number): Promise<Buffer[]> {
  const range = { offset: run.start, length: run.end - run.start };
  const bytes = await repository.stores.repository.get(storeLayout.pack(run.pack), range);
  return Promise.all(
    run.pieces.map(async (piece) => {
      const key = await repository.keys.key(piece.key);
      const at = piece.offset - run.start;
      const sealed = bytes.subarray(at, at + piece.length);
      const plain = fromPack(run.pack, () => unseal(key, piece.name, sealed, plainSize));
      if (nameOf(key, plain) === piece.name) return plain;
      throw new DrError("OBJECT_CORRUPT", `a chunk in pack ${piece.pack} is not the one its name says`);
    }),
  );
}

/** Says in which object the damage is: that is what can be brought again from the other region's bucket. */
function fromPack(pack: string, open: () => Buffer): Buffer {
  try {
    return open();
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT")) throw error;
    throw new DrError("OBJECT_CORRUPT", `pack ${pack} is damaged: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
