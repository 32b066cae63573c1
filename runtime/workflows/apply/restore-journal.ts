/**
 * A restore leaves a record before it changes anything, signs of life while it goes on, and another record when it has ended, also in
 * failure. One that could give no sign for long is taken for dead by others, and so by itself.
 */
import { formatSeconds } from "../../domain/format.ts";
import { newId } from "../../domain/identifier.ts";
import type { RestoreSize } from "../../domain/recovery-points/restore-estimate.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import {
  type RestoreRecord,
  recordRestoreEnd,
  recordRestoreSign,
  recordRestoreStart,
  restoreSilenceMs,
} from "../../repository/control/restore-records.ts";
import type { ApplyJournal } from "./journal.ts";
import type { ApplyPlan } from "./plan-apply.ts";

export class RestoreJournal implements ApplyJournal {
  readonly #control: ObjectStore;
  readonly #clock: Clock;
  readonly #plan: ApplyPlan;
  readonly #runner: string | undefined;
  /** Absent until the restore begins; a recovery point without collections never does. */
  #record: RestoreRecord | undefined;
  readonly #loaded = new Set<string>();
  /** By this process's own clock: the begin of the last sign of life that the store has. */
  #lastSignMs = 0;
  #begunMs = 0;
  readonly #size: () => Promise<RestoreSize | undefined>;

  /**
   * @param control the control store of the region whose recovery point it is.
   * @param runner the mark of the process that restores.
   * @param size of what is restored, asked when it has ended; undefined when nobody knows.
   */
  constructor(
    {
      clock,
      control,
      runner,
      size,
    }: {
      readonly clock: Clock;
      readonly control: ObjectStore;
      readonly runner?: string | undefined;
      size(): Promise<RestoreSize | undefined>;
    },
    plan: ApplyPlan,
  ) {
    this.#clock = clock;
    this.#runner = runner;
    this.#size = size;
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
    const begunMs = this.#clock.monotonic();
    await recordRestoreStart(this.#control, this.#record);
    this.#lastSignMs = begunMs;
    this.#begunMs = begunMs;
  }

  /** A store that does not take it takes the next one: others listen for several. */
  heartbeat(): void {
    const record = this.#record;
    if (record === undefined) return;
    const begunMs = this.#clock.monotonic();
    recordRestoreSign(this.#control, record.id, this.#clock.now(), [...this.#loaded]).then(
      () => {
        this.#lastSignMs = Math.max(this.#lastSignMs, begunMs);
      },
      () => undefined,
    );
  }

  /** Told at once: what was cut off since the last sign would count as half-made. */
  loaded(collection: string): void {
    this.#loaded.add(collection);
    this.heartbeat();
  }

  async refuseUnlessMine(): Promise<void> {
    const silentMs = this.#clock.monotonic() - this.#lastSignMs;
    if (this.#record === undefined || silentMs < restoreSilenceMs) return;
    throw new DrError(
      "EPOCH_CONFLICT",
      `this restore could give no sign of life for ${formatSeconds(silentMs / 1000)}: captures may have gone on without waiting for it`,
      { hint: "see whether the control store answers, and restore again" },
    );
  }

  async end(): Promise<void> {
    if (this.#record === undefined) return;
    const seconds = (this.#clock.monotonic() - this.#begunMs) / 1000;
    const size = await this.#size();
    const measured = size === undefined ? {} : { measured: { ...size, seconds } };
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now(), measured);
  }

  async endInFailure(outcome: "failed" | "kept"): Promise<void> {
    if (this.#record === undefined) return;
    await recordRestoreEnd(this.#control, this.#record, this.#clock.now(), { outcome });
  }
}
