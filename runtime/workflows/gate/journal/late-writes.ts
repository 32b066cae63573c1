/**
 * Writes that Qdrant did not answer. It may read such a request long after the gate that sent it is gone, and nothing tells when: Qdrant
 * 1.16.3 does what it finds in a connection that was closed or reset. So what they left is told at once, and looked at again later.
 */
import type { Clock } from "../../../ports/clock.ts";
import type { Intent } from "../../../ports/spool.ts";
import { pause } from "../../../time/pause.ts";

/** How long after the write. The system of a process that was killed goes on sending what it had given it for one to two minutes. */
const looksMs = [1_000, 10_000, 60_000, 300_000];
/** A capture has to bring these each time. */
const looksForCaptureMs = [10_000, 300_000];

export interface LateWritesTools {
  readonly clock: Clock;
  /** Tells the journal what is there now; at the last look the spool forgets the write. */
  readonly lookAgain: (intent: number, left: Intent, isLast: boolean) => Promise<void>;
  readonly tell: (text: string) => void;
}

export class LateWrites {
  readonly #tools: LateWritesTools;
  readonly #ending = new AbortController();
  readonly #watched = new Set<Promise<void>>();

  constructor(tools: LateWritesTools) {
    this.#tools = tools;
  }

  /** How many may still be done. */
  get count(): number {
    return this.#watched.size;
  }

  watch(intent: number, left: Intent): void {
    const watching = this.#look(intent, left)
      // The spool knows of it: who comes next looks.
      .catch((error: unknown) => {
        if (!this.#ending.signal.aborted) this.#tools.tell(`a write may be done late, and is not looked at: ${error}`);
      })
      .finally(() => this.#watched.delete(watching));
    this.#watched.add(watching);
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#watched);
  }

  async #look(intent: number, left: Intent): Promise<void> {
    const { clock, lookAgain } = this.#tools;
    const begun = clock.monotonic();
    const times = left.changes === "everything" ? looksForCaptureMs : looksMs;
    for (const [index, ms] of times.entries()) {
      await pause(clock, begun + ms - clock.monotonic(), this.#ending.signal);
      if (this.#ending.signal.aborted) return;
      await lookAgain(intent, left, index === times.length - 1);
    }
  }
}
