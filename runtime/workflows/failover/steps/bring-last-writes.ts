import { formatSeconds } from "../../../domain/format.ts";
import { DrError } from "../../../errors.ts";
import type { Step, SwitchoverContext } from "./step.ts";

/** With the gate closed nothing changes but by optimizations, and these end. */
const mostCycles = 8;

export const bringLastWrites: Step<SwitchoverContext> = {
  name: "last-writes",
  title: "Bring the last writes here",
  repeat: "always",
  async run({ findings, plan, replication, request }) {
    const took: string[] = [];
    while (took.length < mostCycles) {
      const cycle = await replication.cycle("soon");
      took.push(formatSeconds(cycle.captureSeconds + cycle.applySeconds));
      // It began when the gate was closed and empty: what is exact then is everything.
      if (!cycle.isExact) continue;
      const recoveryPoint = await request.repository.readRecoveryPoint(cycle.recoveryPoint);
      findings.serveFrom = { recoveryPoint, asOf: new Date(cycle.asOf), isWarm: true, absent: [] };
      return `${recoveryPoint.id} holds everything; cycles took ${took.join(", ")}`;
    }
    throw new DrError(
      "CAPTURE_INCOMPLETE",
      `${mostCycles} cycles of replication gave no exact state: ${plan.region} may lack last writes of ${plan.from}`,
      { hint: "optimizations do not end, and no snapshot could be taken meanwhile; try again when it is quieter" },
    );
  },
};
