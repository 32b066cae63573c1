/**
 * One run of a failover: its steps in order, each recorded before it is begun and when it is done, told to people, to
 * hooks and to the report. Only the run that owns the failover acts; a later one goes on with a dead one's work.
 */
import type { TimedStep } from "../../domain/timed-step.ts";
import { toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FailoverHooks } from "../../ports/failover-hooks.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import { FailoverRecords } from "../../repository/control/failover-records.ts";

const titles = {
  assess: "Find what this region can serve from",
  divergence: "Keep what only the old region has",
  follow: "Bring this region up to date while clients are served",
  fence: "Fence the active region",
  drain: "Wait until its gate is closed and empty",
  "last-writes": "Bring the last writes here",
  compare: "Compare both regions",
  epoch: "Claim the epoch",
  lease: "End the lease of the region that is given up",
  restore: "Make this region hold the recovery point",
  verify: "Compare with what the source answered",
  open: "Open the gate",
  traffic: "Lead clients here",
  promote: "Promote the stack (pulumi up)",
  "step-down": "Let the other stack step down (pulumi up)",
} as const;
export type FailoverStepName = keyof typeof titles;
export const failoverSteps = Object.keys(titles);

export interface FailoverStep extends TimedStep {
  readonly name: FailoverStepName;
}

export interface FailoverRunRequest {
  /** Control store of the region that is promoted. */
  readonly control: ObjectStore;
  readonly region: string;
  readonly epoch: number;
  readonly run: string;
  /** Lets a later run of the same machine know that this one is dead. */
  readonly runner?: Runner | undefined;
  readonly hooks?: FailoverHooks | undefined;
  /** Told of each step when it is finished. */
  readonly onStep?: ((step: FailoverStep) => void) | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
}

export class FailoverRun {
  readonly steps: FailoverStep[] = [];
  readonly records: FailoverRecords;
  readonly #request: FailoverRunRequest;
  readonly #begunAt: Date;

  constructor(request: FailoverRunRequest, begunAt: Date) {
    this.#request = request;
    this.#begunAt = begunAt;
    this.records = new FailoverRecords(request.control, request.epoch, request.run, request.clock, request.runner);
  }

  get seconds(): number {
    return this.#secondsSince(this.#begunAt);
  }

  /** What was found before this run owned anything. */
  assessed(detail: string): void {
    const startedAt = this.#begunAt.toISOString();
    this.#finished({ name: "assess", title: titles.assess, startedAt, seconds: this.seconds, detail });
  }

  /**
   * Does a step, whoever may have done it before: it must find out by itself what is left of it.
   * @param act answers what it did, for people.
   */
  async step(name: FailoverStepName, act: () => Promise<string>): Promise<void> {
    const { clock, epoch, hooks, progress, region, run } = this.#request;
    await this.records.refuseUnlessOwner();
    progress({ step: name, detail: titles[name] });
    const startedAt = clock.now();
    await this.records.begin(name, startedAt);
    if (hooks !== undefined) {
      await hooks({ when: "before", step: name, epoch, region, run });
      // An approval may have taken hours.
      await this.records.refuseUnlessOwner();
    }
    const detail = await act();
    const seconds = this.#secondsSince(startedAt);
    await this.records.end(name, clock.now(), { detail, seconds });
    this.#finished({ name, title: titles[name], startedAt: startedAt.toISOString(), seconds, detail });
    await hooks?.({ when: "after", step: name, epoch, region, run });
  }

  /** The same for a step that is not to be done again when some run has done it. */
  async once(name: FailoverStepName, act: () => Promise<string>): Promise<void> {
    const isDone = (await this.records.done()).has(name);
    await this.step(name, isDone ? async () => "done by an earlier run" : act);
  }

  /** A step that may fail without the failover having failed. */
  async attempt(name: FailoverStepName, act: () => Promise<string>): Promise<void> {
    await this.step(name, async () => {
      try {
        return await act();
      } catch (error) {
        return `not done: ${toDrError(error).message}`;
      }
    });
  }

  #finished(step: FailoverStep): void {
    this.steps.push(step);
    this.#request.onStep?.(step);
  }

  #secondsSince(begun: Date): number {
    return (this.#request.clock.now().getTime() - begun.getTime()) / 1000;
  }
}
