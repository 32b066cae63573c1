/**
 * Writes a region's journal into the other region's repository: one writer at a time, and one chain for all of them. Who comes takes
 * over with an object of its own; who then finds its number taken stops, and never writes again.
 */

import type { JournalEntry } from "../../domain/journal/entry.ts";
import { encodeEntries } from "../../domain/journal/entry-text.ts";
import type { JournalPosition } from "../../domain/journal/position.ts";
import { type DataKey, newKey, serialiseKey } from "../../domain/recovery-points/key.ts";
import { largestEntries } from "../../domain/recovery-points/object-bounds.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { getWhole, mostSteppedOver, refuseIfTooLarge, unlessNotBelieved } from "../record.ts";
import { digestOf, encodeObject, type JournalHeader } from "./journal-object.ts";
import { headerAt, newestPosition } from "./journal-reader.ts";

export interface JournalWriting {
  /** The other region's, in which it may create objects of the journal, and read them. */
  readonly store: ObjectStore;
  /** Whose journal it is. */
  readonly region: string;
  /** Who writes, for people. */
  readonly writer: string;
  /** Wraps the keys of terms for those who may read. */
  readonly wrap: Pick<KeyWrap, "wrap">;
  readonly clock: Clock;
}

interface Made {
  readonly header: JournalHeader;
  readonly content: Buffer;
}

/** Of a take-over: what is known of it between its tries. */
export interface TakeoverTries {
  /** What was sent and not answered: it may stand, and is the own then. */
  sent?: TakeoverSent | undefined;
}

interface TakeoverSent {
  readonly key: DataKey;
  readonly number: number;
  readonly content: Buffer;
  readonly endOfOthers: JournalPosition;
}

export interface Takeover {
  readonly writer: JournalWriter;
  /** Where the journal of those before it ends, and the takeover under which that was written; absent: there was none. */
  readonly endOfOthers: JournalPosition;
  readonly termOfOthers: number | undefined;
}

export class JournalWriter {
  readonly #writing: JournalWriting;
  readonly #key: DataKey;
  readonly #term: number;
  #position: JournalPosition;
  /** What was sent and not answered: the same bytes are sent again, so that they are recognised. */
  #sent: { readonly entries: readonly JournalEntry[]; readonly made: Made } | undefined;
  #isDeposed = false;

  private constructor(writing: JournalWriting, key: DataKey, position: JournalPosition) {
    this.#writing = writing;
    this.#key = key;
    this.#term = position.number;
    this.#position = position;
  }

  /** Becomes the writer. After an error it is not known whether it has: to be called again with the same tries. */
  static async takeOver(writing: JournalWriting, tries: TakeoverTries = {}): Promise<Takeover> {
    const { region, store } = writing;
    let sent = tries.sent ?? (await makeTakeover(writing));
    for (let notBelieved = 0; notBelieved <= mostSteppedOver; ) {
      tries.sent = sent;
      const { content, endOfOthers, key, number } = sent;
      const stands = await create(store, storeLayout.journalObject(region, number), content);
      if (stands === "ours") {
        const last = await headerAt(store, region, endOfOthers);
        tries.sent = undefined;
        const position = { number, digest: digestOf(content) };
        return { writer: new JournalWriter(writing, key, position), endOfOthers, termOfOthers: last?.term };
      }
      tries.sent = undefined;
      if (stands === "not believed") {
        notBelieved += 1;
        sent = await makeTakeover(writing, { number: number + 1, endOfOthers });
      } else sent = await makeTakeover(writing);
    }
    throw tooManyForged(region, sent.number);
  }

  /** Whether something was sent of which it is not known whether it is stored. */
  get hasSent(): boolean {
    return this.#sent !== undefined;
  }

  /** Where its newest object is. */
  get position(): JournalPosition {
    return this.#position;
  }

  /**
   * Returns when an object with these entries is stored. After an error it is not known whether it was: to be called again with the same
   * entries. Throws APPLY_CONFLICT when another writer has taken over.
   */
  async append(entries: readonly JournalEntry[]): Promise<JournalPosition> {
    const { region, store } = this.#writing;
    if (this.#isDeposed) throw this.#deposed();
    if (this.#sent !== undefined && this.#sent.entries !== entries) {
      throw new Error("what was sent before has no outcome yet");
    }
    let made = this.#sent?.made ?? this.#make(entries, this.#position.number + 1);
    for (let notBelieved = 0; notBelieved <= mostSteppedOver; notBelieved += 1) {
      this.#sent = { entries, made };
      const stands = await create(store, storeLayout.journalObject(region, made.header.number), made.content);
      if (stands === "ours") {
        this.#sent = undefined;
        this.#position = { number: made.header.number, digest: digestOf(made.content) };
        return this.#position;
      }
      if (stands === "another's") {
        this.#isDeposed = true;
        throw this.#deposed();
      }
      made = this.#make(entries, made.header.number + 1);
    }
    throw tooManyForged(region, made.header.number);
  }

  #make(entries: readonly JournalEntry[], number: number): Made {
    const { clock, region } = this.#writing;
    const header: JournalHeader = {
      kind: "entries",
      format: 1,
      number,
      previous: this.#position.digest,
      term: this.#term,
      at: clock.now().toISOString(),
      entries: entries.length,
    };
    const text = encodeEntries(entries);
    refuseIfLonger(storeLayout.journalObject(region, number), text);
    const content = encodeObject(region, header, { key: this.#key, text });
    refuseIfTooLarge(storeLayout.journalObject(region, number), content);
    return { header, content };
  }

  #deposed(): DrError {
    const { region } = this.#writing;
    return new DrError("APPLY_CONFLICT", `another gate has taken over the journal of ${region}`, {
      hint: "one gate writes a region's journal: see which others run, and start this one again only when it is to take over",
    });
  }
}

async function makeTakeover(
  { clock, region, store, wrap, writer }: JournalWriting,
  place?: Pick<TakeoverSent, "number" | "endOfOthers">,
): Promise<TakeoverSent> {
  const endOfOthers = place?.endOfOthers ?? (await newestPosition(store, region));
  const number = place?.number ?? endOfOthers.number + 1;
  const key = newKey({ journal: region });
  const content = encodeObject(region, {
    kind: "takeover",
    format: 1,
    number,
    previous: endOfOthers.digest,
    term: number,
    at: clock.now().toISOString(),
    writer,
    key: Buffer.from(await wrap.wrap(serialiseKey(key))).toString("base64"),
  });
  return { key, number, content, endOfOthers };
}

/** What readers would refuse to unpack. */
function refuseIfLonger(key: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= largestEntries) return;
  throw new DrError("NOT_SUPPORTED", `${key} cannot be written: its entries have ${bytes} bytes`, {
    hint: `they may have ${largestEntries} bytes; nothing of it was stored`,
  });
}

async function create(
  store: ObjectStore,
  key: string,
  content: Buffer,
): Promise<"ours" | "another's" | "not believed"> {
  if ((await store.create(key, content)) === "created") return "ours";
  const stands = await unlessNotBelieved(getWhole(store, key));
  if (stands === "not believed") return stands;
  // A request that ran out of time may have stored it.
  return stands.equals(content) ? "ours" : "another's";
}

function tooManyForged(region: string, number: number): DrError {
  return new DrError(
    "NOT_AUTHENTIC",
    `more than ${mostSteppedOver} objects that nobody signed stand before ${storeLayout.journalObject(region, number)}`,
    { hint: "see in the store's access log who made them, and delete them" },
  );
}
