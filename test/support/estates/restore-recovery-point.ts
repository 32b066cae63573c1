import { planRestore, type RestoreRequest } from "../../../runtime/workflows/apply/plan-restore.ts";
import { type RestoreReport, type RestoreTools, restore } from "../../../runtime/workflows/apply/restore.ts";

export type PlannedRestoreRequest = RestoreRequest & Pick<RestoreTools, "onInterrupt">;

/** Restores as the command does that nobody asks to wait between the plan and the act. */
export async function restoreRecoveryPoint(request: PlannedRestoreRequest): Promise<RestoreReport> {
  const { clock, onInterrupt, progress, repository, target } = request;
  return restore({ clock, onInterrupt, progress, repository, target }, await planRestore(request));
}
