import { withTimeout } from "../../../async/with-timeout.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import { DrError, toDrError } from "../../../errors.ts";
import type { ObjectStore } from "../../../ports/object-store.ts";
import { claimEpoch } from "../../../repository/control/epochs.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

const otherAnswersWithinMs = 5_000;

/**
 * One create-only write in the control store of the promoted region decides. The other region gets a copy if it can be
 * reached: its gate closes when it reads the epoch, in its own store or here.
 */
export const claimEpochStep: Step<StepContext> = {
  name: "epoch",
  title: "Claim the epoch",
  repeat: "always",
  async probe({ plan }) {
    return plan.kind === "resume" ? `epoch ${plan.epoch} was claimed by an earlier run` : undefined;
  },
  async run(context) {
    const { plan, request } = context;
    const record = epochRecord(context);
    const claimed = await claimEpoch(request.repository.stores.control, record);
    if (!isSame(claimed, record)) {
      const { active, epoch, reason, run } = claimed;
      throw new DrError("EPOCH_CONFLICT", `another run (${run}) claimed epoch ${epoch} first: ${active}, ${reason}`, {
        hint: "let it end; `qdrant-dr status` shows the roles",
      });
    }
    return `epoch ${record.epoch}${await copyToOther(plan.from, otherControl(request), record)}`;
  },
};

function epochRecord({ findings, plan, request }: StepContext): EpochRecord {
  if (plan.kind === "resume") throw new Error(`epoch ${plan.epoch} was claimed by an earlier run`);
  const { asOf, recoveryPoint } = findings.serveFrom;
  return {
    epoch: plan.epoch,
    active: plan.region,
    previous: plan.from,
    reason: plan.kind,
    run: request.run,
    recoveryPoint: recoveryPoint.id,
    asOf: asOf.toISOString(),
    at: request.clock.now().toISOString(),
  };
}

function otherControl(request: RoleChangeRequest): ObjectStore | undefined {
  return request.kind === "switchover" ? request.active.control : request.lostControl;
}

/** Answers what came of it, for people; never throws. Create-only, the copy does no harm if it comes late. */
async function copyToOther(other: string, control: ObjectStore | undefined, record: EpochRecord): Promise<string> {
  if (control === undefined) return `; ${other} cannot be reached and has no copy`;
  try {
    const stands = await withTimeout(otherAnswersWithinMs, "its control store", () => claimEpoch(control, record));
    if (isSame(stands, record)) return `, with a copy in ${other}`;
    return `; ${other} holds another epoch ${stands.epoch}, by run ${stands.run}`;
  } catch (error) {
    return `; ${other} has no copy: ${toDrError(error).message}`;
  }
}

function isSame(one: EpochRecord, other: EpochRecord): boolean {
  return one.run === other.run && one.active === other.active;
}
