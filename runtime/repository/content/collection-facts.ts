import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { withoutLapsed } from "../../domain/recovery-points/collection-facts.ts";
import type { CapturedCollection, CollectionWithFacts } from "../../domain/recovery-points/recovery-point.ts";
import type { OpenRepository } from "../repository.ts";

const readAtOnce = 8;

/** The collections in their order, each with its facts as they still hold. Throws when those of one cannot be read. */
export async function withFacts(
  repository: OpenRepository,
  collections: readonly CapturedCollection[],
): Promise<CollectionWithFacts[]> {
  const read = new Map<string, CollectionWithFacts>();
  await forEachConcurrently(readAtOnce, collections, async (collection) => {
    const facts = withoutLapsed(await repository.readFacts(collection), collection.lapsed);
    read.set(collection.name, { ...collection, ...facts });
  });
  return collections.flatMap(({ name }) => read.get(name) ?? []);
}
