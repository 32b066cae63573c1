/**
 * Stores the contents of files: cut into chunks, named, sealed, packed. What is stored already, of the same file in an
 * earlier tree or by a capture that was cut off, is not stored again. Reading goes on while threads seal, and while packs
 * are stored. Memory: the slots of the threads, the packs being filled and stored, and the chunk lists of what is in them.
 */
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { nameOf, seal } from "../../domain/recovery-points/sealing.ts";
import type { TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import {
  type ChunkList,
  chunkSize,
  chunksInList,
  type Pack,
  type Piece,
  serialiseChunkList,
} from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";
import { ChunkLists, checkLength } from "./chunk-lists.ts";
import { PackWriter } from "./pack-writer.ts";
import type { SealAnswer } from "./sealing-thread.ts";
import { chunksInSlot, type SealingSlot, sealingThreads } from "./sealing-threads.ts";

/** Data of a file, in ascending order; what lies between is zero. */
export type Contents = AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;

export interface KnownFiles {
  readonly files: readonly TreeFile[];
  readonly packs: readonly Pack[];
}

/** Pieces that no recovery point needs. */
export interface OrphanedPieces {
  readonly packs: readonly Pack[];
  find(name: string): Piece | undefined;
}

export interface WrittenFiles extends KnownFiles {
  /** Paths of the files that were added and are not as the known ones of their paths were. */
  readonly changed: ReadonlySet<string>;
  /** Bytes that were not zero. */
  readonly readBytes: number;
  readonly storedBytes: number;
}

/** Bytes of pieces in a pack: of chunks, and of chunk lists, of which there are few. */
const chunkPackSize = 8 * 1024 * 1024;
const listPackSize = 2 * 1024 * 1024;

/** What is on its way through the threads, for one writer. */
const batchesUnderWay = 3;

/** A piece of a pack that is being filled: its place is known when the pack is full, because packs are named by their bytes. */
interface PendingPiece {
  piece: Piece | undefined;
}

/** A chunk that is being filled. */
interface OpenChunk {
  readonly index: number;
  readonly bytes: Buffer;
  /** What lies behind this is not filled yet. */
  covered: number;
}

interface WritingFile {
  readonly path: string;
  readonly size: number;
  readonly before: TreeFile | undefined;
  readonly lists: (Piece | PendingPiece | null)[];
  readonly packs: Set<string>;
  hasChanged: boolean;
}

/** The stretch of a file that one chunk list covers. */
interface Stretch {
  readonly file: WritingFile;
  readonly position: number;
  readonly list: (ChunkList[number] | PendingPiece)[];
  /** What the earlier tree has at each chunk; undefined is zeros. */
  readonly expected: readonly (Piece | undefined)[];
  readonly known: Map<string, Piece | PendingPiece>;
  /** Chunks that have been read. */
  read: number;
  /** Chunks that are in the list. */
  filled: number;
  /** Chunks whose pack has no name yet. */
  unsettled: number;
}

/** How far a file has been read. */
interface Reading {
  readonly file: WritingFile;
  stretch: Stretch | undefined;
  /** The chunk that comes next. */
  next: number;
}

/** What was read, in order: chunks in a slot, and zeros between them. */
interface Batch {
  readonly slot: SealingSlot;
  readonly items: (
    | { readonly stretch: Stretch; readonly zeros: number }
    | { readonly stretch: Stretch; readonly chunk: number }
  )[];
  readonly lengths: number[];
  readonly expected: (string | undefined)[];
}

export class ContentWriter {
  readonly #key: DataKey;
  readonly #known: ReadonlyMap<string, TreeFile>;
  readonly #knownPacks: readonly Pack[];
  readonly #orphaned: OrphanedPieces | undefined;
  readonly #knownLists: ChunkLists;
  readonly #chunkPacks: PackWriter;
  readonly #listPacks: PackWriter;
  readonly #files = new Map<string, WritingFile>();
  readonly #underWay: Promise<void>[] = [];
  #batch: Batch | undefined;
  #lastBatch: Promise<void> = Promise.resolve();
  #settled: Stretch[] = [];
  #readBytes = 0;

  constructor(
    repository: OpenRepository,
    key: DataKey,
    known: KnownFiles = { files: [], packs: [] },
    orphaned?: OrphanedPieces,
  ) {
    this.#key = key;
    this.#known = new Map(known.files.map((file) => [file.path, file]));
    this.#knownPacks = known.packs;
    this.#orphaned = orphaned;
    this.#knownLists = new ChunkLists(repository, known.files);
    this.#chunkPacks = new PackWriter(repository.stores.repository, key, chunkPackSize);
    this.#listPacks = new PackWriter(repository.stores.repository, key, listPackSize);
  }

  /** A file that is added again takes the place of the first. */
  async addFile(path: string, size: number, contents: Contents): Promise<void> {
    const before = this.#known.get(path);
    const file: WritingFile = { path, size, before, lists: [], packs: new Set(), hasChanged: before?.size !== size };
    this.#take(file);
    const reading: Reading = { file, stretch: undefined, next: 0 };
    let chunk: OpenChunk | undefined;
    const end = async () => {
      if (chunk !== undefined) await this.#endChunk(reading, chunk.index, chunk.bytes.fill(0, chunk.covered));
    };
    for await (const { bytes, offset } of contents) {
      for (let done = 0; done < bytes.length; ) {
        const at = offset + done;
        if (at >= size) throw new RangeError(`content at ${at} is beyond ${path}'s ${size} bytes`);
        const index = Math.floor(at / chunkSize);
        if (chunk?.index !== index) {
          await end();
          const room = await this.#beginChunk(Math.min(chunkSize, size - index * chunkSize));
          chunk = { index, bytes: room, covered: 0 };
        }
        const within = at - index * chunkSize;
        const length = Math.min(bytes.length - done, chunk.bytes.length - within);
        if (within > chunk.covered) chunk.bytes.fill(0, chunk.covered, within);
        chunk.bytes.set(bytes.subarray(done, done + length), within);
        chunk.covered = within + length;
        done += length;
      }
    }
    await end();
    await this.#readZeros(reading, Math.ceil(size / chunkSize));
  }

  /** Takes the file as the known tree has it, unread. Answers false when the tree does not have it. */
  carry(path: string): boolean {
    const before = this.#known.get(path);
    if (before === undefined) return false;
    const packs = before.packs.map((position) => {
      const pack = this.#knownPacks[position];
      if (pack !== undefined) return pack.id;
      throw new DrError(
        "OBJECT_CORRUPT",
        `the tree of the last capture names no pack ${position}, which ${path} is in`,
        {
          hint: "take a full capture: it builds on no tree",
        },
      );
    });
    const { lists, size } = before;
    this.#take({ path, size, before, lists, packs: new Set(packs), hasChanged: false });
    return true;
  }

  /** Everything is stored when this returns. Files are in the order in which they were added or carried. */
  async finish(): Promise<WrittenFiles> {
    await this.#submit();
    await this.#lastBatch;
    const chunkPacks = await this.#chunkPacks.finish();
    await this.#storeSettled();
    const stored = [...chunkPacks, ...(await this.#listPacks.finish())];
    const sizes = new Map(
      [...this.#knownPacks, ...(this.#orphaned?.packs ?? []), ...stored].map(({ id, size }) => [id, size]),
    );
    const files = [...this.#files.values()].map(({ lists, packs, path, size }) => {
      const placed = lists.map((list) => list && placeOf(list));
      return { path, size, lists: placed, packs: new Set([...packs, ...placed.flatMap((list) => list?.pack ?? [])]) };
    });
    const used = [...new Set(files.flatMap(({ packs }) => [...packs]))].sort();
    const positions = new Map(used.map((id, position) => [id, position]));
    return {
      files: files.map((file) => ({
        ...file,
        packs: [...file.packs].map((id) => known(positions, id)).sort((a, b) => a - b),
      })),
      packs: used.map((id) => ({ id, size: known(sizes, id) })),
      changed: new Set([...this.#files.values()].filter(({ hasChanged }) => hasChanged).map(({ path }) => path)),
      readBytes: this.#readBytes,
      storedBytes: stored.reduce((sum, { size }) => sum + size, 0),
    };
  }

  /** Gives back what is held for reading on; to be called in the end, however it ends. */
  close(): void {
    if (this.#batch !== undefined) sealingThreads.release(this.#batch.slot);
    this.#batch = undefined;
  }

  #take(file: WritingFile): void {
    this.#files.delete(file.path);
    this.#files.set(file.path, file);
  }

  async #openStretch(file: WritingFile): Promise<Stretch> {
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
    return { file, position, list: [], expected, known, read: 0, filled: 0, unsettled: 0 };
  }

  /** Room for the next chunk in the slot that is being filled. */
  async #beginChunk(length: number): Promise<Buffer> {
    if (this.#batch?.lengths.length === chunksInSlot) await this.#submit();
    const { lengths, slot } = await this.#openBatch();
    const start = lengths.length * chunkSize;
    return slot.chunks.subarray(start, start + length);
  }

  async #endChunk(reading: Reading, index: number, chunk: Buffer): Promise<void> {
    await this.#readZeros(reading, index);
    if (isZero(chunk)) return this.#readZeros(reading, index + 1);
    this.#readBytes += chunk.length;
    const stretch = await this.#stretchOf(reading);
    const { expected, items, lengths } = await this.#openBatch();
    items.push({ stretch, chunk: lengths.length });
    lengths.push(chunk.length);
    expected.push(stretch.expected[stretch.read]?.name);
    stretch.read += 1;
    reading.next += 1;
  }

  /** What lies before the chunk at `index` and was not read is zero. */
  async #readZeros(reading: Reading, index: number): Promise<void> {
    while (reading.next < index) {
      const stretch = await this.#stretchOf(reading);
      const zeros = Math.min(index - reading.next, chunksInList(reading.file.size, stretch.position) - stretch.read);
      (await this.#openBatch()).items.push({ stretch, zeros });
      stretch.read += zeros;
      reading.next += zeros;
    }
  }

  async #stretchOf(reading: Reading): Promise<Stretch> {
    const { file, stretch } = reading;
    if (stretch !== undefined && stretch.read < chunksInList(file.size, stretch.position)) return stretch;
    const next = await this.#openStretch(file);
    reading.stretch = next;
    return next;
  }

  async #openBatch(): Promise<Batch> {
    this.#batch ??= { slot: await sealingThreads.slot(), items: [], lengths: [], expected: [] };
    return this.#batch;
  }

  /** Hands the batch to a thread; what comes back is taken in the order in which it was read. */
  async #submit(): Promise<void> {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const { expected, lengths, slot } = batch;
    const sealing =
      lengths.length === 0
        ? Promise.resolve({ names: [], sealedLengths: [] })
        : sealingThreads.seal(this.#key, { lengths, expected, input: slot.input, output: slot.output });
    const before = this.#lastBatch;
    const taken = (async () => {
      try {
        const sealed = await sealing;
        await before;
        await this.#takeBatch(batch, sealed);
      } finally {
        sealingThreads.release(slot);
      }
    })();
    // Awaited later, by the next batch or at the end.
    taken.catch(() => undefined);
    this.#lastBatch = taken;
    this.#underWay.push(taken);
    if (this.#underWay.length >= batchesUnderWay) await this.#underWay.shift();
  }

  async #takeBatch({ items, slot }: Batch, { names, sealedLengths }: SealAnswer): Promise<void> {
    let at = 0;
    for (const item of items) {
      const { stretch } = item;
      if ("zeros" in item) {
        addZeros(stretch, item.zeros);
      } else {
        const [name, length] = [names[item.chunk], sealedLengths[item.chunk]];
        if (name === undefined || length === undefined) throw new Error("fewer chunks were sealed than were read");
        await this.#addChunk(stretch, name, slot.sealed.subarray(at, at + length));
        at += length;
      }
      if (isFull(stretch) && stretch.unsettled === 0 && !this.#settled.includes(stretch)) this.#settled.push(stretch);
    }
    await this.#storeSettled();
  }

  /** @param sealed empty when the chunk is the expected one. */
  async #addChunk(stretch: Stretch, name: string, sealed: Uint8Array): Promise<void> {
    const expected = stretch.expected[stretch.filled];
    if (expected?.name !== name) stretch.file.hasChanged = true;
    stretch.filled += 1;
    const stored = stretch.known.get(name) ?? this.#orphaned?.find(name);
    if (stored !== undefined) {
      stretch.list.push(stored);
      return;
    }
    const pending: PendingPiece = { piece: undefined };
    stretch.known.set(name, pending);
    stretch.list.push(pending);
    stretch.unsettled += 1;
    await this.#chunkPacks.add(name, sealed, (pack, offset) => {
      pending.piece = { name, pack, offset, length: sealed.length, key: this.#key.id };
      stretch.unsettled -= 1;
      if (stretch.unsettled === 0 && isFull(stretch)) this.#settled.push(stretch);
    });
  }

  async #storeSettled(): Promise<void> {
    while (this.#settled.length > 0) {
      const settled = this.#settled;
      this.#settled = [];
      for (const stretch of settled) await this.#storeList(stretch);
    }
  }

  async #storeList({ file, list: settled, position }: Stretch): Promise<void> {
    const list = settled.map((entry) => (typeof entry === "number" ? entry : placeOf(entry)));
    if (list.every((entry) => typeof entry === "number")) return;
    for (const entry of list) if (typeof entry !== "number") file.packs.add(entry.pack);
    const plain = Buffer.from(serialiseChunkList(list));
    const name = nameOf(this.#key, plain);
    const before = file.before?.lists[position];
    const stored = before?.name === name && before.key === this.#key.id ? before : this.#orphaned?.find(name);
    if (stored !== undefined) {
      file.lists[position] = stored;
      return;
    }
    const sealed = seal(this.#key, name, plain);
    const pending: PendingPiece = { piece: undefined };
    file.lists[position] = pending;
    await this.#listPacks.add(name, sealed, (pack, offset) => {
      // In the order in which a tree is read back: a tree is named by its text.
      pending.piece = { name, pack, offset, length: sealed.length, key: this.#key.id };
    });
  }
}

/** Throws when the piece's pack is not full yet: what asks for its place must wait for that. */
function placeOf(piece: Piece | PendingPiece): Piece {
  if (!("piece" in piece)) return piece;
  if (piece.piece !== undefined) return piece.piece;
  throw new Error("the place of a piece was asked for before its pack was named");
}

function known<T>(table: ReadonlyMap<string, T>, id: string): T {
  const value = table.get(id);
  if (value === undefined) throw new Error(`pack ${id} is used and was neither stored nor known before`);
  return value;
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

const zeros = Buffer.alloc(chunkSize);

function isZero(chunk: Uint8Array): boolean {
  return zeros.subarray(0, chunk.length).equals(chunk);
}
