/**
 * Takes every write that comes through the gate: holds it apart from others to the same points, notes in the spool what it may change, sends
 * it to Qdrant, and tells the journal what it has left there, in the order in which Qdrant answered.
 */
import { WriteLocks, type WriteScope } from "../../../async/write-locks.ts";
import { parseExactly } from "../../../domain/exact-json.ts";
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import type { PointId } from "../../../domain/journal/point-id.ts";
import { type TouchedPoints, touchedPoints } from "../../../domain/journal/touched-points.ts";
import type { Write } from "../../../domain/journal/write-class.ts";
import type { JournalState } from "../../../domain/roles/gate-journal.ts";
import { toDrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { GatedOutcome, GatedQdrant, GatedRequest, JournalledReply } from "../../../ports/gated-qdrant.ts";
import type { Intent, NumberedIntent, Spool } from "../../../ports/spool.ts";
import type { JournalWriter } from "../../../repository/journal/journal-writer.ts";
import { Aftermath, unreconciled, type WriteOutcome } from "./aftermath.ts";
import type { JournalBuffer } from "./journal-buffer.ts";
import { LateWrites } from "./late-writes.ts";
import { type CollectionTold, isTold, type NotTold, ReadBack } from "./read-back.ts";
import { wholeEntries } from "./whole-entries.ts";

export interface JournalKeeperTools {
  readonly qdrant: GatedQdrant;
  readonly spool: Spool;
  readonly buffer: JournalBuffer;
  readonly clock: Clock;
  /** When it is asked again after a failure, it may find what it stored before. */
  readonly takeOver: () => Promise<Taken>;
  readonly onStoreDown: "refuse" | "serve";
  readonly tell: (text: string) => void;
}

/** A write that touches more points is not told point by point. */
const mostPoints = 10_000;
const takeOverAgainMs = 1_000;
/** With `serve` writes wait no longer for a store that does not answer. */
const takeOverWithinMs = 5_000;

/** What may be changed. */
type Reach = Pick<Intent, "changes" | "ids" | "shardKeys">;

interface Scope {
  readonly reach: Reach;
  /** When Qdrant refuses the write; it may have been done in part. */
  readonly whenRefused: Reach;
}

interface Taken {
  readonly writer: Pick<JournalWriter, "append" | "hasSent" | "position">;
  readonly termOfOthers: number | undefined;
}

type PointsWrite = Extract<Write, { readonly changes: "points" }>;

export class JournalKeeper {
  readonly #tools: JournalKeeperTools;
  readonly #locks = new WriteLocks();
  readonly #readBack: ReadBack;
  readonly #aftermath: Aftermath;
  readonly #late: LateWrites;
  readonly #collections = new Map<string, CollectionTold>();
  #aliases: ReadonlyMap<string, string> | undefined;
  /** Writes whose client has its answer, or is gone, and of which the journal does not know yet what they left. */
  readonly #unsettled = new Set<Promise<void>>();
  #isEnding = false;
  /** How often something was forgotten: what was asked before does not count any more. */
  #forgotten = 0;
  #begun: Promise<void> | undefined;
  #taken: Taken | undefined;
  #takeOverProblem: string | undefined;
  /** Of whoever had the spool before, and not told yet. */
  #left: NumberedIntent[] | undefined;
  #isReady = false;
  #underWay = 0;

  constructor(tools: JournalKeeperTools) {
    this.#tools = tools;
    const { clock, qdrant, tell } = tools;
    const isEnding = () => this.#isEnding;
    this.#readBack = new ReadBack(qdrant, isEnding);
    const forget = (collection: string | undefined) => this.#forget(collection);
    this.#aftermath = new Aftermath({ readBack: this.#readBack, clock, tell, forget, isEnding });
    this.#late = new LateWrites({ clock, tell, lookAgain: (...late) => this.#lookAgain(...late) });
  }

  /** Takes the journal over, and tells what an earlier process let through and did not tell. Writes are refused until then. */
  begin(): Promise<void> {
    this.#begun ??= this.#begin().catch((error: unknown) => {
      // To be called again, and it goes on where it was.
      this.#begun = undefined;
      this.#takeOverProblem = toDrError(error).message;
      throw error;
    });
    return this.#begun;
  }

  get state(): JournalState {
    return { ...this.#tools.buffer.state, lateWrites: this.#late.count, refusal: this.#refusal };
  }

  /** Writes that were let through and that the journal does not tell of yet. */
  get pending(): number {
    return this.#underWay + this.#unsettled.size + this.#tools.buffer.state.waiting;
  }

  async write(write: Write, request: GatedRequest): Promise<JournalledReply> {
    const refusal = this.#refusal;
    if (refusal !== undefined) return refused(refusal);
    this.#underWay += 1;
    try {
      return await (write.changes === "points" ? this.#writePoints(write, request) : this.#writeMore(write, request));
    } catch (error) {
      // The spool knows what was begun, and the journal says that it does not.
      return refused(toDrError(error).message, true);
    } finally {
      this.#underWay -= 1;
    }
  }

  /** For what is passed on as it comes: returns when nobody else writes there, with what is to be called at its end. */
  async hold(write: Write): Promise<{ readonly refusal: string } | { readonly finish: () => void }> {
    const refusal = this.#refusal;
    if (refusal !== undefined) return { refusal };
    const collection = "collection" in write ? write.collection : undefined;
    const held = await this.#lock(collection, undefined);
    if (typeof held === "string") return { refusal: held };
    const left = { changes: "everything", collection: held.collection } as const;
    const intent = this.#noted(left);
    if (typeof intent === "string") {
      held.release();
      return { refusal: intent };
    }
    return {
      finish: () => this.#later(held.release, intent, left, "done"),
    };
  }

  async end(): Promise<void> {
    const settled = Promise.allSettled(this.#unsettled);
    this.#isEnding = true;
    await settled;
    await this.#late.end();
    await this.#tools.buffer.end();
    this.#tools.spool.close();
  }

  get #refusal(): string | undefined {
    if (this.#isReady) return this.#tools.buffer.refusal;
    const why = this.#takeOverProblem === undefined ? "" : `: ${this.#takeOverProblem}`;
    return `its journal has not begun yet${why}`;
  }

  async #begin(): Promise<void> {
    const { buffer, spool, tell } = this.#tools;
    this.#left ??= [...spool.left];
    const { termOfOthers, writer } = this.#taken ?? (await this.#untilTaken());
    this.#taken = { termOfOthers, writer };
    buffer.start(writer);
    if (termOfOthers !== undefined && termOfOthers !== spool.term) {
      tell(
        "another gate wrote the journal last, and what it had not stored is not known here: a capture has to bring it",
      );
      const reason = "another gate wrote last, and what it had not stored is not known";
      const left: Intent = { changes: "everything" };
      // Qdrant may do later what the other gate sent last.
      await this.#tellOf(spool.begin(left), left, [unreconciled(this.#aftermath.now(), undefined, reason)], "unknown");
    }
    spool.remember(writer.position.number);
    for (let intent = this.#left[0]; intent !== undefined; intent = this.#left[0]) {
      await this.#tellLeft(intent.number, intent, "unknown");
      this.#left.shift();
    }
    this.#isReady = true;
  }

  async #untilTaken(): Promise<Taken> {
    const { onStoreDown, takeOver, tell } = this.#tools;
    const serveAnyway = () => {
      if (onStoreDown === "serve" && !this.#isEnding) this.#serveUnprotected();
    };
    const late = setTimeout(serveAnyway, takeOverWithinMs);
    try {
      for (let tries = 0; ; tries += 1) {
        try {
          return await takeOver();
        } catch (error) {
          if (this.#isEnding) throw error;
          this.#takeOverProblem = toDrError(error).message;
          if (tries === 0) tell(`the journal cannot be taken over yet: ${this.#takeOverProblem}`);
          serveAnyway();
          await new Promise((resolve) => setTimeout(resolve, takeOverAgainMs));
        }
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** Writes do not wait for the take-over; nothing of what they leave is told, and nothing of what was left before. */
  #serveUnprotected(): void {
    const { buffer } = this.#tools;
    buffer.leaveUnprotected();
    for (const { collection, number } of this.#left?.splice(0) ?? []) {
      void buffer.add(number, [unreconciled(this.#aftermath.now(), collection)]);
    }
    this.#isReady = true;
  }

  async #writePoints(write: PointsWrite, request: GatedRequest): Promise<JournalledReply> {
    const touched = touchedBy(request.body ?? Buffer.alloc(0));
    const isAlone = touched.unclear !== undefined || touched.filters.length > 0;
    const held = await this.#lock(write.collection, isAlone ? undefined : touched.ids);
    if (typeof held === "string") return refused(held);
    try {
      const collection = held.collection ?? write.collection;
      const told = await this.#toldOf(collection);
      const { reach, whenRefused } = await this.#scopeOf(collection, touched, told);
      const left = { ...reach, collection };
      const intent = this.#noted(left);
      if (typeof intent === "string") return refused(intent);
      const outcome = await this.#tools.qdrant.ask(waiting(request));
      if (outcome.kind === "not sent" || isUnknownKey(outcome)) return this.#notDone(intent, outcome);
      if (outcome.kind === "answered" && isDone(outcome)) {
        const whole = isTold(told)
          ? wholeEntries(collection, touched, told, request, this.#aftermath.now())
          : undefined;
        const entries = whole ?? (await this.#aftermath.of(left, "done"));
        // Its place in the order is taken before anybody else may write there.
        const stored = this.#tools.buffer.add(intent, entries);
        held.release();
        if (this.#tools.buffer.state.mode === "async" || (await stored)) return answerAsAsked(request, outcome);
        return refused("another gate has taken over its journal", true);
      }
      const isUncertain =
        outcome.kind === "no answer" || outcome.status >= 500 || [200, 202, 408].includes(outcome.status);
      this.#later(
        held.keep(),
        intent,
        isUncertain ? left : { ...whenRefused, collection },
        isUncertain ? "unknown" : "refused",
      );
      return outcome.kind === "answered" ? outcome : refused(outcome.reason, true);
    } finally {
      held.releaseUnlessKept();
    }
  }

  /** Of a collection, of aliases, of shard keys. */
  async #writeMore(write: Write, request: GatedRequest): Promise<JournalledReply> {
    const given = "collection" in write ? write.collection : undefined;
    const held = await this.#lock(given, undefined);
    if (typeof held === "string") return refused(held);
    try {
      const { collection } = held;
      const shardKeys = write.changes === "shard keys" ? shardKeysIn(request.body) : undefined;
      const left: Intent = { changes: write.changes, collection, shardKeys };
      const intent = this.#noted(left);
      if (typeof intent === "string") return refused(intent);
      const outcome = await this.#tools.qdrant.ask(waiting(request));
      this.#forget(collection);
      if (outcome.kind === "not sent" || isUnknownKey(outcome)) return this.#notDone(intent, outcome);
      if (outcome.kind === "no answer") {
        this.#later(held.keep(), intent, left, "unknown");
        return refused(outcome.reason, true);
      }
      const became = outcome.status >= 500 ? "unknown" : "done";
      const stored = this.#tellOf(intent, left, await this.#aftermath.of(left, became), became);
      held.release();
      if (this.#tools.buffer.state.mode === "async" || (await stored)) return outcome;
      return refused("another gate has taken over its journal", true);
    } finally {
      held.releaseUnlessKept();
    }
  }

  #notDone(intent: number, outcome: GatedOutcome): JournalledReply {
    this.#tools.buffer.forget(intent);
    return outcome.kind === "answered" ? outcome : refused(outcome.reason);
  }

  /** Holds a collection, or points of it, under its own name whatever alias was given; everything when none is. Else why it cannot. */
  async #lock(given: string | undefined, ids: readonly PointId[] | undefined) {
    for (;;) {
      const resolved = given === undefined ? undefined : await this.#resolved(given);
      if (typeof resolved === "object") return resolved.problem;
      const collection = resolved;
      const release = await this.#locks.lock(scopeFor(collection, ids));
      let isKept = false;
      // The alias may have been switched while it waited.
      if (given === undefined || (await this.#resolvedOr(release, given)) === collection) {
        return {
          collection,
          release,
          keep: () => {
            isKept = true;
            return release;
          },
          releaseUnlessKept: () => {
            if (!isKept) release();
          },
        };
      }
      release();
    }
  }

  /** A lock is not kept when the question fails. */
  async #resolvedOr(release: () => void, name: string): Promise<string | NotTold> {
    try {
      return await this.#resolved(name);
    } catch (error) {
      release();
      throw error;
    }
  }

  async #resolved(name: string): Promise<string | NotTold> {
    for (;;) {
      if (this.#aliases !== undefined) return this.#aliases.get(name) ?? name;
      const forgotten = this.#forgotten;
      const aliases = await this.#readBack.aliases();
      if ("problem" in aliases) return aliases;
      // They may have been asked for before somebody changed them.
      if (forgotten !== this.#forgotten) continue;
      this.#aliases = new Map(aliases.map(({ alias, collection }) => [alias, collection]));
    }
  }

  async #toldOf(collection: string): Promise<CollectionTold | NotTold | undefined> {
    const known = this.#collections.get(collection);
    if (known !== undefined) return known;
    const told = await this.#readBack.collection(collection);
    if (isTold(told)) this.#collections.set(collection, told);
    return told;
  }

  #forget(collection: string | undefined): void {
    this.#forgotten += 1;
    // Collections take their aliases with them.
    this.#aliases = undefined;
    if (collection === undefined) this.#collections.clear();
    else this.#collections.delete(collection);
  }

  /** What may be changed: by ids as far as they can be told. */
  async #scopeOf(
    collection: string,
    touched: TouchedPoints,
    told: CollectionTold | NotTold | undefined,
  ): Promise<Scope> {
    const everything = { changes: "everything" } as const;
    const anything = { reach: everything, whenRefused: everything };
    if (touched.unclear !== undefined || (told !== undefined && !isTold(told))) return anything;
    const ids = new Set(touched.ids);
    let isUnread = false;
    for (const filter of touched.filters) {
      const matching = await this.#readBack.matching(collection, filter, mostPoints);
      if (matching === undefined) return anything;
      if ("problem" in matching) {
        // Something may have been done before it.
        if (touched.isBatch) return anything;
        // Refused as a write, too, it changes nothing; strict mode refuses some filters to reads alone.
        isUnread = true;
        continue;
      }
      for (const id of matching) ids.add(id);
    }
    if (ids.size > mostPoints) return anything;
    const ofPoints = { changes: "points", ids: [...ids] } as const;
    // One id may be a point under each key.
    const isOneOfMany = told?.hasShardKeys === true;
    if (isOneOfMany && touched.shardKeys.length === 0) return anything;
    const whenRefused = isOneOfMany ? { ...ofPoints, shardKeys: touched.shardKeys } : ofPoints;
    return { reach: isUnread ? everything : whenRefused, whenRefused };
  }

  /** Its number in the spool, or why no write is let through. */
  #noted(intent: Intent): number | string {
    try {
      return this.#tools.spool.begin(intent);
    } catch (error) {
      return toDrError(error).message;
    }
  }

  #later(release: () => void, intent: number, left: Intent, outcome: WriteOutcome): void {
    const running = this.#tellLeft(intent, left, outcome)
      .catch((error: unknown) => {
        // The spool knows of it: who comes next tells.
        if (!this.#isEnding) this.#tools.tell(`what a write left is not told: ${toDrError(error).message}`);
      })
      .finally(() => {
        release();
        this.#unsettled.delete(running);
      });
    this.#unsettled.add(running);
  }

  async #tellLeft(intent: number, left: Intent | NumberedIntent, outcome: WriteOutcome): Promise<void> {
    const entries = await this.#aftermath.of(left, outcome);
    // Whether it is stored is for the buffer to see to.
    void this.#tellOf(intent, left, entries, outcome);
  }

  /** The spool goes on knowing of what Qdrant may do later. */
  #tellOf(intent: number, left: Intent, entries: readonly JournalEntry[], outcome: WriteOutcome): Promise<boolean> {
    if (outcome !== "unknown") return this.#tools.buffer.add(intent, entries);
    this.#late.watch(intent, left);
    return this.#tools.buffer.add(undefined, entries);
  }

  async #lookAgain(intent: number, left: Intent, isLast: boolean): Promise<void> {
    const release = await this.#locks.lock(scopeFor(left.collection, left.changes === "points" ? left.ids : undefined));
    try {
      void this.#tools.buffer.add(isLast ? intent : undefined, await this.#aftermath.of(left, "unknown"));
    } finally {
      release();
    }
  }
}

function scopeFor(collection: string | undefined, ids: readonly PointId[] | undefined): WriteScope {
  if (collection === undefined) return { of: "everything" };
  return ids === undefined ? { of: "collection", collection } : { of: "points", collection, ids };
}

function touchedBy(body: Buffer): TouchedPoints {
  try {
    return touchedPoints(body);
  } catch (error) {
    const unclear = error instanceof Error ? error.message : String(error);
    return { ids: [], filters: [], shardKeys: [], isBatch: false, unclear };
  }
}

/** Qdrant looks at nothing else then. */
function isUnknownKey(outcome: GatedOutcome): boolean {
  return outcome.kind === "answered" && outcome.status === 401;
}

/** Qdrant has done all of it, and said so. */
function isDone({ body, status }: Extract<GatedOutcome, { readonly kind: "answered" }>): boolean {
  return status >= 200 && status < 300 && !body.includes('"wait_timeout"');
}

/** What Qdrant acknowledges without waiting may still fail. */
function waiting(request: GatedRequest): GatedRequest {
  const [path = "", query = ""] = request.url.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set("wait", "true");
  return { ...request, url: `${path}?${parameters}` };
}

/** A client that did not wait is told what it is told without the gate. */
function answerAsAsked(
  { url }: GatedRequest,
  outcome: Extract<GatedOutcome, { readonly kind: "answered" }>,
): JournalledReply {
  const hasWaited = new URLSearchParams(url.split("?", 2)[1]).get("wait") === "true";
  if (hasWaited) return outcome;
  const body = Buffer.from(outcome.body.toString("utf8").replaceAll('"status":"completed"', '"status":"acknowledged"'));
  return { ...outcome, body, headers: { ...outcome.headers, "content-length": body.length } };
}

function shardKeysIn(body: Buffer | undefined): string[] {
  try {
    const { shard_key: key } = parseExactly(body?.toString("utf8") ?? "") as { shard_key?: unknown };
    return typeof key === "string" || typeof key === "number" ? [JSON.stringify(key)] : [];
  } catch {
    return [];
  }
}

function refused(reason: string, isDoneMaybe = false): JournalledReply {
  return { kind: "refused", reason, isDoneMaybe };
}
