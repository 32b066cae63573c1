/** What a write has left in Qdrant, as entries of the journal: asked of it while nobody else may write there. */
import type { ExactJson } from "../../../domain/exact-json.ts";
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import { toDrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Intent } from "../../../ports/spool.ts";
import { isTold, type ReadBack } from "./read-back.ts";

/** `refused`: it may have been done in part. `unknown`: also in whole, or it may still be. */
export type WriteOutcome = "done" | "refused" | "unknown";

export interface AftermathTools {
  readonly readBack: ReadBack;
  readonly clock: Clock;
  readonly tell: (text: string) => void;
  /** What was known of a collection, or of all, may not be so any more. */
  readonly forget: (collection: string | undefined) => void;
  readonly isEnding: () => boolean;
}

export class Aftermath {
  readonly #tools: AftermathTools;
  #lastAt = 0;

  constructor(tools: AftermathTools) {
    this.#tools = tools;
  }

  /** Before anybody else may write there something is told of it, whatever fails. */
  async of(left: Intent, outcome: WriteOutcome): Promise<JournalEntry[]> {
    try {
      return await this.#leftBy(left, outcome);
    } catch (error) {
      // The spool goes on knowing of it.
      if (this.#tools.isEnding()) throw error;
      const { message } = toDrError(error);
      this.#tools.tell(`what a write left cannot be read back: ${message}`);
      return [unreconciled(this.now(), left.collection, message)];
    } finally {
      // Somebody may have asked while Qdrant still did it.
      if (left.changes !== "points") this.#tools.forget(left.collection);
    }
  }

  async #leftBy(left: Intent, outcome: WriteOutcome): Promise<JournalEntry[]> {
    const { changes, collection, ids = [], shardKeys } = left;
    if (changes !== "points") this.#tools.forget(collection);
    const unsettled =
      outcome === "unknown" && collection !== undefined ? await this.#tools.readBack.settle(collection) : undefined;
    if (unsettled !== undefined) return [unreconciled(this.now(), collection, unsettled.problem)];
    if (changes === "aliases") {
      const aliases = await this.#tools.readBack.aliases();
      if ("problem" in aliases) return [unreconciled(this.now(), undefined, aliases.problem)];
      return [{ kind: "aliases", at: this.now(), aliases }];
    }
    const entries: JournalEntry[] = [];
    if (collection === undefined) return [unreconciled(this.now(), undefined)];
    if (changes === "points") {
      for (const key of shardKeys ?? [undefined]) {
        const told = await this.#tools.readBack.points(collection, ids, key, this.now());
        if ("problem" in told) return [unreconciled(this.now(), collection, told.problem)];
        if (outcome !== "done") await this.#tools.readBack.writeAgain(told);
        entries.push(...told);
      }
      return entries;
    }
    entries.push(await this.#collectionNow(collection));
    for (const shardKey of changes === "shard keys" ? (shardKeys ?? []) : []) {
      const told = await this.#tools.readBack.hasShardKey(collection, shardKey);
      if ("problem" in told) entries.push(unreconciled(this.now(), collection, told.problem));
      else entries.push({ kind: "shard-key", at: this.now(), collection, shardKey, isThere: told.isThere });
    }
    if (changes === "everything") entries.push(unreconciled(this.now(), collection));
    return entries;
  }

  async #collectionNow(collection: string): Promise<JournalEntry> {
    const told = await this.#tools.readBack.collection(collection);
    const at = this.now();
    if (told === undefined) return { kind: "collection-deleted", at, collection };
    if (!isTold(told)) return unreconciled(at, collection, told.problem);
    return {
      kind: "collection",
      at,
      collection,
      config: told.config as ExactJson,
      indexes: told.indexes as Record<string, ExactJson>,
    };
  }

  /** Never earlier than it was before, whatever the clock says. */
  now(): string {
    this.#lastAt = Math.max(this.#lastAt, this.#tools.clock.now().getTime());
    return new Date(this.#lastAt).toISOString();
  }
}

/** The journal does not say what is there: a capture has to bring it. */
export function unreconciled(at: string, collection: string | undefined, problem?: string): JournalEntry {
  const reason = problem ?? "more was changed than the journal tells point by point";
  return collection === undefined
    ? { kind: "unreconciled", at, reason }
    : { kind: "unreconciled", at, reason, collection };
}
