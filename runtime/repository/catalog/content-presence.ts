/**
 * Which of the objects that recovery points name are in a bucket: asked one by one, because a bucket of millions cannot be listed for the
 * sake of one. What is there stays as it is, so what was seen once is not asked for again.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type Inventory, objectsOf } from "../../domain/recovery-points/catalog.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";

const askedAtOnce = 32;

/** As many as who only wants to know how things are may ask for. */
export const fewQuestions = 40;

export class ContentPresence {
  readonly #repository: OpenRepository;
  readonly #mostQuestions: number;
  readonly #sizes = new Map<string, number>();
  readonly #packs = new Map<string, readonly Pack[]>();
  #questions = 0;

  /** @param mostQuestions what lies beyond is not asked for, and named by nobody as missing. */
  constructor(repository: OpenRepository, mostQuestions = Number.POSITIVE_INFINITY) {
    this.#repository = repository;
    this.#mostQuestions = mostQuestions;
  }

  /** The same knowledge with as many questions again. */
  refresh(): void {
    this.#questions = 0;
  }

  /** Keys of what is known that a recovery point needs. */
  keysOf(recoveryPoint: RecoveryPoint): Iterable<string> {
    return objectsOf(recoveryPoint, this.#packs).keys();
  }

  /** Forgets all but these, so that a process that looks for years stays small. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#sizes.keys()) if (!keys.has(key)) this.#sizes.delete(key);
    for (const id of this.#packs.keys()) if (!keys.has(storeLayout.tree(id))) this.#packs.delete(id);
  }

  /** The packs that a tree names; undefined when it cannot be read. */
  async packsOf(treeId: string): Promise<readonly Pack[] | "not asked" | undefined> {
    const known = this.#packs.get(treeId);
    if (known !== undefined) return known;
    if (!this.#mayAsk()) return "not asked";
    const read = await whenReadable(this.#repository.readTree(treeId, treePacksSchema));
    if (read !== undefined) this.#packs.set(treeId, read.packs);
    return read?.packs;
  }

  /** Sizes of those that are there. */
  async sizesOf(keys: Iterable<string>): Promise<Inventory> {
    const found = new Map<string, number | "not asked">();
    await forEachConcurrently(askedAtOnce, keys, async (key) => {
      const size = this.#sizes.get(key) ?? (this.#mayAsk() ? await this.#ask(key) : "not asked");
      if (size !== undefined) found.set(key, size);
    });
    return found;
  }

  async #ask(key: string): Promise<number | undefined> {
    const size = await this.#repository.stores.repository.sizeOf(key);
    if (size !== undefined) this.#sizes.set(key, size);
    return size;
  }

  #mayAsk(): boolean {
    if (this.#questions >= this.#mostQuestions) return false;
    this.#questions += 1;
    return true;
  }
}
