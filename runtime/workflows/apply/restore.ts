/** Carries out a planned restore. */
import { type ApplyReport, type ApplyTools, applyPlan } from "./apply-plan.ts";
import { sizeOfRestore } from "./estimate-restore.ts";
import type { ApplyPlan } from "./plan-apply.ts";
import { RestoreJournal } from "./restore-journal.ts";

export interface RestoreTools extends Omit<ApplyTools, "journal"> {
  /** The mark of the process that restores. */
  readonly runner?: string | undefined;
}

export interface RestoreReport extends ApplyReport {
  /** Number of Qdrant points in the restored collections. */
  readonly points: number;
}

/** Does what `planRestore` planned for this target. */
export async function restore(tools: RestoreTools, plan: ApplyPlan): Promise<RestoreReport> {
  const { beforeAliases, clock, onInterrupt, progress, repository, runner, target } = tools;
  // What cannot be read any more was restored all the same: its size is not told.
  const size = () => sizeOfRestore(repository, plan).catch(() => undefined);
  const journal = new RestoreJournal({ clock, control: repository.stores.control, runner, size }, plan);
  const report = await applyPlan({ beforeAliases, clock, journal, onInterrupt, progress, repository, target }, plan);
  const counts = await Promise.all(plan.collections.map(({ name }) => target.count(name)));
  return { ...report, points: counts.reduce((sum, count) => sum + count, 0) };
}
