/** Opens a repository to write to. Where there is none yet, its stores are tried out before anything is kept there. */
import { newId } from "../domain/identifier.ts";
import { DrError, hasCode } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";
import { probeStore } from "./probe-store.ts";

export async function openRepositoryForWriting(
  stores: RegionStores,
  wrap: KeyWrap,
  clock: Clock,
): Promise<OpenRepository> {
  try {
    return await OpenRepository.open(stores, wrap);
  } catch (error) {
    if (!hasCode(error, "RECOVERY_POINT_NOT_FOUND")) throw error;
  }
  await refuseUnfit(stores.control, "control store", clock);
  await refuseUnfit(stores.repository, "repository", clock);
  return OpenRepository.openOrCreate(stores, wrap);
}

/** A store that lets nobody write to the place of probes is not judged: AWS's jobs may write only where they have to. */
async function refuseUnfit(store: ObjectStore, name: string, clock: Clock): Promise<void> {
  const { failed } = await probeStore(store, newId(clock.now()));
  if (failed === undefined) return;
  const { code, hint, message } = failed.problem;
  if (failed.check === "create" && code === "ACCESS_DENIED") return;
  throw new DrError(code, `nothing is kept in the ${name}: ${message}`, { hint, cause: failed.problem });
}
