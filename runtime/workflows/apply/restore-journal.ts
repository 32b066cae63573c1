/** A restore leaves a record before it changes anything, and another when it has ended, also in failure. */
import { newId } from "../../domain/identifier.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { type RestoreRecord, recordRestoreEnd, recordRestoreStart } from "../../repository/control/restore-records.ts";
import type { ApplyJournal } from "./journal.ts";
import type { ApplyPlan } from "./plan-apply.ts";

export class RestoreJournal implements ApplyJournal {
  readonly #control: ObjectStore;
  readonly #clock: Clock;
  readonly #plan: ApplyPlan;
  readonly #runner: string | undefined;
  /** Absent until the restore begins; a recovery point without collections never does. */
  #record: RestoreRecord | undefined;

  /**
   * @param control the control store of the region whose recovery point it is.
   * @param runner the mark of the process that restores.
   */
  constructor(
    {
      clock,
      control,
      runner,
    }: { readonly clock: Clock; readonly control: ObjectStore; readonly runner?: string | undefined },
    plan: ApplyPlan,
  ) {
    this.#clock = clock;
    this.#runner = runner;
    this.#control = control;
    this.#plan = plan;
  }

  /** Records all collections of the plan: a restore makes every one of them. */
  async begin(): Promise<void> {
    const { collections, named, recoveryPoint } = this.#plan;
    const at = this.#clock.now();
    this.#record = {
      id: newId(at),
      recoveryPoint: recoveryPoint.id,
      collections: collections.map(({ name }) => name),
      target: named?.name,
      processes: named && [...named.processes],
      at: at.toISOString(),
      ...(this.#runner === undefined ? {} : { runner: this.#runner }),
    };
    await recordRestoreStart(this.#control, this.#record);
  }

  heartbeat(): void {}

  async refuseUnlessMine(): Promise<void> {}

  async end(): Promise<void> {
    if (this.#record === undefined) return;
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now());
  }

  async endInFailure(outcome: "failed" | "kept"): Promise<void> {
    if (this.#record === undefined) return;
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now(), outcome);
  }
}
