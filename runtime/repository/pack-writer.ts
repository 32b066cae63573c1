/**
 * Collects sealed pieces into packs and stores the packs while the next one fills. Memory: one pack being filled and
 * `packsUnderWay` being stored.
 */
import { createHash } from "node:crypto";
import { storeLayout } from "../domain/store-layout.ts";
import type { ObjectStore } from "../ports.ts";

const packSize = 16 * 1024 * 1024;
const packsUnderWay = 2;

export interface PackedPiece {
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
}

export class PackWriter {
  readonly #store: ObjectStore;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stored: { id: string; size: number }[] = [];
  #pieces: { bytes: Uint8Array; settle: (piece: PackedPiece) => void; offset: number }[] = [];
  #size = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * Takes a piece; `settle` is called with its place once its pack has a name, at the latest in `finish`. Await the answer:
   * it is what bounds memory.
   */
  async add(bytes: Uint8Array, settle: (piece: PackedPiece) => void): Promise<void> {
    this.#pieces.push({ bytes, settle, offset: this.#size });
    this.#size += bytes.length;
    if (this.#size >= packSize) await this.#flush();
  }

  /** Every piece is stored when this returns. */
  async finish(): Promise<readonly { id: string; size: number }[]> {
    await this.#flush();
    await Promise.all(this.#underWay);
    this.#throwFailure();
    return this.#stored;
  }

  async #flush(): Promise<void> {
    this.#throwFailure();
    if (this.#pieces.length === 0) return;
    const pack = Buffer.concat(this.#pieces.map(({ bytes }) => bytes));
    const id = createHash("sha256").update(pack).digest("hex");
    for (const { bytes, settle, offset } of this.#pieces) settle({ pack: id, offset, length: bytes.length });
    this.#pieces = [];
    this.#size = 0;
    this.#stored.push({ id, size: pack.length });
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
