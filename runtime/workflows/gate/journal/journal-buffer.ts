/**
 * What Qdrant has done and the other region's store does not tell yet. It is sent there in groups, in the order in which it was
 * acknowledged; when the store does not answer, it waits here, up to a bound.
 */
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import type { JournalSettings, JournalState } from "../../../domain/roles/gate-journal.ts";
import { hasCode, toDrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Spool } from "../../../ports/spool.ts";
import type { JournalWriter } from "../../../repository/journal/journal-writer.ts";

interface Waiting {
  readonly intents: readonly number[];
  readonly entries: readonly JournalEntry[];
  readonly bytes: number;
  /** By the monotonic clock. */
  readonly since: number;
  readonly settle: (isStored: boolean) => void;
}

interface Untold {
  /** By which the spool knows of it. */
  readonly intents: number[];
  /** Whether it knows that everything there may be changed. */
  isNoted: boolean;
}

export interface JournalBufferTools {
  readonly settings: JournalSettings;
  readonly spool: Spool;
  readonly clock: Clock;
  /** For people. */
  readonly tell: (text: string) => void;
}

/** Of one object, unless one write has more. */
const bytesOfObject = 8 * 1024 * 1024;
/** What one write has left beyond this no object holds. */
const mostBytesOfWrite = 40 * 1024 * 1024;
/** A standby that hears nothing for longer cannot tell whether nothing happened. */
const signOfLifeMs = 5_000;
const againMs = 500;

export class JournalBuffer {
  readonly #tools: JournalBufferTools;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #writer: Pick<JournalWriter, "append" | "hasSent"> | undefined;
  /** Collections of which something was let through that no journal tells of. */
  readonly #untold = new Map<string, Untold>();
  /** Done, and not noted as such: the spool could not be written. */
  #toForget: readonly number[] = [];
  #isUnprotected = false;
  #deposed: string | undefined;
  #storedAt = 0;
  #isEnding = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> | undefined;
  /** Resolved with the next group. */
  #idle = Promise.withResolvers<void>();

  constructor(tools: JournalBufferTools) {
    this.#tools = tools;
  }

  /** From now on entries are stored by this writer. */
  start(writer: Pick<JournalWriter, "append" | "hasSent">): void {
    this.#writer = writer;
    this.#storedAt = this.#tools.clock.monotonic();
    this.#running ??= this.#run();
  }

  /** Nothing was stored yet, and writes are let through all the same: what they leave is not told until a writer comes. */
  leaveUnprotected(): void {
    if (this.#isUnprotected) return;
    this.#isUnprotected = true;
    this.#tools.tell("the journal has not begun: writes are let through that no journal tells of");
  }

  /**
   * Takes what a write has left. The spool forgets its intent, if one is given, when that is stored. Answers when it is stored or given up, or
   * with false: another has taken over, and nobody will store it.
   */
  add(intent: number | undefined, left: readonly JournalEntry[]): Promise<boolean> {
    // Whoever begins with this spool finds it there.
    if (this.#deposed !== undefined) return Promise.resolve(false);
    const intents = intent === undefined ? [] : [intent];
    if (this.#isUnprotected) {
      this.#leaveUntold(intents, left);
      return Promise.resolve(true);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#enqueue(intents, left, resolve);
    this.#holdBound();
    if (this.#tools.settings.mode === "sync" || this.#bytes > bytesOfObject) this.#wake();
    return promise;
  }

  /** Nothing of a write has come to Qdrant. */
  forget(intent: number): void {
    this.#done([intent]);
  }

  /** Why writes are not taken at present. */
  get refusal(): string | undefined {
    if (this.#deposed !== undefined) return this.#deposed;
    if (this.#isFull && this.#tools.settings.onStoreDown === "refuse")
      return "the store of its journal does not answer";
    return undefined;
  }

  get state(): Omit<JournalState, "lateWrites"> {
    const { clock, settings } = this.#tools;
    const [oldest] = this.#waiting;
    return {
      mode: settings.mode,
      waiting: this.#waiting.length,
      bufferedBytes: this.#bytes,
      lagSeconds: oldest === undefined ? 0 : (clock.monotonic() - oldest.since) / 1000,
      isUnprotected: this.#isUnprotected,
      refusal: this.refusal,
    };
  }

  /** Returns when everything is stored that was added before, or cannot be any more. */
  async drain(): Promise<void> {
    while (this.#waiting.length > 0 && this.#writer !== undefined && this.#deposed === undefined) {
      this.#wake();
      await this.#idle.promise;
    }
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    await this.#running;
  }

  get #isFull(): boolean {
    const { clock, settings } = this.#tools;
    const [oldest] = this.#waiting;
    const age = oldest === undefined ? 0 : clock.monotonic() - oldest.since;
    return this.#bytes > settings.bufferBytes || age > 1000 * settings.bufferSeconds;
  }

  #enqueue(intents: readonly number[], left: readonly JournalEntry[], settle: Waiting["settle"]): void {
    let entries = left;
    let bytes = bytesOf(entries);
    if (bytes > mostBytesOfWrite) {
      entries = tooLarge(entries);
      bytes = bytesOf(entries);
    }
    this.#waiting.push({ intents, entries, bytes, since: this.#tools.clock.monotonic(), settle });
    this.#bytes += bytes;
  }

  /** With `serve`, what does not fit is given up: a capture has to bring its collections. */
  #holdBound(): void {
    const { settings, tell } = this.#tools;
    if (!this.#isFull || settings.onStoreDown !== "serve" || this.#isUnprotected) return;
    this.#isUnprotected = true;
    tell("the store of the journal does not answer: writes are let through that no journal tells of");
    const given = this.#takeAll();
    for (const { entries, intents } of given) this.#leaveUntold(intents, entries);
    for (const { settle } of given) settle(true);
  }

  #takeAll(): readonly Waiting[] {
    const all = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    return all;
  }

  /** The spool must know of it, too: the process may be killed before the journal tells. */
  #leaveUntold(intents: readonly number[], entries: readonly JournalEntry[]): void {
    let isKept = false;
    for (const entry of entries) {
      const collection = "collection" in entry ? entry.collection : undefined;
      const name = collection ?? "";
      const untold = this.#untold.get(name) ?? { intents: [], isNoted: false };
      this.#untold.set(name, untold);
      if (untold.isNoted) continue;
      try {
        untold.intents.push(this.#tools.spool.begin({ changes: "everything", collection }));
        untold.isNoted = true;
      } catch (error) {
        // It still knows what was noted before the write.
        this.#tools.tell(toDrError(error).message);
        untold.intents.push(...intents);
        isKept = true;
      }
    }
    if (!isKept) this.#done(intents);
  }

  /** The spool forgets these; a full disk only lets it know too much, which is read back when the gate begins again. */
  #done(intents: readonly number[]): void {
    const all = [...this.#toForget, ...intents];
    if (all.length === 0) return;
    try {
      this.#tools.spool.done(all);
      this.#toForget = [];
    } catch (error) {
      if (this.#toForget.length === 0) this.#tools.tell(toDrError(error).message);
      this.#toForget = all;
    }
  }

  async #run(): Promise<void> {
    while (!(this.#isEnding && this.#waiting.length === 0) && this.#deposed === undefined) {
      await this.#pause(this.#tools.settings.mode === "sync" ? signOfLifeMs : this.#tools.settings.flushMilliseconds);
      try {
        this.#holdBound();
        await this.#flush();
      } catch (error) {
        // Reads go on, and what waits is tried again.
        this.#tools.tell(`the journal is not stored, and tries again: ${toDrError(error).message}`);
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
      const { resolve } = this.#idle;
      this.#idle = Promise.withResolvers<void>();
      resolve();
      if (this.#isEnding && (this.#isUnprotected || this.#waiting.length > 0)) return;
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#isEnding || (this.#tools.settings.mode === "sync" && this.#waiting.length > 0)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** Everything that waits, in one object after another. */
  async #flush(): Promise<void> {
    const { clock } = this.#tools;
    if (this.#isUnprotected) await this.#tellUntold();
    else if (this.#waiting.length > 0) {
      while (this.#waiting.length > 0 && (await this.#storeGroup())) this.#storedAt = clock.monotonic();
    } else if (clock.monotonic() - this.#storedAt >= signOfLifeMs && (await this.#store([])) === true) {
      this.#storedAt = clock.monotonic();
    }
  }

  async #storeGroup(): Promise<boolean> {
    let [count, bytes] = [0, 0];
    for (const each of this.#waiting) {
      if (count > 0 && bytes + each.bytes > bytesOfObject) break;
      count += 1;
      bytes += each.bytes;
    }
    const group = this.#waiting.slice(0, count);
    const stored = await this.#store(group.flatMap(({ entries }) => entries));
    if (stored === "too large") {
      this.#replaceTooLarge(group);
      return true;
    }
    if (!stored) return false;
    // It may have been given up meanwhile.
    if (this.#waiting[0] !== group[0]) return true;
    this.#waiting = this.#waiting.slice(count);
    this.#bytes -= bytes;
    this.#done(group.flatMap(({ intents }) => intents));
    for (const { settle } of group) settle(true);
    return true;
  }

  /** No try stores them. */
  #replaceTooLarge(group: readonly Waiting[]): void {
    // They may have been given up meanwhile.
    if (this.#waiting[0] !== group[0]) return;
    const rest = this.#waiting.slice(group.length);
    const replaced = group.map((each) => {
      const entries = tooLarge(each.entries);
      return { ...each, entries, bytes: bytesOf(entries) };
    });
    this.#waiting = [...replaced, ...rest];
    this.#bytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** When the store answers again: which collections were written to meanwhile. */
  async #tellUntold(): Promise<void> {
    const { clock, tell } = this.#tools;
    // Nothing is told yet: what is written while this is sent must be told, too.
    if ((await this.#store([])) !== true) return;
    this.#storedAt = clock.monotonic();
    // From here on every write is told behind these.
    this.#isUnprotected = false;
    const at = clock.now().toISOString();
    const reason = "written while the store of the journal did not answer";
    for (const [name, { intents }] of this.#untold) {
      const collection = name === "" ? {} : { collection: name };
      this.#enqueue(intents, [{ kind: "unreconciled", at, reason, ...collection }], () => undefined);
    }
    this.#untold.clear();
    tell("the store of the journal answers again: the collections that were written to wait for a capture");
  }

  /** Tries until it is stored; false when it is given up: the process ends, or another has taken over. */
  async #store(entries: readonly JournalEntry[]): Promise<boolean | "too large"> {
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#writer?.append(entries);
        return true;
      } catch (error) {
        const { message } = toDrError(error);
        if (hasCode(error, "APPLY_CONFLICT")) {
          this.#deposed = message;
          this.#tools.tell(message);
          // The spool keeps them; a fence does not wait for what nobody will store.
          for (const { settle } of this.#takeAll()) settle(false);
          return false;
        }
        // The writer makes no such object, however often it is asked.
        if (hasCode(error, "NOT_SUPPORTED") && this.#writer?.hasSent !== true) return "too large";
        if (tries === 0) this.#tools.tell(`the journal is not stored, and tries again: ${message}`);
        if (this.#isEnding) return false;
        this.#holdBound();
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }
}

function bytesOf(entries: readonly JournalEntry[]): number {
  return entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
}

function sizeOf(entry: JournalEntry): number {
  if (entry.kind !== "points") return 512;
  const bytes = (sum: number, each: string) => sum + Buffer.byteLength(each) + 1;
  return entry.points.reduce(bytes, 0) + entry.ids.reduce(bytes, 0) + 256;
}

/** In the place of entries that no object holds; without their collections' names that is every collection. */
function tooLarge(entries: readonly JournalEntry[]): JournalEntry[] {
  const reason = "one write left more than an object of the journal holds";
  const byCollection = new Map(
    entries.map((entry) => ["collection" in entry ? entry.collection : undefined, entry.at]),
  );
  return [...byCollection].map(([collection, at]) =>
    collection === undefined ? { kind: "unreconciled", at, reason } : { kind: "unreconciled", at, reason, collection },
  );
}
