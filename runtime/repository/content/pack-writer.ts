/**
 * Collects sealed pieces into packs and stores them while the next one fills. Memory: one pack being filled and one being
 * stored, in buffers that are used again: of two under way, for each of two shards, memory would run out before the line does.
 */
import { createHash } from "node:crypto";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { directoryOf, largestDirectory, type PackedPiece } from "./pack-directory.ts";
import { sealingThreads } from "./sealing-threads.ts";

/** Bounds what small pieces cost in memory, and the directory. */
const namesInPack = 4096;

/** What is hashed sooner than it is handed to a thread. */
const smallPack = 256 * 1024;

/** Buffers of packs that were stored, for whoever fills the next one of the size. */
const spareBuffers = new Map<number, Buffer<SharedArrayBuffer>[]>();
const sparesKept = 4;

type Settle = (pack: string, offset: number) => void;

interface HeldPiece extends PackedPiece {
  readonly settle: Settle;
}

export class PackWriter {
  readonly #store: ObjectStore;
  readonly #key: DataKey;
  readonly #packSize: number;
  readonly #stored: Pack[] = [];
  #underWay: Promise<void> | undefined;
  #pieces: HeldPiece[] = [];
  #names = 0;
  #filling: Buffer<SharedArrayBuffer> | undefined;
  #size = 0;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param key what the pieces are sealed with.
   * @param packSize bytes of pieces in a pack; no piece may be larger.
   */
  constructor(store: ObjectStore, key: DataKey, packSize: number) {
    this.#store = store;
    this.#key = key;
    this.#packSize = packSize;
  }

  /**
   * Takes a copy of a piece; `settle` is called with its place once its pack has a name, at the latest in `finish`. Await
   * the answer: it is what bounds memory.
   */
  async add(piece: Omit<PackedPiece, "offset" | "length">, bytes: Uint8Array, settle: Settle): Promise<void> {
    const names = this.#names + piece.names.length;
    if (this.#size + bytes.length > this.#packSize || names > namesInPack) await this.#flush();
    this.#filling ??= bufferOf(this.#packSize + largestDirectory);
    this.#filling.set(bytes, this.#size);
    this.#pieces.push({ ...piece, offset: this.#size, length: bytes.length, settle });
    this.#names += piece.names.length;
    this.#size += bytes.length;
  }

  /** Every piece is stored when this returns. */
  async finish(): Promise<readonly Pack[]> {
    await this.#flush();
    await this.#underWay;
    this.#throwFailure();
    return this.#stored;
  }

  async #flush(): Promise<void> {
    this.#throwFailure();
    const [buffer, pieces, size] = [this.#filling, this.#pieces, this.#size];
    if (buffer === undefined) return;
    [this.#filling, this.#pieces, this.#size, this.#names] = [undefined, [], 0, 0];
    const directory = directoryOf(this.#key, pieces);
    buffer.set(directory, size);
    await this.#underWay;
    this.#throwFailure();
    this.#underWay = this.#keep(buffer, size + directory.length, pieces).then(
      () => spare(buffer),
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  async #keep(buffer: Buffer<SharedArrayBuffer>, size: number, pieces: readonly HeldPiece[]): Promise<void> {
    const pack = buffer.subarray(0, size);
    const id =
      size <= smallPack
        ? createHash("sha256").update(pack).digest("hex")
        : await sealingThreads.hash({ input: buffer.buffer, length: size });
    this.#stored.push({ id, size });
    for (const { offset, settle } of pieces) settle(id, offset);
    await this.#store.create(storeLayout.pack(id), pack, id);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function bufferOf(size: number): Buffer<SharedArrayBuffer> {
  return spareBuffers.get(size)?.pop() ?? Buffer.from(new SharedArrayBuffer(size));
}

function spare(buffer: Buffer<SharedArrayBuffer>): void {
  const spares = spareBuffers.get(buffer.length) ?? [];
  spareBuffers.set(buffer.length, spares);
  if (spares.length < sparesKept) spares.push(buffer);
}
