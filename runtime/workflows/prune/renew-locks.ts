/**
 * Locks for longer what is kept for longer than was known when it was made: what fills the slot of another that cannot be restored any more,
 * what a person or a standby holds, the last with a collection. Where the store keeps no locks, nothing.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { whenReadable } from "../../repository/when-readable.ts";
import type { PruneContext } from "./prune-context.ts";
import type { Survey } from "./survey-repository.ts";

const lockedAtOnce = 8;

export async function renewLocks(
  { progress, repository }: PruneContext,
  { decision, references }: Pick<Survey, "decision" | "references">,
): Promise<void> {
  if ((await repository.stores.repository.locks?.()) === undefined) return;
  // What cannot be read whole was told of by the count of references.
  const whole = [...decision.kept.keys()].filter((id) => !references.incomplete.has(id));
  progress({ step: "lock", detail: `${whole.length} recovery points that are kept` });
  await forEachConcurrently(lockedAtOnce, whole, async (id) => {
    const wantedMs = decision.wantedUntil.get(id);
    const recoveryPoint = await whenReadable(repository.readRecoveryPoint(id));
    if (recoveryPoint !== undefined)
      await repository.lockFurther(recoveryPoint, wantedMs === undefined ? undefined : new Date(wantedMs));
  });
}
