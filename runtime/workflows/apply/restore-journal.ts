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
  readonly #record: RestoreRecord;
  #hasBegun = false;

  /** @param control the control store of the region whose recovery point it is. */
  constructor({ clock, control }: { readonly clock: Clock; readonly control: ObjectStore }, plan: ApplyPlan) {
    this.#clock = clock;
    this.#control = control;
    const at = clock.now();
    this.#record = {
      id: newId(at),
      recoveryPoint: plan.recoveryPoint.id,
      collections: plan.collections.map(({ name }) => name),
      target: plan.named?.name,
      processes: plan.named && [...plan.named.processes],
      at: at.toISOString(),
    };
  }

  async begin(): Promise<void> {
    this.#hasBegun = true;
    await recordRestoreStart(this.#control, this.#record);
  }

  heartbeat(): void {}

  async refuseUnlessMine(): Promise<void> {}

  async end(): Promise<void> {
    // Of a recovery point without collections, nothing was restored.
    if (!this.#hasBegun) return;
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now());
  }

  async endInFailure(): Promise<void> {
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now(), "failed");
  }
}
