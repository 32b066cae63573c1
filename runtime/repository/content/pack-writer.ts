/**
 * Collects sealed pieces into packs and stores them while the next one fills. Memory: one pack being filled and one being
 * stored, in buffers that are used again: of two under way, for each of two shards, memory would run out before the line does.
 */
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { OpenRepository } from "../repository.ts";
import { refuseOtherPack } from "./named-pack.ts";
import { directoryOf, type PackedPiece } from "./pack-directory.ts";
import { endPack, largestDirectory } from "./pack-end.ts";
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
  readonly #repository: string;
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
  constructor({ description, stores }: OpenRepository, key: DataKey, packSize: number) {
    this.#store = stores.repository;
    this.#repository = description.id;
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
    await this.#underWay;
    this.#throwFailure();
    this.#underWay = this.#keep(buffer, size, pieces).then(
      () => spare(buffer),
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  async #keep(buffer: Buffer<SharedArrayBuffer>, length: number, pieces: readonly HeldPiece[]): Promise<void> {
    const end = { repository: this.#repository, directory: directoryOf(pieces) };
    const pack =
      length <= smallPack
        ? endPack(buffer, length, this.#key, end)
        : await sealingThreads.endPack(this.#key, { ...end, input: buffer.buffer, length });
    this.#stored.push(pack);
    for (const { offset, settle } of pieces) settle(pack.id, offset);
    const answer = await this.#store.create(storeLayout.pack(pack.id), buffer.subarray(0, pack.size), pack.id);
    if (answer === "exists") await refuseOtherPack(this.#store, pack.id);
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
