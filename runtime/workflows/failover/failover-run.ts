/**
 * One run of a role change: it does steps in their order, records each before it acts and when it is done, and reports
 * it to people, hooks and the evidence. Only the run that owns the role change acts; a later one goes on with a dead one's work.
 */
import type { TimedStep } from "../../domain/timed-step.ts";
import { toDrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { FailoverRecords } from "../../repository/control/failover-records.ts";
import type { RoleChangePlan } from "./plan-failover.ts";
import type { RoleChangeRequest } from "./request.ts";
import type { StepName } from "./step-names.ts";
import type { Step } from "./steps/step.ts";

/** The part of a request that a run needs whatever its steps do. */
export interface RunRequest
  extends Pick<RoleChangeRequest, "run" | "runner" | "hooks" | "onStep" | "clock" | "progress"> {
  /** Control store of the region to promote. */
  readonly control: ObjectStore;
}

type RunPlan = Pick<RoleChangePlan, "region" | "epoch" | "plannedAt" | "plannedAtMs">;

interface StepOutcome {
  /** For people. */
  readonly detail: string;
  readonly isDone: boolean;
}

export class FailoverRun {
  readonly steps: TimedStep[] = [];
  readonly records: FailoverRecords;
  readonly #request: RunRequest;
  readonly #plan: RunPlan;
  readonly #doneBefore = new Set<StepName>();

  constructor(request: RunRequest, plan: RunPlan) {
    this.#request = request;
    this.#plan = plan;
    this.records = new FailoverRecords(request.control, plan.epoch, request.run, request.clock, request.runner);
  }

  /** Since planning began. */
  get seconds(): number {
    return (this.#request.clock.monotonic() - this.#plan.plannedAtMs) / 1000;
  }

  /** Whether an earlier run did a step that is done once. */
  wasDoneBefore(name: StepName): boolean {
    return this.#doneBefore.has(name);
  }

  /** Reports the plan as the first step: it was made before this run owned anything. */
  assessed(detail: string): void {
    const startedAt = this.#plan.plannedAt.toISOString();
    const title = "Find what this region can serve from";
    this.#finished({ name: "assess", title, startedAt, seconds: this.seconds, detail });
  }

  async all<Context>(steps: readonly Step<Context>[], context: Context): Promise<void> {
    for (const step of steps) if (step.applies?.(context) ?? true) await this.#step(step, context);
  }

  async #step<Context>(step: Step<Context>, context: Context): Promise<void> {
    const { clock, hooks, progress, run } = this.#request;
    const { epoch, region } = this.#plan;
    const { name, title } = step;
    await this.records.refuseUnlessOwner();
    progress({ step: name, detail: title });
    const startedAt = clock.now();
    const startedMs = clock.monotonic();
    await this.records.begin(name, startedAt);
    if (hooks !== undefined) {
      await hooks({ when: "before", step: name, epoch, region, run });
      // An approval may have taken hours.
      await this.records.refuseUnlessOwner();
    }
    const { detail, isDone } = await this.#do(step, context);
    const seconds = (clock.monotonic() - startedMs) / 1000;
    if (isDone) await this.records.end(name, clock.now(), { detail, seconds });
    this.#finished({ name, title, startedAt: startedAt.toISOString(), seconds, detail });
    await hooks?.({ when: "after", step: name, epoch, region, run });
  }

  async #do<Context>(step: Step<Context>, context: Context): Promise<StepOutcome> {
    switch (step.repeat) {
      case "always":
        return { detail: await probeRunVerify(step, context), isDone: true };
      case "once":
        if (!(await this.records.done()).has(step.name)) {
          return { detail: await probeRunVerify(step, context), isDone: true };
        }
        this.#doneBefore.add(step.name);
        return { detail: "done by an earlier run", isDone: true };
      case "bestEffort":
        try {
          return { detail: await probeRunVerify(step, context), isDone: true };
        } catch (error) {
          return { detail: `not done: ${toDrError(error).message}`, isDone: false };
        }
    }
  }

  #finished(step: TimedStep): void {
    this.steps.push(step);
    this.#request.onStep?.(step);
  }
}

async function probeRunVerify<Context>({ probe, run, verify }: Step<Context>, context: Context): Promise<string> {
  const found = await probe?.(context);
  if (found !== undefined) return found;
  const said = [await run(context), await verify?.(context)];
  return said.filter((each) => each !== undefined).join("; ");
}
