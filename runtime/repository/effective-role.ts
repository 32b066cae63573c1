/** The injected reader of roles: the configuration names the initial role, the epoch records decide. */
import { type EpochRecord, effectiveRole, newestEpoch, type Role } from "../domain/estate/epoch.ts";
import { DrError } from "../errors.ts";
import type { ObjectStoreReader } from "../ports.ts";
import { readEpochs } from "./epochs.ts";

/** @throws ROLE_UNKNOWN when the control store cannot be read or holds no epoch: a guess could make two active regions. */
export async function readEffectiveRole(
  region: string,
  control: ObjectStoreReader,
): Promise<{ role: Role; epoch: EpochRecord }> {
  let records: EpochRecord[];
  try {
    records = await readEpochs(control);
  } catch (cause) {
    throw new DrError("ROLE_UNKNOWN", `the role of ${region} cannot be known: ${(cause as Error).message}`, {
      hint: "make the control store readable; nothing was changed",
      cause,
    });
  }
  const epoch = newestEpoch(records);
  if (epoch === undefined) {
    throw new DrError("ROLE_UNKNOWN", `the role of ${region} cannot be known: its control store holds no epoch`, {
      hint: "it is not the store of this estate, or it was emptied; nothing was changed",
    });
  }
  return { role: effectiveRole(region, epoch), epoch };
}
