/**
 * Makes `repository.json` again. It holds two ids, which stand elsewhere too: the repository's in the records of what was read of it, the
 * key's at the beginning of each manifest. Which ids are right a manifest tells, which opens with these alone.
 */
import { type Repository, repositorySchema } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { Progress } from "../../ports/progress.ts";
import { repositoriesRead } from "../../repository/control/verification-records.ts";
import { claimRecord } from "../../repository/record.ts";
import { OpenRepository, type RegionStores } from "../../repository/repository.ts";
import { firstManifest } from "../../repository/repository-description.ts";
import { isDamage, sizeOf } from "../verify/find-damage.ts";

/** Does nothing where it is there, or where nobody knows what it said: then whoever opens the repository is told. */
export async function healDescription(stores: RegionStores, wrap: KeyWrap, progress: Progress): Promise<void> {
  if ((await sizeOf(stores.repository, storeLayout.repository)) !== undefined) return;
  const manifest = await firstManifest(stores.repository);
  if (manifest === undefined) return;
  const key = manifest.bytes.subarray(0, 32).toString();
  for (const id of await repositoriesRead(stores.control)) {
    const description: Repository = { format: 1, id, key };
    if (!(await opens(OpenRepository.describedBy(description, stores, wrap), manifest.recoveryPointId))) continue;
    await claimRecord(stores.repository, storeLayout.repository, repositorySchema, description);
    progress({ step: "heal", detail: `${storeLayout.repository} is there again` });
    return;
  }
}

async function opens(repository: OpenRepository, recoveryPointId: string): Promise<boolean> {
  try {
    await repository.readRecoveryPoint(recoveryPointId);
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}
