/** Reads a captured file back: fetches, opens and checks its chunks, neighbouring ones with one request. */

import { nameOf, unseal } from "../domain/sealing.ts";
import {
  type ChunkList,
  chunkSize,
  largestTree,
  type Piece,
  parseChunkList,
  type TreeFile,
} from "../domain/shard-tree.ts";
import type { Region } from "../domain/sparse-tar.ts";
import { storeLayout } from "../domain/store-layout.ts";
import { DrError } from "../errors.ts";
import type { OpenRepository } from "./repository.ts";

const largestRequest = 4 * 1024 * 1024;

export async function readChunkList(repository: OpenRepository, file: TreeFile): Promise<ChunkList> {
  const chunks = Math.ceil(file.size / chunkSize);
  if (file.chunks === undefined) return chunks === 0 ? [] : [chunks];
  const [bytes] = await openPieces(repository, [file.chunks], largestTree);
  const list = parseChunkList(String(bytes));
  const listed = list.reduce<number>((sum, entry) => sum + (typeof entry === "number" ? entry : 1), 0);
  if (listed !== chunks) {
    throw new DrError("OBJECT_CORRUPT", `${file.path} has ${listed} chunks where ${chunks} are due`);
  }
  return list;
}

/** The stretches of a file that hold data. */
export function regionsOf(file: TreeFile, list: ChunkList): Region[] {
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

/** The data of a file in order, zeros left out; the next request is under way while a piece is used. */
export async function* readData(repository: OpenRepository, list: ChunkList): AsyncGenerator<Buffer> {
  const runs = [...runsOf(list.filter((entry) => typeof entry !== "number"))];
  let next = runs[0] && openPieces(repository, runs[0], chunkSize);
  for (let run = 0; run < runs.length; run += 1) {
    const chunks = await next;
    const following = runs[run + 1];
    next = following && openPieces(repository, following, chunkSize);
    // Awaited in the next turn; a failure before that must not count as unhandled.
    next?.catch(() => undefined);
    yield* chunks ?? [];
  }
}

/** Pieces that lie one behind the other in one pack, together no more than one request should bring. */
function* runsOf(pieces: readonly Piece[]): Generator<Piece[]> {
  let run: Piece[] = [];
  let length = 0;
  for (const piece of pieces) {
    const last = run.at(-1);
    const follows = last !== undefined && last.pack === piece.pack && last.offset + last.length === piece.offset;
    if (!follows || length + piece.length > largestRequest) {
      if (run.length > 0) yield run;
      run = [];
      length = 0;
    }
    run.push(piece);
    length += piece.length;
  }
  if (run.length > 0) yield run;
}

async function openPieces(repository: OpenRepository, pieces: readonly Piece[], plainSize: number): Promise<Buffer[]> {
  const [first] = pieces;
  if (first === undefined) return [];
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = await repository.stores.repository.get(storeLayout.pack(first.pack), { offset: first.offset, length });
  return Promise.all(
    pieces.map(async (piece) => {
      const key = await repository.keys.key(piece.key);
      const sealed = bytes.subarray(piece.offset - first.offset, piece.offset - first.offset + piece.length);
      const plain = unseal(key, piece.name, sealed, plainSize);
      if (nameOf(key, plain) === piece.name) return plain;
      throw new DrError("OBJECT_CORRUPT", `a chunk in pack ${piece.pack} is not the one its name says`);
    }),
  );
}
