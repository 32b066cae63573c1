/** The state of a recovery point, as commands answer it. */
import { z } from "zod";
import type { RecoveryPointState } from "../../domain/recovery-points/catalog.ts";
import { listOf } from "../shared/fields.ts";

export const recoveryPointState = {
  state: z
    .enum(["complete", "incomplete", "deposed", "quarantined", "unreadable"])
    .describe("only a complete recovery point can be restored from this bucket"),
  reasons: listOf(z.string()).describe("why it is not complete"),
};

export function stateInWords(id: string, state: RecoveryPointState, reasons: readonly string[]): string {
  return reasons.length === 0 ? `${id} is ${state}.` : `${id} is ${state}: ${reasons.join("; ")}`;
}
