/**
 * What Qdrant has done and the other region's store does not tell yet. It is sent there in groups, in the order in which it was
 * acknowledged; when the store does not answer, it waits here, up to a bound.
 */
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import type { JournalSettings } from "../../../domain/roles/gate-journal.ts";
import { hasCode, toDrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Spool } from "../../../ports/spool.ts";
import type { JournalWriter } from "../../../repository/journal/journal-writer.ts";

interface Waiting {
  readonly intent: number;
  readonly entries: readonly JournalEntry[];
  readonly bytes: number;
  /** By the monotonic clock. */
  readonly since: number;
  readonly settle: (isStored: boolean) => void;
}

export interface JournalBufferTools {
  readonly settings: JournalSettings;
  readonly spool: Spool;
  readonly clock: Clock;
  /** For people. */
  readonly tell: (text: string) => void;
}

/** What operators and metrics are told. */
export interface JournalState {
  readonly mode: JournalSettings["mode"];
  /** Writes that were acknowledged and are in no object yet. */
  readonly waiting: number;
  readonly bufferedBytes: number;
  /** How long the oldest of them has waited. */
  readonly lagSeconds: number;
  /** Writes are let through that no journal tells of. */
  readonly isUnprotected: boolean;
  /** Why no writes are taken; absent: they are. */
  readonly refusal?: string | undefined;
}

/** Of one object, unless one write has more. */
const bytesOfObject = 8 * 1024 * 1024;
/** A standby that hears nothing for longer cannot tell whether nothing happened. */
const signOfLifeMs = 5_000;
const againMs = 500;

export class JournalBuffer {
  readonly #tools: JournalBufferTools;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #writer: JournalWriter | undefined;
  /** Collections of which something was let through that no journal tells of, each with its place in the spool. */
  readonly #untold = new Map<string, number>();
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
  start(writer: JournalWriter): void {
    this.#writer = writer;
    this.#storedAt = this.#tools.clock.monotonic();
    this.#running ??= this.#run();
  }

  /** Takes what a write has left. Answers when it is stored or given up, or with false: another has taken over, and nobody will store it. */
  add(intent: number, entries: readonly JournalEntry[]): Promise<boolean> {
    const { clock, spool } = this.#tools;
    if (this.#isUnprotected) {
      this.#leaveUntold(entries);
      spool.done([intent]);
      return Promise.resolve(true);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    this.#waiting.push({ intent, entries, bytes, since: clock.monotonic(), settle: resolve });
    this.#bytes += bytes;
    this.#holdBound();
    if (this.#tools.settings.mode === "sync" || this.#bytes > bytesOfObject) this.#wake();
    return promise;
  }

  /** Why writes are not taken at present. */
  get refusal(): string | undefined {
    if (this.#deposed !== undefined) return this.#deposed;
    if (this.#writer === undefined) return "its journal has not begun yet";
    if (this.#isFull && this.#tools.settings.onStoreDown === "refuse")
      return "the store of its journal does not answer";
    return undefined;
  }

  get state(): JournalState {
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

  /** With `serve`, what does not fit is given up: a capture has to bring its collections. */
  #holdBound(): void {
    const { settings, spool, tell } = this.#tools;
    if (!this.#isFull || settings.onStoreDown !== "serve" || this.#isUnprotected) return;
    this.#isUnprotected = true;
    tell("the store of the journal does not answer: writes are let through that no journal tells of");
    const given = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const { entries } of given) this.#leaveUntold(entries);
    spool.done(given.map(({ intent }) => intent));
    for (const { settle } of given) settle(true);
  }

  #leaveUntold(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      const collection = "collection" in entry ? entry.collection : undefined;
      // The spool must know it, too: the process may be killed before the journal tells.
      const name = collection ?? "";
      if (this.#untold.has(name)) continue;
      this.#untold.set(name, this.#tools.spool.begin({ changes: "everything", collection }));
    }
  }

  async #run(): Promise<void> {
    while (!(this.#isEnding && this.#waiting.length === 0) && this.#deposed === undefined) {
      await this.#pause(this.#tools.settings.mode === "sync" ? signOfLifeMs : this.#tools.settings.flushMilliseconds);
      this.#holdBound();
      await this.#flush();
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
    } else if (clock.monotonic() - this.#storedAt >= signOfLifeMs && (await this.#store([]))) {
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
    if (!(await this.#store(group.flatMap(({ entries }) => entries)))) return false;
    // It may have been given up meanwhile.
    if (this.#waiting[0] !== group[0]) return true;
    this.#waiting = this.#waiting.slice(count);
    this.#bytes -= bytes;
    this.#tools.spool.done(group.map(({ intent }) => intent));
    for (const { settle } of group) settle(true);
    return true;
  }

  /** The store answers again: which collections were written to meanwhile. */
  async #tellUntold(): Promise<void> {
    const { clock, tell } = this.#tools;
    const told = [...this.#untold.keys()];
    const at = clock.now().toISOString();
    const reason = "written while the store of the journal did not answer";
    const entries: JournalEntry[] = told.map((name) =>
      name === "" ? { kind: "unreconciled", at, reason } : { kind: "unreconciled", at, reason, collection: name },
    );
    if (!(await this.#store(entries))) return;
    // What was written to others while these were sent, the next entries tell.
    if (this.#untold.size > told.length) return;
    this.#tools.spool.done([...this.#untold.values()]);
    this.#untold.clear();
    this.#isUnprotected = false;
    this.#storedAt = clock.monotonic();
    tell("the store of the journal answers again: the collections that were written to wait for a capture");
  }

  /** Tries until it is stored; false when it is given up: the process ends, or another has taken over. */
  async #store(entries: readonly JournalEntry[]): Promise<boolean> {
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#writer?.append(entries);
        return true;
      } catch (error) {
        const { message } = toDrError(error);
        if (hasCode(error, "APPLY_CONFLICT")) {
          this.#deposed = message;
          this.#tools.tell(message);
          for (const { settle } of this.#waiting) settle(false);
          return false;
        }
        if (tries === 0) this.#tools.tell(`the journal is not stored, and tries again: ${message}`);
        if (this.#isEnding) return false;
        this.#holdBound();
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }
}

function sizeOf(entry: JournalEntry): number {
  if (entry.kind !== "points") return 512;
  const text = (sum: number, each: string) => sum + each.length;
  return entry.points.reduce(text, 0) + entry.ids.reduce(text, 0) + 256;
}
