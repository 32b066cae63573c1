/**
 * Collects sealed pieces into packs and stores the packs while the next one fills. Memory: one pack being filled and
 * `packsUnderWay` being stored.
 */
import { createHash } from "node:crypto";
import type { DataKey } from "../domain/key.ts";
import { storeLayout } from "../domain/store-layout.ts";
import type { Pack } from "../domain/stored-content.ts";
import type { ObjectStore } from "../ports.ts";
import { directoryOf, type PackedPiece } from "./pack-directory.ts";

const packSize = 16 * 1024 * 1024;
/** Bounds what small pieces cost in memory, and the directory. */
const piecesInPack = 4096;
const packsUnderWay = 2;

export class PackWriter {
  readonly #store: ObjectStore;
  readonly #key: DataKey;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stored: Pack[] = [];
  #pieces: (PackedPiece & { readonly bytes: Uint8Array; readonly settle: (pack: string, offset: number) => void })[] =
    [];
  #size = 0;
  #failure: { readonly error: unknown } | undefined;

  /** @param key what the pieces are sealed with. */
  constructor(store: ObjectStore, key: DataKey) {
    this.#store = store;
    this.#key = key;
  }

  /**
   * Takes a piece; `settle` is called with its place once its pack has a name, at the latest in `finish`. Await the answer:
   * it is what bounds memory.
   */
  async add(name: string, bytes: Uint8Array, settle: (pack: string, offset: number) => void): Promise<void> {
    this.#pieces.push({ name, bytes, offset: this.#size, length: bytes.length, settle });
    this.#size += bytes.length;
    if (this.#size >= packSize || this.#pieces.length >= piecesInPack) await this.#flush();
  }

  /** Every piece is stored when this returns. */
  async finish(): Promise<readonly Pack[]> {
    await this.#flush();
    await Promise.all(this.#underWay);
    this.#throwFailure();
    return this.#stored;
  }

  async #flush(): Promise<void> {
    this.#throwFailure();
    if (this.#pieces.length === 0) return;
    const pieces = this.#pieces;
    const pack = Buffer.concat([...pieces.map(({ bytes }) => bytes), directoryOf(this.#key, pieces)]);
    const id = createHash("sha256").update(pack).digest("hex");
    this.#pieces = [];
    this.#size = 0;
    this.#stored.push({ id, size: pack.length });
    for (const { offset, settle } of pieces) settle(id, offset);
    while (this.#underWay.size >= packsUnderWay) await Promise.race(this.#underWay);
    const storing: Promise<void> = this.#store.create(storeLayout.pack(id), pack).then(
      () => void this.#underWay.delete(storing),
      (error: unknown) => {
        this.#underWay.delete(storing);
        this.#failure ??= { error };
      },
    );
    this.#underWay.add(storing);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
