/** Marks what recovery points need: their trees and facts, and the packs of the trees. What cannot be read may need anything: it is named. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type ContentKind, contentKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import { type ManifestFacts, manifestFactsSchema } from "../../repository/prune/candidates.ts";
import { unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { RepositoryListing } from "./list-repository.ts";
import { pruneRefused } from "./prune-context.ts";

const readAtOnce = 8;

export class ReferenceCount {
  /** Keys of what cannot be read. */
  readonly unreadable = new Set<string>();
  /** Recovery points that lack something. */
  readonly incomplete = new Set<string>();
  readonly counted = new Set<string>();
  /** Trees that were read. */
  trees = 0;
  readonly #repository: OpenRepository;
  readonly #listing: RepositoryListing;
  /** Trees that are missing or damaged, or lack a pack. */
  readonly #broken = new Set<string>();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(repository: OpenRepository, listing: RepositoryListing) {
    this.#repository = repository;
    this.#listing = listing;
  }

  async count(ids: readonly string[]): Promise<void> {
    const uncounted = ids.filter((id) => !this.counted.has(id));
    await forEachConcurrently(readAtOnce, uncounted, async (id) => {
      this.counted.add(id);
      const facts = await readFacts(this.#repository, id, this.unreadable);
      if (facts === undefined) return;
      const captures = [...facts.collections.flatMap(({ shards }) => shards), ...facts.folders];
      for (const collection of facts.collections) {
        const answer = await this.#need("facts", collection.facts, undefined);
        if (answer === "missing") this.incomplete.add(id);
      }
      for (const { tree } of captures) if (!(await this.#countTree(tree, id))) this.incomplete.add(id);
    });
  }

  /** Whether all of it is there. */
  async #countTree({ id, size }: ManifestFacts["folders"][number]["tree"], recoveryPoint: string): Promise<boolean> {
    const answer = await this.#need("tree", id, size);
    if (answer === "new") {
      const reading = this.#readPacks(id, recoveryPoint);
      this.#underWay.set(id, reading);
      try {
        await reading;
      } finally {
        this.#underWay.delete(id);
      }
    } else if (answer === "known") {
      await this.#underWay.get(id);
    } else {
      // A damaged one may be read all the same, and what it names is needed by what can be mended.
      if (answer === "damaged") await this.#readPacks(id, recoveryPoint);
      this.#broken.add(id);
    }
    return !this.#broken.has(id);
  }

  async #readPacks(id: string, recoveryPoint: string): Promise<void> {
    const key = storeLayout.tree(id);
    try {
      const { packs } = await this.#repository.readTree(id, treePacksSchema);
      this.trees += 1;
      for (const pack of packs) {
        const answer = await this.#need("pack", pack.id, pack.size);
        if (answer === "missing" || answer === "damaged") this.#broken.add(id);
      }
    } catch (error) {
      if (hasCode(error, "OBJECT_NOT_FOUND")) throw listingWrong(key, "is listed and is not there");
      if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "KEY_UNAVAILABLE")) throw error;
      this.unreadable.add(`${key} of ${recoveryPoint}`);
    }
  }

  async #need(kind: ContentKind, id: string, size: number | undefined) {
    const answer = this.#listing.marks.need(kind, id, size);
    if (answer !== "missing") return answer;
    const key = contentKey(kind, id);
    // Missing in the listing alone: then the listing is short, and nothing that it does not show is known to be unneeded.
    const found = await unlessMissing(this.#repository.stores.repository.get(key, { offset: 0, length: 1 }));
    if (found !== undefined) throw listingWrong(key, "is there and is not listed");
    return answer;
  }
}

/** What retention must know of a recovery point; undefined when it cannot be read, which is named. */
export async function readFacts(
  repository: OpenRepository,
  id: string,
  unreadable: Set<string>,
): Promise<ManifestFacts | undefined> {
  const key = storeLayout.manifest(id);
  try {
    const facts = await repository.readRecord(key, manifestFactsSchema);
    if (facts.id === id) return facts;
    unreadable.add(key);
    return undefined;
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) throw listingWrong(key, "is listed and is not there");
    if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "KEY_UNAVAILABLE")) throw error;
    unreadable.add(key);
    return undefined;
  }
}

function listingWrong(key: string, what: string) {
  return pruneRefused(
    `${key} ${what}: the store's listings do not say what is there`,
    "see whether something else deletes or lists slowly behind its writes, then run it again",
  );
}
