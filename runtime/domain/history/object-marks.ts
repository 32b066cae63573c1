/**
 * Which objects a repository lists, and which of them are needed: of ten million objects in some hundred megabytes. Objects are
 * named by hashes, of which 32 bits say where to look and 32 others are kept. Two that are alike in all of that count as one: then an
 * object that nobody needs is kept, never the other way round.
 */

import type { ContentKind } from "../recovery-points/store-layout.ts";

const emptied = 0;
/** Of each object's size so much is kept that a damaged one is noticed. */
const sizeModulus = 2 ** 16;

export type MarkAnswer =
  /** It was not needed by anything before. */
  | "new"
  | "known"
  | "missing"
  /** It is there with another size: it is needed all the same, and what needs it is not whole. */
  | "damaged";

export class ObjectMarks {
  readonly #slots: Uint32Array;
  readonly #sizes: Uint16Array;
  readonly #needed: Uint8Array;
  readonly #mask: number;
  #listed = 0;
  #marked = 0;

  /** @param most how many objects are listed at most. */
  constructor(most: number) {
    let capacity = 1024;
    // Two thirds full at most.
    while (capacity * 2 < most * 3) capacity *= 2;
    this.#mask = capacity - 1;
    this.#slots = new Uint32Array(capacity);
    this.#sizes = new Uint16Array(capacity);
    this.#needed = new Uint8Array(capacity / 8);
    this.#most = most;
  }

  readonly #most: number;

  /** How many objects are needed. */
  get marked(): number {
    return this.#marked;
  }

  /** An object that is there. */
  list(kind: ContentKind, id: string, size: number): void {
    const { home, print } = hashOf(kind, id);
    const slot = this.#find(home, print);
    if (this.#slots[slot] !== emptied) return;
    if (this.#listed >= this.#most) throw new Error(`more than ${this.#most} objects were listed`);
    this.#listed += 1;
    this.#slots[slot] = print;
    this.#sizes[slot] = size % sizeModulus;
  }

  /** @param size that it must have; undefined where nobody says. */
  need(kind: ContentKind, id: string, size: number | undefined): MarkAnswer {
    const { home, print } = hashOf(kind, id);
    const slot = this.#find(home, print);
    if (this.#slots[slot] === emptied) return "missing";
    const [byte, bit] = [slot >> 3, 1 << (slot & 7)];
    const before = this.#needed[byte] ?? 0;
    this.#needed[byte] = before | bit;
    const wasNeeded = (before & bit) !== 0;
    if (!wasNeeded) this.#marked += 1;
    if (size !== undefined && this.#sizes[slot] !== size % sizeModulus) return "damaged";
    return wasNeeded ? "known" : "new";
  }

  isListed(kind: ContentKind, id: string): boolean {
    const { home, print } = hashOf(kind, id);
    return this.#slots[this.#find(home, print)] !== emptied;
  }

  isNeeded(kind: ContentKind, id: string): boolean {
    const { home, print } = hashOf(kind, id);
    const slot = this.#find(home, print);
    if (this.#slots[slot] === emptied) return false;
    return ((this.#needed[slot >> 3] ?? 0) & (1 << (slot & 7))) !== 0;
  }

  /** The slot that holds the print, or the empty one where it would be. */
  #find(home: number, print: number): number {
    let slot = home & this.#mask;
    while (this.#slots[slot] !== emptied && this.#slots[slot] !== print) slot = (slot + 1) & this.#mask;
    return slot;
  }
}

const placeOf: Readonly<Record<ContentKind, number>> = { pack: 0, tree: 0xffff_ffff, facts: 0x5555_5555 };

function hashOf(kind: ContentKind, id: string): { readonly home: number; readonly print: number } {
  const home = Number.parseInt(id.slice(0, 8), 16);
  const print = Number.parseInt(id.slice(8, 16), 16);
  // Objects of one name and of two kinds are two.
  return { home: (home ^ placeOf[kind]) >>> 0, print: print === emptied ? 1 : print };
}
