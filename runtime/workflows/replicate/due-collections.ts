/** Which collections it is time to capture again: their tiers say how often. */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Tiers } from "../../domain/settings/tiers.ts";

export class DueCollections {
  readonly #tiers: Tiers;
  readonly #begunAt = new Map<string, number>();
  /** What is not known to be exact is looked at each time, until it is. */
  #inexact: ReadonlySet<string> = new Set();

  constructor(tiers: Tiers) {
    this.#tiers = tiers;
  }

  /** Those for which the next time would be later than this one is early. */
  of(collections: readonly string[], now: Date): string[] {
    const earlyMs = this.#tiers.shortestSeconds * 500;
    return collections.filter((name) => {
      const begunAt = this.#begunAt.get(name);
      if (begunAt === undefined || this.#inexact.has(name)) return true;
      return now.getTime() - begunAt + earlyMs >= this.#tiers.secondsOf(name) * 1000;
    });
  }

  /** @param names of the collections that were read for the recovery point. */
  captured(names: readonly string[], begun: Date, { collections }: RecoveryPoint): void {
    for (const name of names) this.#begunAt.set(name, begun.getTime());
    const inexact = collections.filter(({ shards }) => shards.some(({ isExact }) => !isExact));
    this.#inexact = new Set(inexact.map(({ name }) => name));
  }
}
