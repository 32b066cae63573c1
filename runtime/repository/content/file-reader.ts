/** Reads captured files back: fetches, opens and checks their chunks, those that are stored side by side with one request. */
import type { Extent } from "../../domain/qdrant/sparse-tar.ts";
import { type ChunkList, chunkSize, type StoredContent } from "../../domain/recovery-points/stored-content.ts";
import type { OpenRepository } from "../repository.ts";
import { ChunkLists, entriesOf } from "./chunk-lists.ts";
import { OpenedChunks, type SizedChunk } from "./opened-chunks.ts";

export interface CapturedFile<File> {
  readonly file: File;
  readonly regions: readonly Extent[];
  /**
   * The bytes of the regions, none of them over the end of one; to be read before the next file is asked for. The memory of what came
   * is used again when the next is asked for: who keeps it takes a copy.
   */
  readonly content: AsyncIterable<Buffer>;
}

/** The chunk lists of a file as they are stored; parsed when they are needed, for they are larger then. */
interface ListedFile<File> {
  readonly file: File;
  readonly lists: readonly (Buffer | null)[];
}

/**
 * Files in the order given; the fastest is that in which they were captured. Their chunks lie one behind the other in the
 * packs, so they are read as one sequence: many small files cost no more requests than a large one.
 */
export async function* readFiles<File extends Content>(
  repository: OpenRepository,
  files: readonly File[],
): AsyncGenerator<CapturedFile<File>> {
  const listed = new FileListing(listFiles(repository, files));
  const chunks = new OpenedChunks(repository, listed.chunks());
  try {
    for (let next = await listed.nextFile(); next !== undefined; next = await listed.nextFile()) {
      const { file } = next;
      const regions: DataRegion[] = [];
      let offset = 0;
      for (const list of listsIn(next)) {
        for (const entry of list) {
          if (typeof entry === "number") offset += entry * chunkSize;
          else offset = extend(regions, offset, Math.min(chunkSize, file.size - offset));
        }
      }
      const content = take(chunks, regions);
      yield { file, regions, content };
      // What was not asked for is passed over, so that the next file begins with its own chunks.
      for await (const _skipped of content);
    }
  } finally {
    chunks.close();
  }
}

type Content = Pick<StoredContent, "size" | "lists" | "packs">;

/** Two readers of one sequence of files: one that takes whole files, and one, ahead of it, that takes their chunks. */
class FileListing<File extends Content> {
  readonly #source: AsyncGenerator<ListedFile<File>>;
  readonly #ahead: ListedFile<File>[] = [];
  readonly #unread: ListedFile<File>[] = [];

  constructor(source: AsyncGenerator<ListedFile<File>>) {
    this.#source = source;
  }

  async nextFile(): Promise<ListedFile<File> | undefined> {
    while (this.#ahead.length === 0) if (!(await this.#pull())) return undefined;
    return this.#ahead.shift();
  }

  /** The chunks of a list at a time. */
  async *chunks(): AsyncGenerator<readonly SizedChunk[]> {
    for (;;) {
      while (this.#unread.length === 0) if (!(await this.#pull())) return;
      const next = this.#unread.shift();
      if (next === undefined) continue;
      let offset = 0;
      for (const list of listsIn(next)) {
        const chunks: SizedChunk[] = [];
        for (const entry of list) {
          if (typeof entry !== "number") {
            chunks.push({ chunk: entry, length: Math.min(chunkSize, next.file.size - offset) });
          }
          offset += (typeof entry === "number" ? entry : 1) * chunkSize;
        }
        yield chunks;
      }
    }
  }

  async #pull(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done) return false;
    this.#ahead.push(next.value);
    this.#unread.push(next.value);
    return true;
  }
}

async function* listFiles<File extends Content>(
  repository: OpenRepository,
  files: readonly File[],
): AsyncGenerator<ListedFile<File>> {
  const chunkLists = new ChunkLists(repository, files);
  for (const file of files) {
    const lists: (Buffer | null)[] = [];
    for (const position of file.lists.keys()) lists.push(await chunkLists.bytes(file, position));
    yield { file, lists };
  }
}

function* listsIn<File extends Content>({ file, lists }: ListedFile<File>): Generator<ChunkList> {
  for (const [position, list] of lists.entries()) yield entriesOf(file, position, list);
}

interface DataRegion extends Extent {
  readonly chunks: number;
}

/** Adds a chunk to the regions; answers where it ends. */
function extend(regions: DataRegion[], offset: number, length: number): number {
  const last = regions.at(-1);
  if (last !== undefined && last.offset + last.length === offset) {
    regions[regions.length - 1] = { offset: last.offset, length: last.length + length, chunks: last.chunks + 1 };
  } else {
    regions.push({ offset, length, chunks: 1 });
  }
  return offset + length;
}

/** The chunks of each region, those that came together in one. */
async function* take(opened: OpenedChunks, regions: readonly DataRegion[]): AsyncGenerator<Buffer> {
  for (const { chunks } of regions) {
    for (let left = chunks; left > 0; ) {
      const next = await opened.next(left);
      if (next === undefined) throw new Error("fewer chunks were opened than are listed");
      left -= next.chunks;
      yield next.bytes;
    }
  }
}
