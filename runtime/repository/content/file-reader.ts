/** Reads captured files back: fetches, opens and checks their chunks, neighbouring ones with one request. */
import type { Extent } from "../../domain/qdrant/sparse-tar.ts";
import type { TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import {
  type ChunkList,
  chunkSize,
  chunksInList,
  largestChunkList,
  listsOf,
  type Piece,
  parseChunkList,
} from "../../domain/recovery-points/stored-content.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";
import { checkLength } from "./chunk-lists.ts";
import type { OpenAnswer } from "./sealing-thread.ts";
import { sealingThreads } from "./sealing-threads.ts";

const largestRequest = 2 * 1024 * 1024;
/** The most bytes that the pieces of one request open to. */
const largestAnswer = 4 * 1024 * 1024;
const widestGap = 256 * 1024;
/** One comes while one is opened and one is used. */
const requestsAtOnce = 3;

export interface CapturedFile<File> {
  readonly file: File;
  readonly regions: readonly Extent[];
  /** The bytes of the regions, none of them over the end of one; to be read before the next file is asked for. */
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
  const chunks = new OpenedChunks(repository, listed.pieces(), chunkSize);
  for (let next = await listed.nextFile(); next !== undefined; next = await listed.nextFile()) {
    const { file, lists } = next;
    const regions: DataRegion[] = [];
    let offset = 0;
    for (const list of listsIn(file, lists)) {
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
}

type Content = Pick<TreeFile, "size" | "lists">;

/** Two readers of one sequence of files: one that takes whole files, and one, ahead of it, that takes their pieces. */
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

  async *pieces(): AsyncGenerator<Piece> {
    for (;;) {
      while (this.#unread.length === 0) if (!(await this.#pull())) return;
      const next = this.#unread.shift();
      if (next === undefined) continue;
      for (const list of listsIn(next.file, next.lists)) {
        for (const entry of list) if (typeof entry !== "number") yield entry;
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
  const stored = files.flatMap(({ lists }) => lists.filter((list) => list !== null));
  const opened = new OpenedChunks(repository, fromArray(stored), largestChunkList);
  for (const file of files) {
    const lists: (Buffer | null)[] = [];
    for (const list of file.lists) {
      if (list === null) {
        lists.push(null);
        continue;
      }
      const next = await opened.next(1);
      if (next === undefined) throw new Error("fewer chunk lists were opened than are named");
      // Not a view into everything that came with the same request.
      lists.push(Buffer.from(next.bytes));
    }
    yield { file, lists };
  }
}

async function* fromArray<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

function* listsIn({ size }: Content, lists: readonly (Buffer | null)[]): Generator<ChunkList> {
  if (lists.length !== listsOf(size)) {
    throw new DrError("OBJECT_CORRUPT", `a file of ${size} bytes has ${lists.length} chunk lists`);
  }
  for (const [position, stored] of lists.entries()) {
    const expected = chunksInList(size, position);
    const list = stored === null ? [expected] : parseChunkList(stored.toString("utf8"));
    checkLength(list, expected);
    yield list;
  }
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

/** Opens pieces in order; the next requests are under way while what one brought is used. */
class OpenedChunks {
  readonly #open: () => Promise<OpenedRun | undefined>;
  readonly #underWay: Promise<OpenedRun | undefined>[] = [];
  #run: OpenedRun = { plain: Buffer.alloc(0), lengths: [] };
  #chunk = 0;
  #offset = 0;

  constructor(repository: OpenRepository, pieces: AsyncIterable<Piece>, plainSize: number) {
    const runs = runsOf(pieces, Math.floor(largestAnswer / plainSize));
    this.#open = async () => {
      const run = await runs.next();
      return run.done ? undefined : openRun(repository, run.value, plainSize);
    };
  }

  /** At least one chunk and at most `most`: those that lie one behind the other in memory. */
  async next(most: number): Promise<{ readonly bytes: Buffer; readonly chunks: number } | undefined> {
    while (this.#chunk === this.#run.lengths.length) {
      const run = await this.#nextRun();
      if (run === undefined) return undefined;
      [this.#run, this.#chunk, this.#offset] = [run, 0, 0];
    }
    const lengths = this.#run.lengths.slice(this.#chunk, this.#chunk + most);
    const end = this.#offset + lengths.reduce((sum, length) => sum + length, 0);
    const bytes = this.#run.plain.subarray(this.#offset, end);
    this.#chunk += lengths.length;
    this.#offset = end;
    return { bytes, chunks: lengths.length };
  }

  async #nextRun(): Promise<OpenedRun | undefined> {
    while (this.#underWay.length < requestsAtOnce) {
      const opening = this.#open();
      // Awaited in a later turn; a failure before that must not count as unhandled.
      opening.catch(() => undefined);
      this.#underWay.push(opening);
    }
    return this.#underWay.shift();
  }
}

interface OpenedRun {
  readonly plain: Buffer;
  readonly lengths: readonly number[];
}

/** Pieces that one request brings: of one pack, and near each other. */
interface Run {
  readonly pack: string;
  readonly pieces: Piece[];
  start: number;
  end: number;
}

/** Takes pieces in order into runs. What lies between two near pieces is fetched too: it is cheaper than a request. */
async function* runsOf(pieces: AsyncIterable<Piece>, most: number): AsyncGenerator<Run> {
  let run: Run | undefined;
  for await (const piece of pieces) {
    const [start, end] = [piece.offset, piece.offset + piece.length];
    if (run !== undefined && run.pack === piece.pack && run.pieces.length < most) {
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

async function openRun(repository: OpenRepository, run: Run, plainSize: number): Promise<OpenedRun> {
  const range = { offset: run.start, length: run.end - run.start };
  const bytes = await repository.stores.repository.get(storeLayout.pack(run.pack), range);
  const pieces = await Promise.all(
    run.pieces.map(async ({ key, length, name, offset }) => ({
      length,
      name,
      offset: offset - run.start,
      key: await repository.keys.key(key),
    })),
  );
  return fromPack(run.pack, () => sealingThreads.open(pieces, { bytes, plainSize }));
}

/** Says in which object the damage is: that is what can be brought again from the other region's bucket. */
async function fromPack(pack: string, open: () => Promise<OpenAnswer>): Promise<OpenedRun> {
  try {
    const { lengths, plain } = await open();
    return { lengths, plain: Buffer.from(plain) };
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT")) throw error;
    throw new DrError("OBJECT_CORRUPT", `pack ${pack} is damaged: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
