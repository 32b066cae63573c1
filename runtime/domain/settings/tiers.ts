/** How often each collection is replicated: not all need it so often, and each capture costs their server something. */
import { z } from "zod";
import { matcherOf } from "./name-patterns.ts";

const everySeconds = z.number().int().min(1).max(3600);
const pattern = z.string().min(1).max(255);

export const replicateSchema = z.strictObject({
  /** Collections that no tier names. */
  everySeconds,
  /** By the names of collections, or patterns such as `archive-*`. */
  tiers: z.record(pattern, everySeconds).default({}),
  /** Bring folders to the other region as well: their volumes are then mounted as long as this region is active. */
  folders: z.boolean().default(false),
});
export type Replicate = z.infer<typeof replicateSchema>;

interface NamedTier {
  readonly name: string;
  readonly seconds: number;
  matches(collection: string): boolean;
}

export class Tiers {
  readonly #usual: number;
  readonly #named: readonly NamedTier[];

  constructor({ everySeconds, tiers }: Pick<Replicate, "everySeconds" | "tiers">) {
    this.#usual = everySeconds;
    this.#named = Object.entries(tiers).map(([name, seconds]) => ({ name, seconds, matches: matcherOf(name) }));
  }

  /** From one capture of the collection to its next; of several tiers that name it, the most frequent one's. */
  secondsOf(collection: string): number {
    const named = this.#named.filter(({ matches }) => matches(collection)).map(({ seconds }) => seconds);
    return named.length === 0 ? this.#usual : Math.min(...named);
  }

  /** Names that no collection has, and patterns that none matches: misspelt, or of collections that are not there yet. */
  unmatchedBy(collections: readonly string[]): string[] {
    return this.#named.filter(({ matches }) => !collections.some(matches)).map(({ name }) => name);
  }

  /** Of the tier that comes round most often. */
  get shortestSeconds(): number {
    return Math.min(this.#usual, ...this.#named.map(({ seconds }) => seconds));
  }

  /** How far the collection that is replicated least often may be behind between two captures. */
  get longestSeconds(): number {
    return Math.max(this.#usual, ...this.#named.map(({ seconds }) => seconds));
  }
}
