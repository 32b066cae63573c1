/** What `repository.json` says, and how to tell a repository that lost it from one that is not there yet. */
import { parseStoreKey, storeLayout } from "../domain/recovery-points/store-layout.ts";
import { DrError } from "../errors.ts";
import type { ObjectStoreReader } from "../ports/object-store.ts";
import { getWhole, unlessMissing, unlessNotBelieved } from "./record.ts";

/** Whoever may create objects can put so many names before one that counts, and more. */
const mostLookedAt = 100;

/** The oldest manifest that was signed by who is trusted, as it is stored; undefined where there is none among the first. */
export async function firstManifest(
  store: ObjectStoreReader,
): Promise<{ readonly recoveryPointId: string; readonly bytes: Buffer } | undefined> {
  let looked = 0;
  for await (const { key } of store.list(storeLayout.recoveryPoints)) {
    const parsed = parseStoreKey(key);
    if (parsed?.kind !== "manifest") continue;
    const bytes = await unlessNotBelieved(unlessMissing(getWhole(store, key)));
    if (Buffer.isBuffer(bytes)) return { recoveryPointId: parsed.recoveryPointId, bytes };
    looked += 1;
    if (looked === mostLookedAt) return undefined;
  }
  return undefined;
}

/** Made anew it would have another id, and nothing that is there would open any more. */
export function descriptionGone(cause: unknown): DrError {
  return new DrError("OBJECT_CORRUPT", `${storeLayout.repository} is gone, and recovery points are there`, {
    hint: "`qdrant-dr heal` makes it again, from what `verify` has recorded; no repository is begun in its place",
    cause,
  });
}
