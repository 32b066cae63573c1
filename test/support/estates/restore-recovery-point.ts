import { planRestore, type RestoreRequest } from "../../../runtime/workflows/apply/plan-restore.ts";
import { type RestoreReport, type RestoreTools, restore } from "../../../runtime/workflows/apply/restore.ts";

export type PlannedRestoreRequest = RestoreRequest & Pick<RestoreTools, "onInterrupt" | "runner">;

/** Restores as the command does that nobody asks to wait between the plan and the act. */
export async function restoreRecoveryPoint(request: PlannedRestoreRequest): Promise<RestoreReport> {
  const { clock, onInterrupt, progress, repository, runner, target } = request;
  return restore({ clock, onInterrupt, progress, repository, runner, target }, await planRestore(request));
}
