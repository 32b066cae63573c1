/** The turn of a shard to be read: it comes when no optimization of the shard runs, or patience with it ends. */
import type { Semaphore } from "../../../async/semaphore.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Optimizations } from "../../../ports/qdrant.ts";
import type { ShardOptimizations } from "./shard-optimizations.ts";

/** An answer up to this old counts as new: the look after a segment's first file finds optimizations that began since. */
const recentMs = 2_000;

export interface TurnContext {
  readonly optimizations: ShardOptimizations;
  /** Lets as many shards be read at a time as it has permits. */
  readonly permits: Semaphore;
  /** How long an optimization is waited for. */
  readonly quietMs: number;
  readonly clock: Clock;
}

export class QuietTurn {
  readonly #context: TurnContext;
  #isFirst = true;

  constructor(context: TurnContext) {
    this.#context = context;
  }

  /**
   * Others have their turns while an optimization is waited for; one that began before the turn came is waited for as well.
   * To wait for the turn is no patience with the server.
   */
  async run<T>(act: (before: Optimizations | undefined) => Promise<T>): Promise<T> {
    const { clock, optimizations, quietMs, permits } = this.#context;
    let deadline = clock.monotonic() + quietMs;
    for (;;) {
      await optimizations.whenQuiet(deadline - clock.monotonic(), this.#isFirst ? recentMs : undefined);
      this.#isFirst = false;
      const asked = clock.monotonic();
      const acted = await permits.run(async () => {
        deadline += clock.monotonic() - asked;
        const before = await optimizations.look(recentMs);
        const isBusy = before !== undefined && before.running > 0 && clock.monotonic() < deadline;
        return isBusy ? undefined : { answer: await act(before) };
      });
      if (acted !== undefined) return acted.answer;
    }
  }
}
