import {
  executeRestore,
  planRestore,
  type RestoreReport,
  type RestoreRequest,
} from "../../runtime/workflows/restore/restore-recovery-point.ts";

/** Restores as the command does that nobody asks to wait between the plan and the act. */
export async function restoreRecoveryPoint(request: RestoreRequest): Promise<RestoreReport> {
  return executeRestore(request, await planRestore(request));
}
