/** Which collections it is time to capture again: their tiers say how often. */
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Tiers } from "../../domain/settings/tiers.ts";

export class DueCollections {
  readonly #tiers: Tiers;
  readonly #begunAt = new Map<string, number>();
  /** Collections whose last capture failed, or is not known to be exact: each capture reads them until one is. */
  #inexact: ReadonlySet<string> = new Set();

  constructor(tiers: Tiers) {
    this.#tiers = tiers;
  }

  /**
   * Collections whose next scheduled capture is closer to now than to the following cycle.
   * @param nowMs by the monotonic clock: the time of day may be set back.
   */
  of(collections: readonly string[], nowMs: number): string[] {
    const earlyMs = this.#tiers.shortestSeconds * 500;
    return collections.filter((name) => {
      const begunAt = this.#begunAt.get(name);
      if (begunAt === undefined || this.#inexact.has(name)) return true;
      return nowMs - begunAt + earlyMs >= this.#tiers.secondsOf(name) * 1000;
    });
  }

  /**
   * @param names of the collections that were read for the recovery point.
   * @param begunMs when its capture began, by the monotonic clock.
   */
  captured(names: readonly string[], begunMs: number, recoveryPoint: RecoveryPoint): void {
    for (const name of names) this.#begunAt.set(name, begunMs);
    const inexact = recoveryPoint.collections.filter(({ shards }) => shards.some(({ isExact }) => !isExact));
    this.#inexact = new Set([...inexact, ...missingFrom(recoveryPoint)].map(({ name }) => name));
  }
}
