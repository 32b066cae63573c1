/**
 * Opens chunks in order; the next ones are fetched and opened while those that came are used. Chunks are taken in windows: what lies
 * side by side in the packs comes with one request, and a frame is opened once for all of its chunks in the window.
 */
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { chunkSize, type Frame, type StoredChunk } from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";
import { inPack } from "./in-pack.ts";
import type { WantedChunk } from "./sealing-thread.ts";
import { sealingThreads } from "./sealing-threads.ts";

export interface SizedChunk {
  readonly chunk: StoredChunk;
  /** Bytes of it. */
  readonly length: number;
}

/** Bytes that the chunks of a window are. */
const windowSize = 4 * 1024 * 1024;
/** Bytes of the frames of a window, opened: of frames of which little is wanted, a window takes fewer chunks. */
const framesSize = 2 * windowSize;
/** What lies between two near frames is fetched too: it is cheaper than a request. */
const widestGap = 256 * 1024;
const largestRequest = windowSize;
/** One comes while one is opened and one is used. */
const windowsAtOnce = 3;

export class OpenedChunks {
  readonly #repository: OpenRepository;
  readonly #windows: AsyncGenerator<Window>;
  readonly #underWay: Promise<OpenedWindow | undefined>[] = [];
  readonly #rooms: Room[] = [];
  #opened: OpenedWindow | undefined;
  #chunk = 0;
  #offset = 0;

  /** @param chunks in order, some at a time. */
  constructor(repository: OpenRepository, chunks: AsyncIterable<readonly SizedChunk[]>) {
    this.#repository = repository;
    this.#windows = windowsOf(chunks);
  }

  /**
   * At least one chunk and at most `most`: those that lie one behind the other in memory, which is used again when the next are asked
   * for.
   */
  async next(most: number): Promise<{ readonly bytes: Buffer; readonly chunks: number } | undefined> {
    while (this.#opened === undefined || this.#chunk === this.#opened.lengths.length) {
      if (this.#opened !== undefined) this.#rooms.push(this.#opened.room);
      this.#opened = await this.#nextWindow();
      [this.#chunk, this.#offset] = [0, 0];
      if (this.#opened === undefined) return undefined;
    }
    const { lengths, room } = this.#opened;
    const taken = lengths.slice(this.#chunk, this.#chunk + most);
    const end = this.#offset + taken.reduce((sum, length) => sum + length, 0);
    const bytes = room.subarray(this.#offset, end);
    this.#chunk += taken.length;
    this.#offset = end;
    return { bytes, chunks: taken.length };
  }

  /** Leaves its rooms to other readers; to be called when nothing more is asked for. */
  close(): void {
    const idle = [...this.#rooms, ...(this.#opened === undefined ? [] : [this.#opened.room])];
    this.#opened = undefined;
    this.#rooms.length = 0;
    // Those of windows that are still under way are left to the garbage collector: a thread may write into them.
    for (const room of idle) if (spareRooms.length < sparesKept) spareRooms.push(room);
  }

  async #nextWindow(): Promise<OpenedWindow | undefined> {
    while (this.#underWay.length < windowsAtOnce) {
      const opening = this.#windows.next().then(({ done, value }) => (done ? undefined : this.#open(value)));
      // Awaited in a later turn; a failure before that must not count as unhandled.
      opening.catch(() => undefined);
      this.#underWay.push(opening);
    }
    return this.#underWay.shift();
  }

  async #open({ frames, lengths }: Window): Promise<OpenedWindow> {
    const room = this.#rooms.pop() ?? spareRooms.pop() ?? Buffer.from(new SharedArrayBuffer(windowSize));
    await Promise.all(
      requestsFor(frames).map(async ({ end, frames: near, pack, start }) => {
        const store = this.#repository.stores.repository;
        const bytes = await store.get(storeLayout.pack(pack), { offset: start, length: end - start });
        const keyed = await Promise.all(
          near.map(async ({ chunks, frame: { key, length, offset, size } }) => ({
            key: await this.#repository.keys.key(key),
            offset: offset - start,
            length,
            size,
            chunks,
          })),
        );
        await inPack(pack, () => sealingThreads.open(keyed, { bytes, output: room.buffer }));
      }),
    );
    return { lengths, room };
  }
}

/** Room for what the chunks of a window open to. */
type Room = Buffer<SharedArrayBuffer>;

/** Rooms that nobody uses, for whoever reads next. */
const spareRooms: Room[] = [];
const sparesKept = 8;

interface OpenedWindow {
  readonly room: Room;
  /** Of each chunk; they lie one behind the other. */
  readonly lengths: readonly number[];
}

interface NeededFrame {
  readonly frame: Frame;
  readonly chunks: WantedChunk[];
}

interface Window {
  readonly lengths: number[];
  readonly frames: NeededFrame[];
}

/** Ends a window before a frame that would not be whole in it. */
async function* windowsOf(source: AsyncIterable<readonly SizedChunk[]>): AsyncGenerator<Window> {
  let window: Window = { lengths: [], frames: [] };
  let needed = new Map<string, NeededFrame>();
  let end = 0;
  let opened = 0;
  for await (const chunks of source) {
    for (const { chunk, length } of chunks) {
      const { frame, name, start } = chunk;
      if (length > chunkSize || start + length > frame.size) throw beyondFrame(chunk);
      const place = `${frame.pack} ${frame.offset}`;
      let uses = needed.get(place);
      const isFull =
        end + (uses === undefined ? frame.size : length) > windowSize ||
        (uses === undefined && opened + frame.size > framesSize);
      if (isFull) {
        yield window;
        window = { lengths: [], frames: [] };
        needed = new Map();
        [end, opened, uses] = [0, 0, undefined];
      }
      if (uses === undefined) {
        uses = { frame, chunks: [] };
        needed.set(place, uses);
        window.frames.push(uses);
        opened += frame.size;
      }
      uses.chunks.push({ name, start, length, to: end });
      window.lengths.push(length);
      end += length;
    }
  }
  if (window.lengths.length > 0) yield window;
}

interface Request {
  readonly pack: string;
  readonly frames: NeededFrame[];
  readonly start: number;
  end: number;
}

function requestsFor(needed: readonly NeededFrame[]): Request[] {
  const requests: Request[] = [];
  const inOrder = needed.toSorted(({ frame: a }, { frame: b }) =>
    a.pack === b.pack ? a.offset - b.offset : a.pack < b.pack ? -1 : 1,
  );
  for (const each of inOrder) {
    const { length, offset, pack } = each.frame;
    const last = requests.at(-1);
    const end = offset + length;
    if (last?.pack === pack && offset <= last.end + widestGap && end - last.start <= largestRequest) {
      last.frames.push(each);
      last.end = Math.max(last.end, end);
    } else {
      requests.push({ pack, frames: [each], start: offset, end });
    }
  }
  return requests;
}

function beyondFrame({ frame: { pack }, name }: StoredChunk): DrError {
  return new DrError("OBJECT_CORRUPT", `chunk ${name} is not within its frame in pack ${pack}`, {
    hint: "verify the recovery point in the other region's bucket, and capture a full one",
  });
}
