/**
 * Stores the contents of files: cut into chunks, named, sealed, packed. What is stored already, of the same file in an
 * earlier tree or by a capture that was cut off, is not stored again. Memory: the packs being filled and stored, and the
 * chunk lists of what is in them.
 */
import type { DataKey } from "../domain/key.ts";
import { nameOf, seal } from "../domain/sealing.ts";
import type { TreeFile } from "../domain/shard-tree.ts";
import {
  type ChunkList,
  chunkSize,
  chunksInList,
  type Pack,
  type Piece,
  serialiseChunkList,
} from "../domain/stored-content.ts";
import { ChunkLists, checkLength } from "./chunk-lists.ts";
import { PackWriter } from "./pack-writer.ts";
import type { OpenRepository } from "./repository.ts";

/** Data of a file, in ascending order; what lies between is zero. */
export type Contents = AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;

export interface KnownFiles {
  readonly files: readonly TreeFile[];
  readonly packs: readonly Pack[];
}

/** Pieces that no point needs. */
export interface UnclaimedPieces {
  readonly packs: readonly Pack[];
  find(name: string): Piece | undefined;
}

export interface WrittenFiles extends KnownFiles {
  /** Bytes that were not zero. */
  readonly readBytes: number;
  readonly storedBytes: number;
}

interface OpenFile {
  readonly path: string;
  readonly size: number;
  readonly before: TreeFile | undefined;
  readonly lists: (Piece | null)[];
  readonly packs: Set<string>;
  hasChanged: boolean;
}

/** The stretch of a file that one chunk list covers. */
interface Stretch {
  readonly file: OpenFile;
  readonly position: number;
  readonly list: ChunkList;
  /** What the earlier tree has at each chunk; undefined is zeros. */
  readonly expected: readonly (Piece | undefined)[];
  readonly known: Map<string, Piece>;
  filled: number;
  /** Chunks whose pack has no name yet. */
  unsettled: number;
}

export class ContentWriter {
  readonly #key: DataKey;
  readonly #known: ReadonlyMap<string, TreeFile>;
  readonly #knownPacks: readonly Pack[];
  readonly #unclaimed: UnclaimedPieces | undefined;
  readonly #knownLists: ChunkLists;
  readonly #chunkPacks: PackWriter;
  readonly #listPacks: PackWriter;
  readonly #files = new Map<string, OpenFile>();
  #settled: Stretch[] = [];
  #readBytes = 0;

  constructor(
    repository: OpenRepository,
    key: DataKey,
    known: KnownFiles = { files: [], packs: [] },
    unclaimed?: UnclaimedPieces,
  ) {
    this.#key = key;
    this.#known = new Map(known.files.map((file) => [file.path, file]));
    this.#knownPacks = known.packs;
    this.#unclaimed = unclaimed;
    this.#knownLists = new ChunkLists(repository, known.files);
    this.#chunkPacks = new PackWriter(repository.stores.repository, key);
    this.#listPacks = new PackWriter(repository.stores.repository, key);
  }

  /**
   * Answers whether the content differs from that of the known file of this path; true when there is none. A file that is
   * added again takes the place of the first.
   */
  async addFile(path: string, size: number, contents: Contents): Promise<boolean> {
    const before = this.#known.get(path);
    const hasChanged = before?.size !== size;
    const file: OpenFile = { path, size, before, lists: [], packs: new Set(), hasChanged };
    this.#take(file);
    const chunks = Math.ceil(size / chunkSize);
    let stretch: Stretch | undefined;
    let next = 0;
    const upTo = async (index: number) => {
      while (next < index) {
        stretch ??= await this.#openStretch(file);
        const count = Math.min(index - next, chunksInList(size, stretch.position) - stretch.filled);
        addZeros(stretch, count);
        next += count;
        stretch = this.#closeWhenFull(stretch);
      }
    };
    for await (const { chunk, index } of chunksOf(size, contents)) {
      await upTo(index);
      stretch ??= await this.#openStretch(file);
      if (isZero(chunk)) addZeros(stretch, 1);
      else await this.#addChunk(stretch, chunk);
      next = index + 1;
      stretch = this.#closeWhenFull(stretch);
      await this.#storeSettled();
    }
    await upTo(chunks);
    return file.hasChanged;
  }

  /** Takes the file as the known tree has it, unread. Answers false when the tree does not have it. */
  carry(path: string): boolean {
    const before = this.#known.get(path);
    if (before === undefined) return false;
    const packs = before.packs.map((position) => this.#knownPacks[position]?.id ?? "");
    const { lists, size } = before;
    this.#take({ path, size, before, lists, packs: new Set(packs), hasChanged: false });
    return true;
  }

  /** Everything is stored when this returns. Files are in the order in which they were added or carried. */
  async finish(): Promise<WrittenFiles> {
    const chunkPacks = await this.#chunkPacks.finish();
    await this.#storeSettled();
    const stored = [...chunkPacks, ...(await this.#listPacks.finish())];
    const sizes = new Map(
      [...this.#knownPacks, ...(this.#unclaimed?.packs ?? []), ...stored].map(({ id, size }) => [id, size]),
    );
    const packsOf = (file: OpenFile) =>
      new Set([...file.packs, ...file.lists.flatMap((list) => (list === null ? [] : [list.pack]))]);
    const used = [...new Set([...this.#files.values()].flatMap((file) => [...packsOf(file)]))].sort();
    const positions = new Map(used.map((id, position) => [id, position]));
    return {
      files: [...this.#files.values()].map((file) => ({
        path: file.path,
        size: file.size,
        lists: file.lists,
        packs: [...packsOf(file)].map((id) => positions.get(id) ?? -1).sort((a, b) => a - b),
      })),
      packs: used.map((id) => ({ id, size: sizes.get(id) ?? 0 })),
      readBytes: this.#readBytes,
      storedBytes: stored.reduce((sum, { size }) => sum + size, 0),
    };
  }

  #take(file: OpenFile): void {
    this.#files.delete(file.path);
    this.#files.set(file.path, file);
  }

  async #openStretch(file: OpenFile): Promise<Stretch> {
    const position = file.lists.length;
    // Its place is taken now; the list comes when the packs of its chunks have names.
    file.lists.push(null);
    const before = file.before?.lists[position] ?? null;
    const expected: (Piece | undefined)[] = [];
    if (before !== null && file.before !== undefined) {
      const list = await this.#knownLists.read(before);
      checkLength(list, chunksInList(file.before.size, position));
      for (const entry of list) {
        if (typeof entry !== "number") expected.push(entry.key === this.#key.id ? entry : undefined);
        else for (let zero = 0; zero < entry; zero += 1) expected.push(undefined);
      }
    }
    const known = new Map(expected.flatMap((piece) => (piece === undefined ? [] : [[piece.name, piece]])));
    return { file, position, list: [], expected, known, filled: 0, unsettled: 0 };
  }

  async #addChunk(stretch: Stretch, bytes: Uint8Array): Promise<void> {
    this.#readBytes += bytes.length;
    const name = nameOf(this.#key, bytes);
    if (stretch.expected[stretch.filled]?.name !== name) stretch.file.hasChanged = true;
    stretch.filled += 1;
    const stored = stretch.known.get(name) ?? this.#unclaimed?.find(name);
    if (stored !== undefined) {
      stretch.list.push(stored);
      return;
    }
    const sealed = seal(this.#key, name, bytes);
    const piece = { name, key: this.#key.id, pack: "", offset: 0, length: sealed.length };
    stretch.known.set(name, piece);
    stretch.list.push(piece);
    stretch.unsettled += 1;
    await this.#chunkPacks.add(name, sealed, (pack, offset) => {
      piece.pack = pack;
      piece.offset = offset;
      stretch.unsettled -= 1;
      if (stretch.unsettled === 0 && isFull(stretch)) this.#settled.push(stretch);
    });
  }

  #closeWhenFull(stretch: Stretch): Stretch | undefined {
    if (!isFull(stretch)) return stretch;
    if (stretch.unsettled === 0 && !this.#settled.includes(stretch)) this.#settled.push(stretch);
    return undefined;
  }

  async #storeSettled(): Promise<void> {
    while (this.#settled.length > 0) {
      const settled = this.#settled;
      this.#settled = [];
      for (const stretch of settled) await this.#storeList(stretch);
    }
  }

  async #storeList({ file, list, position }: Stretch): Promise<void> {
    if (list.every((entry) => typeof entry === "number")) return;
    for (const entry of list) if (typeof entry !== "number") file.packs.add(entry.pack);
    const plain = Buffer.from(serialiseChunkList(list));
    const name = nameOf(this.#key, plain);
    const before = file.before?.lists[position];
    const stored = before?.name === name && before.key === this.#key.id ? before : this.#unclaimed?.find(name);
    if (stored !== undefined) {
      file.lists[position] = stored;
      return;
    }
    const sealed = seal(this.#key, name, plain);
    // In the order in which a tree is read back: a tree is named by its text.
    const piece = { name, pack: "", offset: 0, length: sealed.length, key: this.#key.id };
    file.lists[position] = piece;
    await this.#listPacks.add(name, sealed, (pack, offset) => Object.assign(piece, { pack, offset }));
  }
}

function isFull({ file, filled, position }: Stretch): boolean {
  return filled === chunksInList(file.size, position);
}

function addZeros(stretch: Stretch, count: number): void {
  const { expected, file, filled, list } = stretch;
  if (expected.slice(filled, filled + count).some((piece) => piece !== undefined)) file.hasChanged = true;
  const last = list.at(-1);
  if (typeof last === "number") list[list.length - 1] = last + count;
  else list.push(count);
  stretch.filled += count;
}

/** The chunks of a file that any data touches; between them is nothing but zeros. */
async function* chunksOf(size: number, contents: Contents): AsyncGenerator<{ index: number; chunk: Uint8Array }> {
  let index = -1;
  let chunk: Buffer = Buffer.alloc(0);
  for await (const { offset, bytes } of contents) {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const touched = Math.floor(at / chunkSize);
      if (touched !== index) {
        if (index >= 0) yield { index, chunk };
        index = touched;
        chunk = Buffer.alloc(Math.min(chunkSize, size - index * chunkSize));
      }
      const within = at - index * chunkSize;
      const length = Math.min(bytes.length - done, chunk.length - within);
      if (length <= 0) throw new RangeError(`content at ${at} reaches beyond the file's ${size} bytes`);
      chunk.set(bytes.subarray(done, done + length), within);
      done += length;
    }
  }
  if (index >= 0) yield { index, chunk };
}

const zeros = Buffer.alloc(chunkSize);

function isZero(chunk: Uint8Array): boolean {
  return zeros.subarray(0, chunk.length).equals(chunk);
}
