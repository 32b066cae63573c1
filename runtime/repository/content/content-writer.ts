/**
 * Stores the contents of files: cut into chunks, named, sealed in frames, packed. What is stored already, of the same file in an
 * earlier tree or by a capture that was cut off, is not stored again. Reading goes on while threads seal, and while packs
 * are stored. Memory: the slots of the threads, the packs being filled and stored, and the chunk lists of what is in them.
 */
import { serialiseChunkList } from "../../domain/recovery-points/chunk-list-bytes.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { nameOf, nameOfList, seal } from "../../domain/recovery-points/sealing.ts";
import type { TreeFile } from "../../domain/recovery-points/shard-tree.ts";
import {
  chunkSize,
  chunksInList,
  type Frame,
  largestFrame,
  type Pack,
  type Piece,
  type StoredChunk,
} from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";
import { ChunkLists } from "./chunk-lists.ts";
import { PackWriter } from "./pack-writer.ts";
import type { SealAnswer, Span } from "./sealing-thread.ts";
import { type SealingSlot, sealingThreads, slotSize } from "./sealing-threads.ts";

/** Data of a file, in ascending order; what lies between is zero. */
export type Contents = AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;

export interface KnownFiles {
  readonly files: readonly TreeFile[];
  readonly packs: readonly Pack[];
}

/** Pieces that no recovery point needs. */
export interface OrphanedPieces {
  readonly packs: readonly Pack[];
  findChunk(name: string): StoredChunk | undefined;
  findList(name: string): Piece | undefined;
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

/** A list in a pack that is being filled: its place is known when the pack is full, because packs are named by their bytes. */
interface PendingList {
  piece: Piece | undefined;
}

/** The same of a frame. */
interface PendingFrame {
  /** Where its bytes are in their slot. */
  readonly start: number;
  length: number;
  readonly chunks: PendingChunk[];
  place: Frame | undefined;
}

interface PendingChunk {
  readonly name: string;
  readonly frame: PendingFrame;
  readonly start: number;
  readonly stretch: Stretch;
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
  readonly lists: (Piece | PendingList | null)[];
  readonly packs: Set<string>;
  hasChanged: boolean;
}

/** The stretch of a file that one chunk list covers. */
interface Stretch {
  readonly file: WritingFile;
  readonly position: number;
  readonly list: (number | StoredChunk | PendingChunk)[];
  /** What the earlier tree has at each chunk; undefined is zeros. */
  readonly expected: readonly (StoredChunk | undefined)[];
  readonly known: Map<string, StoredChunk | PendingChunk>;
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

/** A chunk in a slot. */
interface ReadChunk extends Span {
  readonly stretch: Stretch;
}

/** What was read, in order: chunks in a slot, and zeros between them. */
interface Batch {
  readonly slot: SealingSlot;
  readonly items: (ReadChunk | { readonly stretch: Stretch; readonly zeros: number })[];
  /** Bytes of chunks in the slot. */
  size: number;
  /** Whether any of its chunks may be stored already. */
  mayBeKnown: boolean;
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
  #lastListed: Promise<unknown> = Promise.resolve();
  #lastPacked: Promise<void> = Promise.resolve();
  #settled = new Set<Stretch>();
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
    this.#chunkPacks = new PackWriter(repository, key, chunkPackSize);
    this.#listPacks = new PackWriter(repository, key, listPackSize);
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
    await this.#lastPacked;
    const chunkPacks = await this.#chunkPacks.finish();
    await this.#storeSettled();
    const stored = [...chunkPacks, ...(await this.#listPacks.finish())];
    const sizes = new Map(
      [...this.#knownPacks, ...(this.#orphaned?.packs ?? []), ...stored].map(({ id, size }) => [id, size]),
    );
    const files = [...this.#files.values()].map(({ lists, packs, path, size }) => {
      const placed = lists.map((list) => list && placeOfList(list));
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
    const { before } = file;
    const expected: (StoredChunk | undefined)[] = [];
    if (before !== undefined && (before.lists[position] ?? null) !== null) {
      for (const entry of await this.#knownLists.read(before, position)) {
        if (typeof entry !== "number") expected.push(entry.frame.key === this.#key.id ? entry : undefined);
        else for (let zero = 0; zero < entry; zero += 1) expected.push(undefined);
      }
    }
    const known = new Map(expected.flatMap((chunk) => (chunk === undefined ? [] : [[chunk.name, chunk]])));
    return { file, position, list: [], expected, known, read: 0, filled: 0, unsettled: 0 };
  }

  /** Room for the next chunk in the slot that is being filled. */
  async #beginChunk(length: number): Promise<Buffer> {
    if (this.#batch !== undefined && this.#batch.size + length > slotSize) await this.#submit();
    const { size, slot } = await this.#openBatch();
    return slot.chunks.subarray(size, size + length);
  }

  async #endChunk(reading: Reading, index: number, chunk: Buffer): Promise<void> {
    await this.#readZeros(reading, index);
    if (isZero(chunk)) return this.#readZeros(reading, index + 1);
    this.#readBytes += chunk.length;
    const stretch = await this.#stretchOf(reading);
    const batch = await this.#openBatch();
    batch.items.push({ stretch, start: batch.size, length: chunk.length });
    batch.size += chunk.length;
    batch.mayBeKnown ||= stretch.expected.length > 0 || this.#orphaned !== undefined;
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
    this.#batch ??= { slot: await sealingThreads.slot(), items: [], size: 0, mayBeKnown: false };
    return this.#batch;
  }

  /** Hands the batch to a thread; what comes back is taken in the order in which it was read. */
  async #submit(): Promise<void> {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const chunks = batch.items.filter((item) => "length" in item);
    // Sealed at once, unless that may be for nothing.
    const naming = this.#seal(batch, chunks, batch.mayBeKnown ? [] : framesOf(chunks));
    const [listedBefore, packedBefore] = [this.#lastListed, this.#lastPacked];
    const listed = (async () => {
      const { names } = await naming;
      await listedBefore;
      return this.#list(batch, names);
    })();
    const packed = (async () => {
      try {
        const frames = await listed;
        const { sealedLengths } = await (batch.mayBeKnown ? this.#seal(batch, [], frames) : naming);
        await packedBefore;
        await this.#pack(batch, frames, sealedLengths);
      } finally {
        // Not while a thread may still write into it.
        await naming.catch(() => undefined);
        sealingThreads.release(batch.slot);
      }
    })();
    // Awaited later, by the next batch or at the end.
    listed.catch(() => undefined);
    packed.catch(() => undefined);
    this.#lastListed = listed;
    this.#lastPacked = packed;
    this.#underWay.push(packed);
    if (this.#underWay.length >= batchesUnderWay) await this.#underWay.shift();
  }

  async #seal({ slot }: Batch, chunks: readonly Span[], frames: readonly Span[]): Promise<SealAnswer> {
    if (chunks.length + frames.length === 0) return { names: [], sealedLengths: [] };
    const only = (spans: readonly Span[]) => spans.map(({ length, start }) => ({ length, start }));
    const { input, output } = slot;
    return sealingThreads.seal(this.#key, { input, output, chunks: only(chunks), frames: only(frames) });
  }

  /** Puts what was read into its lists. Answers the frames that are to be stored, where they were sealed already all that were. */
  #list({ items, mayBeKnown }: Batch, names: readonly string[]): PendingFrame[] {
    const frames: PendingFrame[] = [];
    let position = 0;
    for (const item of items) {
      const { stretch } = item;
      if ("zeros" in item) {
        addZeros(stretch, item.zeros);
      } else {
        const name = names[position];
        position += 1;
        if (name === undefined) throw new Error("fewer chunks were named than were read");
        if (stretch.expected[stretch.filled]?.name !== name) stretch.file.hasChanged = true;
        stretch.filled += 1;
        const stored = stretch.known.get(name) ?? this.#orphaned?.findChunk(name);
        const frame = stored === undefined || !mayBeKnown ? frameWith(frames, item) : undefined;
        if (stored !== undefined) stretch.list.push(stored);
        else if (frame !== undefined) addChunk(frame, { name, frame, start: item.start - frame.start, stretch });
      }
      this.#settle(stretch);
    }
    return frames;
  }

  async #pack({ slot }: Batch, frames: readonly PendingFrame[], sealedLengths: readonly number[]): Promise<void> {
    let at = 0;
    for (const [position, frame] of frames.entries()) {
      const length = sealedLengths[position];
      if (length === undefined) throw new Error("fewer frames were sealed than were listed");
      const sealed = slot.sealed.subarray(at, at + length);
      at += length;
      if (frame.chunks.length === 0) continue;
      const size = frame.length;
      await this.#chunkPacks.add({ size, names: frame.chunks }, sealed, (pack, offset) => {
        frame.place = { pack, offset, length, key: this.#key.id, size };
        for (const { stretch } of frame.chunks) {
          stretch.unsettled -= 1;
          this.#settle(stretch);
        }
      });
    }
    await this.#storeSettled();
  }

  /** Its list can be stored when it is full and the places of its chunks are known. */
  #settle(stretch: Stretch): void {
    if (stretch.unsettled === 0 && isFull(stretch)) this.#settled.add(stretch);
  }

  async #storeSettled(): Promise<void> {
    while (this.#settled.size > 0) {
      const settled = this.#settled;
      this.#settled = new Set();
      for (const stretch of settled) await this.#storeList(stretch);
    }
  }

  async #storeList({ file, list: settled, position }: Stretch): Promise<void> {
    if (settled.every((entry) => typeof entry === "number")) return;
    const list = settled.map((entry) => (typeof entry === "number" ? entry : placeOf(entry)));
    for (const entry of list) if (typeof entry !== "number") file.packs.add(entry.frame.pack);
    const plain = serialiseChunkList(list);
    const name = nameOf(this.#key, plain);
    const before = file.before?.lists[position];
    const stored = before?.name === name && before.key === this.#key.id ? before : this.#orphaned?.findList(name);
    if (stored !== undefined) {
      file.lists[position] = stored;
      return;
    }
    const sealed = seal(this.#key, nameOfList(name), plain);
    const pending: PendingList = { piece: undefined };
    file.lists[position] = pending;
    const names = [{ name, start: "list" as const }];
    await this.#listPacks.add({ size: plain.length, names }, sealed, (pack, offset) => {
      // In the order in which a tree is read back: a tree is named by its text.
      pending.piece = { pack, offset, length: sealed.length, key: this.#key.id, name };
    });
  }
}

/** Neighbours are sealed together. */
function frameWith(frames: PendingFrame[], { length, start }: Span): PendingFrame {
  const last = frames.at(-1);
  if (last !== undefined && last.start + last.length === start && last.length + length <= largestFrame) {
    last.length += length;
    return last;
  }
  const frame = { start, length, chunks: [], place: undefined };
  frames.push(frame);
  return frame;
}

function framesOf(chunks: readonly Span[]): PendingFrame[] {
  const frames: PendingFrame[] = [];
  for (const chunk of chunks) frameWith(frames, chunk);
  return frames;
}

function addChunk(frame: PendingFrame, chunk: PendingChunk): void {
  const { name, stretch } = chunk;
  frame.chunks.push(chunk);
  stretch.known.set(name, chunk);
  stretch.list.push(chunk);
  stretch.unsettled += 1;
}

/** Throws when the chunk's pack is not full yet: what asks for its place must wait for that. */
function placeOf(chunk: StoredChunk | PendingChunk): StoredChunk {
  if (!("stretch" in chunk)) return chunk;
  const { frame, name, start } = chunk;
  if (frame.place !== undefined) return { name, frame: frame.place, start };
  throw new Error("the place of a chunk was asked for before its pack was named");
}

function placeOfList(list: Piece | PendingList): Piece {
  if (!("piece" in list)) return list;
  if (list.piece !== undefined) return list.piece;
  throw new Error("the place of a chunk list was asked for before its pack was named");
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
