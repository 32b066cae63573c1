/** A step of a role change, and what it acts with. */
import type { Replication } from "../../replicate/replication.ts";
import type { Findings } from "../findings.ts";
import type { RoleChangePlan, SwitchoverPlan } from "../plan-failover.ts";
import type { RoleChangeRequest, SwitchoverRequest } from "../request.ts";
import type { StepName } from "../step-names.ts";

export interface StepContext {
  readonly request: RoleChangeRequest;
  readonly plan: RoleChangePlan;
  readonly findings: Findings;
}

/** Steps of a switchover before its epoch is claimed act with this. */
export interface SwitchoverContext extends StepContext {
  readonly request: SwitchoverRequest;
  readonly plan: SwitchoverPlan;
  readonly replication: Pick<Replication, "cycle">;
}

/** A step answers in words for people. */
export interface Step<Context> {
  readonly name: StepName;
  readonly title: string;
  /** `once`: not again when any run has done it. `bestEffort`: the role change goes on when it fails. */
  readonly repeat: "always" | "once" | "bestEffort";
  /** Answers false when the step is no part of this role change. */
  readonly applies?: (context: Context) => boolean;
  /** Answers why nothing is left to do; undefined when the step has to run. */
  readonly probe?: (context: Context) => Promise<string | undefined>;
  readonly run: (context: Context) => Promise<string | undefined>;
  /** Answers what came of it. Throws when that is not what the step is for. */
  readonly verify?: (context: Context) => Promise<string | undefined>;
}
