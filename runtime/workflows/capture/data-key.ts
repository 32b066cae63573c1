/** The key that a collection's or a folder's content is sealed with. */
import { createHmac } from "node:crypto";
import { canonicalJson } from "../../domain/exact-json.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/**
 * That of the base, unless its generation is over. Otherwise the same for every attempt at a first capture, so that what one of them stored serves the next; another one for each
 * epoch, because two regions must never make different keys of one id.
 */
export async function obtainDataKey(
  repository: OpenRepository,
  { active, epoch }: Pick<EpochRecord, "active" | "epoch">,
  purpose: Exclude<DataKey["purpose"], "repository">,
  base: { readonly key: string } | undefined,
): Promise<DataKey> {
  if (base !== undefined) {
    const key = await repository.keys.key(base.key);
    // That of another collection or folder would let who may open that one open this one.
    if (canonicalJson(key.purpose) === canonicalJson(purpose) && !(await repository.isRetired(key))) return key;
  }
  const { id: under, naming } = await repository.sealingKey();
  const name = JSON.stringify(["key", active, epoch, purpose]);
  const id = createHmac("sha256", naming).update(name).digest("hex").slice(0, 32);
  return repository.keys.obtain(id, purpose, under);
}
