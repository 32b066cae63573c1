/** Reads a region's journal in its order, from any position on, and believes nothing that does not follow what was read before. */
import type { JournalEntry } from "../../domain/journal/entry.ts";
import { beginOfJournal, type JournalPosition } from "../../domain/journal/position.ts";
import { type DataKey, parseKey } from "../../domain/recovery-points/key.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { getWhole, mostSteppedOver, unlessMissing, unlessNotBelieved } from "../record.ts";
import {
  corrupt,
  decodeObject,
  digestOf,
  type JournalHeader,
  openEntries,
  refuseUnlessFollowing,
} from "./journal-object.ts";

export interface JournalObject {
  /** Where a reader is that has applied it. */
  readonly position: JournalPosition;
  /** When it was written, by the writer's clock: all of its entries are as old, or older. */
  readonly at: string;
  /** Another writer begins here: what the one before had not stored is missing, unless it comes next. */
  readonly isTakeover: boolean;
  readonly entries: readonly JournalEntry[];
}

interface FoundObject {
  readonly header: JournalHeader;
  readonly position: JournalPosition;
  readonly sealed: Buffer;
}

/** Keys of terms that are kept open; a journal is read in one, and seldom in the one before. */
const mostKeys = 64;

export class JournalReader {
  readonly #store: ObjectStoreReader;
  readonly #region: string;
  readonly #wrap: KeyWrap;
  readonly #keys = new Map<number, DataKey>();

  /**
   * @param store the repository in which the journal is kept, which is the other region's.
   * @param wrap opens the keys of the terms.
   */
  constructor(store: ObjectStoreReader, region: string, wrap: KeyWrap) {
    this.#store = store;
    this.#region = region;
    this.#wrap = wrap;
  }

  /** The object behind this position; undefined while there is none. */
  async next(position: JournalPosition): Promise<JournalObject | undefined> {
    const found = await findObject(this.#store, this.#region, position.number + 1);
    if (found === undefined) return undefined;
    const { header, sealed } = found;
    refuseUnlessFollowing(this.#region, header, position);
    if (header.kind === "takeover") {
      await this.#keyOf(header);
      return { position: found.position, at: header.at, isTakeover: true, entries: [] };
    }
    const key = this.#keys.get(header.term) ?? (await this.#keyOfTerm(header));
    const entries = openEntries(this.#region, header, key, sealed);
    return { position: found.position, at: header.at, isTakeover: false, entries };
  }

  /**
   * Throws OBJECT_NOT_FOUND when objects stand behind this position and the next one is missing: it was deleted, and no reader will come
   * past it. For who has waited for a while.
   */
  async refuseGap(position: JournalPosition): Promise<void> {
    const newest = await this.newest();
    if (newest.number <= position.number || (await this.next(position)) !== undefined) return;
    const missing = storeLayout.journalObject(this.#region, position.number + 1);
    throw new DrError("OBJECT_NOT_FOUND", `${missing} is missing, and the journal goes on to ${newest.number}`, {
      hint: "what it held is not known any more: let a capture bring the collections; see in the store's access log who deleted it",
    });
  }

  /** The position of the newest object: what was acknowledged before it was stored stands at it, or before. */
  newest(): Promise<JournalPosition> {
    return newestPosition(this.#store, this.#region);
  }

  async #keyOfTerm({ number, term }: JournalHeader): Promise<DataKey> {
    const takeover = await findObject(this.#store, this.#region, term);
    if (takeover?.header.number !== term || takeover.header.kind !== "takeover") {
      throw corrupt(this.#region, number, `names ${term} as its takeover, which is none`);
    }
    return this.#keyOf(takeover.header);
  }

  async #keyOf({ key: wrapped, number }: Extract<JournalHeader, { kind: "takeover" }>): Promise<DataKey> {
    const key = parseKey(await this.#wrap.unwrap(Buffer.from(wrapped, "base64")));
    if (typeof key.purpose !== "object" || !("journal" in key.purpose) || key.purpose.journal !== this.#region) {
      throw corrupt(this.#region, number, "brings a key that is not this journal's");
    }
    if (this.#keys.size >= mostKeys) this.#keys.clear();
    this.#keys.set(number, key);
    return key;
  }
}

/** The object of this number or, where something stands that is not believed, the next one behind that. */
export async function findObject(
  store: ObjectStoreReader,
  region: string,
  number: number,
): Promise<FoundObject | undefined> {
  for (let at = number; at <= number + mostSteppedOver; at += 1) {
    const content = await unlessMissing(unlessNotBelieved(getWhole(store, storeLayout.journalObject(region, at))));
    if (content === undefined) return undefined;
    if (content === "not believed") continue;
    const { header, sealed } = decodeObject(region, at, content);
    return { header, sealed, position: { number: at, digest: digestOf(content) } };
  }
  return undefined;
}

/** What the object at a position says of itself. */
export async function headerAt(
  store: ObjectStoreReader,
  region: string,
  position: JournalPosition,
): Promise<JournalHeader | undefined> {
  return position.number === 0 ? undefined : (await findObject(store, region, position.number))?.header;
}

/** @throws NOT_AUTHENTIC when more objects that nobody signed stand at its end than are stepped over. */
export async function newestPosition(store: ObjectStoreReader, region: string): Promise<JournalPosition> {
  let newest = (await newestListed(store, region)) ?? beginOfJournal;
  // A listing may come back short: what follows is asked for by name.
  for (;;) {
    const next = await findObject(store, region, newest.number + 1);
    if (next === undefined) return newest;
    newest = next.position;
  }
}

async function newestListed(store: ObjectStoreReader, region: string): Promise<JournalPosition | undefined> {
  const journal = storeLayout.journalOf(region);
  const folders: string[] = [];
  for await (const folder of store.folders(journal)) folders.push(folder);
  let notBelieved = 0;
  for (const folder of folders.sort().reverse()) {
    const numbers: number[] = [];
    for await (const { key } of store.list(`${journal}${folder}/`)) {
      const parsed = parseStoreKey(key);
      if (parsed?.kind === "journal" && parsed.region === region) numbers.push(parsed.number);
    }
    for (const number of numbers.sort((a, b) => b - a)) {
      const content = await unlessMissing(
        unlessNotBelieved(getWhole(store, storeLayout.journalObject(region, number))),
      );
      if (content !== undefined && content !== "not believed") return { number, digest: digestOf(content) };
      notBelieved += 1;
      if (notBelieved <= mostSteppedOver) continue;
      throw new DrError("NOT_AUTHENTIC", `more than ${mostSteppedOver} objects below ${journal} are not believed`, {
        hint: "see in the store's access log who made them, and delete them",
      });
    }
  }
  return undefined;
}
