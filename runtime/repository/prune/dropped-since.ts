import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { hasBegun, newestPlan, prunePlans } from "./prune-log.ts";
import { OpenPlan } from "./prune-sight.ts";

/** A plan is executed or replaced within so long. */
const planLastsMs = 30 * 24 * 3_600_000;

/** Ids of the recovery points that prunes have dropped since, and some that they dropped before. */
export async function droppedSince(control: ObjectStoreReader, since: Date): Promise<ReadonlySet<string>> {
  const dropped = new Set<string>();
  for (let number = (await newestPlan(control))?.number ?? 0; number > 0; number -= 1) {
    // One that cannot be read may have dropped anything; what it did is not known by others either.
    const plan = (await prunePlans(control).entry(number))?.record;
    if (plan === undefined) continue;
    if (Date.parse(plan.at) < since.getTime() - planLastsMs) break;
    if (!(await hasBegun(control, number))) continue;
    for (const id of await new OpenPlan(control, number, plan).droppedIds()) dropped.add(id);
  }
  return dropped;
}
