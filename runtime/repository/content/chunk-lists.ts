/** Reads chunk lists of captured files in any order. Lists are stored side by side, so one request brings many. */
import { unseal } from "../../domain/recovery-points/sealing.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import {
  type ChunkList,
  chunksListed,
  largestChunkList,
  type Piece,
  parseChunkList,
  type StoredContent,
} from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";

const readAhead = 512 * 1024;
const rangesKept = 8;

interface Range {
  readonly pack: string;
  readonly start: number;
  readonly bytes: Buffer;
}

export class ChunkLists {
  readonly #repository: OpenRepository;
  /** Where the last list of each pack ends. */
  readonly #ends = new Map<string, number>();
  #ranges: Range[] = [];

  constructor(repository: OpenRepository, contents: readonly StoredContent[]) {
    this.#repository = repository;
    for (const { lists } of contents) {
      for (const list of lists) {
        if (list === null) continue;
        this.#ends.set(list.pack, Math.max(this.#ends.get(list.pack) ?? 0, list.offset + list.length));
      }
    }
  }

  async read(list: Piece): Promise<ChunkList> {
    const range = this.#ranges.find((known) => holds(known, list)) ?? (await this.#fetch(list));
    const at = list.offset - range.start;
    const key = await this.#repository.keys.key(list.key);
    const plain = unseal(key, list.name, range.bytes.subarray(at, at + list.length), largestChunkList);
    return parseChunkList(plain.toString("utf8"));
  }

  async #fetch({ length, offset, pack }: Piece): Promise<Range> {
    const end = Math.max(offset + length, Math.min(offset + readAhead, this.#ends.get(pack) ?? 0));
    const store = this.#repository.stores.repository;
    const bytes = await store.get(storeLayout.pack(pack), { offset, length: end - offset });
    const range = { pack, start: offset, bytes };
    this.#ranges = [range, ...this.#ranges].slice(0, rangesKept);
    return range;
  }
}

/** Throws OBJECT_CORRUPT when the list is not as long as the stretch of the file it stands for. */
export function checkLength(list: ChunkList, expected: number): void {
  const listed = chunksListed(list);
  if (listed === expected) return;
  throw new DrError("OBJECT_CORRUPT", `a chunk list names ${listed} chunks where ${expected} are due`);
}

function holds(range: Range, piece: Piece): boolean {
  return (
    range.pack === piece.pack &&
    piece.offset >= range.start &&
    piece.offset + piece.length <= range.start + range.bytes.length
  );
}
