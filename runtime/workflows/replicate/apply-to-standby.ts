/** Plans and applies in one turn: what the plan was made from cannot change before it is carried out. */
import type { Progress } from "../../ports/progress.ts";
import { type ApplyReport, applyPlan } from "../apply/apply-plan.ts";
import { planStandby, type StandbyPlanRequest } from "./plan-standby.ts";
import { type CaptureTimes, StandbyJournal } from "./standby-journal.ts";
import { StandbyTurn } from "./standby-turn.ts";

export interface StandbyApplyRequest extends StandbyPlanRequest, CaptureTimes {
  readonly progress: Progress;
}

/** Takes a turn unless one is given. */
export async function applyToStandby(request: StandbyApplyRequest): Promise<ApplyReport> {
  const { asOf, clock, followedAt, fullAt, progress, repository, target } = request;
  const turn = request.turn ?? (await StandbyTurn.take(request));
  const plan = await planStandby({ ...request, turn });
  const journal = new StandbyJournal(
    { asOf, control: repository.stores.control, clock, followedAt, fullAt, target, turn },
    plan,
  );
  return applyPlan({ clock, journal, progress, repository, target }, plan);
}
