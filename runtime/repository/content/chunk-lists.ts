/** Reads chunk lists of captured files in any order. Lists are stored side by side, so one request brings many. */
import { largestChunkList, parseChunkList } from "../../domain/recovery-points/chunk-list-bytes.ts";
import { nameOf, nameOfList, unseal } from "../../domain/recovery-points/sealing.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import {
  type ChunkList,
  chunksInList,
  chunksListed,
  listsOf,
  type Piece,
  type StoredContent,
} from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";
import { inPack } from "./in-pack.ts";

const readAhead = 512 * 1024;
const rangesKept = 8;

type Content = Pick<StoredContent, "size" | "lists">;

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

  /** What stands at each chunk of a stretch of the file. Throws OBJECT_CORRUPT when the list does not stand for it. */
  async read(content: Content, position: number): Promise<ChunkList> {
    return entriesOf(content, position, await this.bytes(content, position));
  }

  /** The list as it is stored, opened, for `entriesOf`: it takes more room when it is parsed. Null where all is zero. */
  async bytes({ lists, size }: Content, position: number): Promise<Buffer | null> {
    if (lists.length !== listsOf(size)) {
      throw new DrError("OBJECT_CORRUPT", `a file of ${size} bytes has ${lists.length} chunk lists`);
    }
    const list = lists[position] ?? null;
    return list && inPack(list.pack, () => this.#open(list));
  }

  async #open(list: Piece): Promise<Buffer> {
    const range = this.#ranges.find((known) => holds(known, list)) ?? (await this.#fetch(list));
    const at = list.offset - range.start;
    const key = await this.#repository.keys.key(list.key);
    const plain = unseal(key, nameOfList(list.name), range.bytes.subarray(at, at + list.length), largestChunkList);
    if (nameOf(key, plain) === list.name) return plain;
    throw new DrError("OBJECT_CORRUPT", `the content of chunk list ${list.name} is not the one its name says`);
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

/** Throws OBJECT_CORRUPT when the list does not stand for this stretch of the file. */
export function entriesOf({ size }: Content, position: number, list: Buffer | null): ChunkList {
  const due = chunksInList(size, position);
  if (list === null) return [due];
  const entries = parseChunkList(list);
  const listed = chunksListed(entries);
  if (listed === due) return entries;
  throw new DrError("OBJECT_CORRUPT", `a chunk list names ${listed} chunks where ${due} are due`);
}

function holds(range: Range, piece: Piece): boolean {
  return (
    range.pack === piece.pack &&
    piece.offset >= range.start &&
    piece.offset + piece.length <= range.start + range.bytes.length
  );
}
