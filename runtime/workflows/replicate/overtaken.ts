/**
 * Lets a run that was overtaken wait until the run that owns the standby has ended. A failover counts as ended as soon as it
 * gives no more signs of life; another replication, which may be idle or send for long, when it was silent for minutes.
 */
import type { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { StandbyRecords } from "../../repository/control/standby-records.ts";

/** Several times the longest silence of a living run: `recordEveryMs` (standby-journal.ts), `heartbeatEveryMs` (apply-plan.ts). */
const silentForMs = 180_000;

export class Overtaken {
  readonly error: DrError;
  readonly #records: StandbyRecords;
  readonly #clock: Clock;
  #lastSign: { readonly sign: string | undefined; readonly since: number } | undefined;

  constructor(error: DrError, records: StandbyRecords, clock: Clock) {
    this.error = error;
    this.#records = records;
    this.#clock = clock;
  }

  /** Throws EPOCH_CONFLICT while the replication that overtook this run lives. Taking the turn finds a living failover. */
  async refuseWhileAnotherFollows(): Promise<void> {
    const turn = await this.#records.overtaker();
    if (turn === undefined || turn.failover !== undefined) return;
    const sign = await this.#records.signOfLife(this.#clock.now());
    const now = this.#clock.monotonic();
    if (this.#lastSign === undefined || sign !== this.#lastSign.sign) this.#lastSign = { sign, since: now };
    if (now - this.#lastSign.since < silentForMs) throw this.error;
  }
}
