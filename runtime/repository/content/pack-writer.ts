/**
 * Collects sealed pieces into packs and stores each while the next one fills. Memory: one pack being filled and one being
 * stored, in buffers that are used again. Two under way were no faster, and took 25 MiB more.
 */
import { createHash } from "node:crypto";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { directoryOf, largestDirectory, type PackedPiece } from "./pack-directory.ts";

/** Bounds what small pieces cost in memory, and the directory. */
const piecesInPack = 4096;

/** Buffers of packs that were stored, for whoever fills the next one of the size. */
const spareBuffers = new Map<number, Buffer[]>();
const sparesKept = 4;

type Settle = (pack: string, offset: number) => void;

export class PackWriter {
  readonly #store: ObjectStore;
  readonly #key: DataKey;
  readonly #packSize: number;
  readonly #stored: Pack[] = [];
  #pieces: (PackedPiece & { readonly settle: Settle })[] = [];
  #filling: Buffer | undefined;
  #size = 0;
  #storing: Promise<void> | undefined;
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
  async add(name: string, bytes: Uint8Array, settle: Settle): Promise<void> {
    if (this.#size + bytes.length > this.#packSize || this.#pieces.length >= piecesInPack) await this.#flush();
    this.#filling ??= bufferOf(this.#packSize + largestDirectory);
    this.#filling.set(bytes, this.#size);
    this.#pieces.push({ name, offset: this.#size, length: bytes.length, settle });
    this.#size += bytes.length;
  }

  /** Every piece is stored when this returns. */
  async finish(): Promise<readonly Pack[]> {
    await this.#flush();
    await this.#storing;
    this.#throwFailure();
    return this.#stored;
  }

  async #flush(): Promise<void> {
    this.#throwFailure();
    const [buffer, pieces] = [this.#filling, this.#pieces];
    if (buffer === undefined) return;
    const directory = directoryOf(this.#key, pieces);
    buffer.set(directory, this.#size);
    const pack = buffer.subarray(0, this.#size + directory.length);
    const id = createHash("sha256").update(pack).digest("hex");
    this.#filling = undefined;
    this.#pieces = [];
    this.#size = 0;
    this.#stored.push({ id, size: pack.length });
    for (const { offset, settle } of pieces) settle(id, offset);
    await this.#storing;
    this.#throwFailure();
    this.#storing = this.#store.create(storeLayout.pack(id), pack, id).then(
      () => spare(buffer),
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function bufferOf(size: number): Buffer {
  return spareBuffers.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
}

function spare(buffer: Buffer): void {
  const spares = spareBuffers.get(buffer.length) ?? [];
  spareBuffers.set(buffer.length, spares);
  if (spares.length < sparesKept) spares.push(buffer);
}
