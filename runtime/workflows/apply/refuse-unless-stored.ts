import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { CapturedCollection } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { readShardTree } from "./shard-archive.ts";

const packsLookedAtOnce = 16;

/** Throws unless the bucket has a collection whole: its copy on the target is deleted before the new one is made. */
export async function refuseUnlessStored(repository: OpenRepository, captured: CapturedCollection): Promise<void> {
  const packs = new Map<string, Pack>();
  for (const shard of captured.shards) {
    for (const pack of (await readShardTree(repository, captured, shard)).packs) packs.set(pack.id, pack);
  }
  await forEachConcurrently(packsLookedAtOnce, packs.values(), async ({ id, size }) => {
    const key = storeLayout.pack(id);
    for await (const found of repository.stores.repository.list(key)) {
      if (found.key === key && found.size === size) return;
    }
    throw new DrError("RECOVERY_POINT_INCOMPLETE", `${captured.name}: ${key} is not in the bucket as it should be`, {
      hint: "the target's copy was left as it is; capture or copy the recovery point again",
    });
  });
}
