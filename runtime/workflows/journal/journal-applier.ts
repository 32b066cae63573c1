/**
 * Brings a Qdrant from one position of a journal to a later one. It may have been there already, wholly or in part: every entry says how
 * things are afterwards, so that a stretch can be applied again, by whoever comes after a kill.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { exactText, isRecord, parseExactly } from "../../domain/exact-json.ts";
import type { JournalEntry } from "../../domain/journal/entry.ts";
import {
  type CollectionStep,
  type EntryOf,
  type JournalStage,
  type PointStep,
  stagesOf,
} from "../../domain/journal/merge-entries.ts";
import type { ShardKey } from "../../domain/qdrant/shard-key-plan.ts";
import { nameOrNumberSchema } from "../../domain/recovery-points/collection-facts.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { differencesOf } from "../apply/collection-settings.ts";

/** Each waits for Qdrant's log of its own. */
const collectionsAtOnce = 4;

export type JournalTarget = Pick<
  VectorDatabase,
  | "aliases"
  | "changeSettings"
  | "collections"
  | "createAlias"
  | "createCollection"
  | "createPayloadIndex"
  | "createShardKey"
  | "deleteAlias"
  | "deleteCollection"
  | "deletePayloadIndex"
  | "deleteShardKey"
  | "describe"
  | "exists"
  | "replacePoints"
  | "setStrictMode"
  | "shards"
>;

/** What the target is, beside what can be seen of it. */
export interface JournalState {
  /** Why the journal does not say what a collection holds, by its name: a capture has to bring it. */
  readonly unreconciled: ReadonlyMap<string, string>;
  /** Limits of the source's collections, by name: they hold on the target when clients write there, and not before. */
  readonly strictModes: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

export class JournalApplier {
  readonly #target: JournalTarget;
  readonly #unreconciled: Map<string, string>;
  readonly #strictModes: Map<string, Readonly<Record<string, unknown>>>;

  constructor(target: JournalTarget, state: JournalState) {
    this.#target = target;
    this.#unreconciled = new Map(state.unreconciled);
    this.#strictModes = new Map(state.strictModes);
  }

  get state(): JournalState {
    return { unreconciled: new Map(this.#unreconciled), strictModes: new Map(this.#strictModes) };
  }

  /** A capture has brought the collection. */
  reconciled(collection: string): void {
    this.#unreconciled.delete(collection);
  }

  /** Takes the limits off a collection that was restored with them: they would refuse what the journal brings. */
  async withholdStrictMode(collection: string): Promise<void> {
    const { config } = await this.#target.describe(collection);
    const { strict_mode_config: strict } = config;
    if (!isRecord(strict) || strict["enabled"] !== true) return;
    this.#strictModes.set(collection, strict);
    await this.#target.setStrictMode(collection, { enabled: false });
  }

  /** Returns when all of it is applied. */
  async apply(entries: readonly JournalEntry[]): Promise<void> {
    for (const stage of stagesOf(entries)) await this.#applyStage(stage);
  }

  async #applyStage({ collections, last }: JournalStage): Promise<void> {
    await forEachConcurrently(collectionsAtOnce, collections, async ([name, steps]) => {
      for (const step of steps) await this.#applyStep(name, step);
    });
    if (last?.kind === "aliases") await this.#setAliases(last);
    if (last?.kind === "unreconciled") {
      for (const name of await this.#target.collections()) this.#unreconciled.set(name, last.reason);
    }
  }

  async #applyStep(name: string, step: CollectionStep): Promise<void> {
    if (step.kind === "collection-deleted") {
      await this.#target.deleteCollection(name);
      this.#unreconciled.delete(name);
      this.#strictModes.delete(name);
    } else if (step.kind === "unreconciled") this.#unreconciled.set(name, step.reason);
    // What the journal does not tell in full is not told in part.
    else if (this.#unreconciled.has(name)) return;
    else if (step.kind === "points") await this.#applyPoints(name, step);
    else if (step.kind === "collection") await this.#applyCollection(step);
    else await this.#applyShardKey(step);
  }

  async #applyPoints(name: string, { deleted, points, shardKey }: PointStep): Promise<void> {
    const answer = await this.#target.replacePoints(name, { deleted, points, shardKey });
    if (answer !== "applied") this.#unreconciled.set(name, answer.refused);
  }

  async #applyCollection({ collection: name, config: told, indexes }: EntryOf<"collection">): Promise<void> {
    if (!isRecord(told)) {
      this.#unreconciled.set(name, "its settings cannot be read");
      return;
    }
    const { strict_mode_config: strict, ...config } = told;
    if (isRecord(strict) && strict["enabled"] === true) this.#strictModes.set(name, strict);
    else this.#strictModes.delete(name);
    if (!(await this.#target.exists(name))) {
      for (const { alias } of await this.#target.aliases()) if (alias === name) await this.#target.deleteAlias(alias);
      await this.#target.createCollection({ name, config, payloadIndexes: {} });
    } else if (settingDifferences(config, (await this.#target.describe(name)).config).length > 0) {
      await this.#target.changeSettings(name, config);
    }
    const { config: made, payloadIndexes } = await this.#target.describe(name);
    const [difference] = settingDifferences(config, made);
    if (difference !== undefined) {
      this.#unreconciled.set(name, difference);
      return;
    }
    if (isRecord(made["strict_mode_config"]) && made["strict_mode_config"]["enabled"] === true) {
      await this.#target.setStrictMode(name, { enabled: false });
    }
    for (const field of Object.keys(payloadIndexes)) {
      if (!Object.hasOwn(indexes, field)) await this.#target.deletePayloadIndex(name, field);
    }
    // Also those that Qdrant shows: while it optimizes it shows one that was deleted just before. One that is there stays as it is.
    for (const [field, definition] of Object.entries(indexes)) {
      await this.#target.createPayloadIndex(name, field, definition);
    }
  }

  async #applyShardKey({ collection: name, isThere, shardKey }: EntryOf<"shard-key">): Promise<void> {
    const key: ShardKey = nameOrNumberSchema.parse(parseExactly(shardKey));
    const present = await this.#target.shards(name);
    const isPresent = present.some((shard) => shard.key !== undefined && exactText(shard.key) === exactText(key));
    if (isThere === isPresent) return;
    if (!isThere) return this.#target.deleteShardKey(name, key);
    const { config } = await this.#target.describe(name);
    const params = isRecord(config["params"]) ? config["params"] : {};
    await this.#target.createShardKey(name, { key, shards: Number(params["shard_number"] ?? 1) });
  }

  async #setAliases({ aliases: wanted }: EntryOf<"aliases">): Promise<void> {
    const present = await this.#target.aliases();
    const collections = await this.#target.collections();
    for (const { alias } of present) {
      if (!wanted.some((each) => each.alias === alias)) await this.#target.deleteAlias(alias);
    }
    for (const { alias, collection } of wanted) {
      const isSet = present.some((each) => each.alias === alias && each.collection === collection);
      // It was deleted since, and a later entry tells it.
      if (!isSet && collections.includes(collection)) await this.#target.createAlias({ alias, collection });
    }
  }
}

/** Of what decides what a collection holds and how it is found. */
function settingDifferences(
  wanted: Readonly<Record<string, unknown>>,
  made: Readonly<Record<string, unknown>>,
): readonly string[] {
  const parts = ["params", "hnsw_config", "optimizer_config", "quantization_config", "metadata"];
  return parts.flatMap((part) => differencesOf(part, wanted[part], made[part]));
}
