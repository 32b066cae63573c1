/**
 * A client that writes and deletes points by one address and never stops, and knows what it was told: which change of a point is
 * safe, and of which nobody said what became of it.
 */
import { systemClock } from "../../../runtime/time/system-clock.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";

/** What a point may be: the number of the change that made it, or gone. */
type Value = number | "gone";

interface Change {
  readonly value: Value;
  /** When it was acknowledged; absent when it never was. */
  at?: number;
}

export interface UncertainWriterRequest {
  readonly url: string;
  readonly apiKey: string;
  readonly collection: string;
  readonly random: () => number;
}

const ids = 80;
const pauseMs = 15;
const answersWithinMs = 2_000;

export class UncertainWriter {
  readonly #request: UncertainWriterRequest;
  /** Of each id, in the order in which they were asked for. */
  readonly #changes = new Map<number, Change[]>();
  readonly #loop: Promise<void>;
  #acknowledged = 0;
  #number = 0;
  /** The number of the last change of which is known what became of it, or that nobody will know. */
  #settled = 0;
  #isStopped = false;

  constructor(request: UncertainWriterRequest) {
    this.#request = request;
    this.#loop = this.#run();
  }

  async acknowledges(more: number, withinMs = 30_000): Promise<void> {
    const wanted = this.#acknowledged + more;
    const wait = { what: `${more} writes to be acknowledged`, withinMs, everyMs: 20 };
    await waitUntil(systemClock, wait, () => this.#acknowledged >= wanted);
  }

  /** What is under way has come to its end: an answer that was on its way when a server died is told later than that. */
  async settles(): Promise<void> {
    const asked = this.#number;
    const wait = { what: "the writes under way to end", withinMs: 60_000, everyMs: 5 };
    await waitUntil(systemClock, wait, () => this.#settled >= asked);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  /**
   * Ids that are not what was acknowledged last, each with what it is and should be; what was acknowledged between `from` and
   * `to` may be missing.
   */
  wrongIn(present: ReadonlyMap<number, number>, from = 0, to = 0): string[] {
    return [...this.#changes].flatMap(([id, changes]) => {
      const found = present.get(id) ?? "gone";
      const isAllowed = this.#allowed(changes, from, to).includes(found);
      return isAllowed ? [] : [`${id} is ${found}: ${JSON.stringify(changes)}`];
    });
  }

  /** Ids of changes that were acknowledged between these moments and that are not there, nor anything newer. */
  missingFrom(present: ReadonlyMap<number, number>, from: number, to: number): number[] {
    return [...this.#changes].flatMap(([id, changes]) => {
      const last = changes.findLast(({ at }) => at !== undefined && at > from && at <= to);
      if (last === undefined) return [];
      const newer = changes.slice(changes.indexOf(last));
      return newer.some(({ value }) => value === (present.get(id) ?? "gone")) ? [] : [id];
    });
  }

  /** Ids of which some change has an uncertain fate, or was acknowledged after this moment. */
  unsettledSince(moment: number): Set<number> {
    const isUnsettled = ({ at }: Change) => at === undefined || at > moment;
    return new Set([...this.#changes].flatMap(([id, changes]) => (changes.some(isUnsettled) ? [id] : [])));
  }

  #allowed(changes: readonly Change[], from: number, to: number): Value[] {
    const uncertain = changes.filter(({ at }) => at === undefined).map(({ value }) => value);
    const safe = changes.filter((change) => change.at !== undefined);
    const mayBeLost = ({ at = 0 }: Change) => at > from && at <= to;
    // The last one that must be there, and those after it that may be.
    const first = safe.findLastIndex((change) => !mayBeLost(change));
    const allowed = safe.slice(Math.max(0, first)).map(({ value }) => value);
    return [...uncertain, ...allowed, ...(first === -1 ? ["gone" as const] : [])];
  }

  async #run(): Promise<void> {
    const { random } = this.#request;
    while (!this.#isStopped) {
      this.#number += 1;
      const id = 1 + Math.floor(random() * ids);
      const change: Change = { value: random() < 0.2 ? "gone" : this.#number };
      const changes = this.#changes.get(id) ?? [];
      this.#changes.set(id, changes);
      const outcome = await this.#send(id, change.value);
      // What a closed gate refuses never reached a Qdrant.
      if (outcome !== "refused") changes.push(change);
      if (outcome === "acknowledged") {
        change.at = Date.now();
        this.#acknowledged += 1;
      }
      this.#settled = this.#number;
      await systemClock.sleep(pauseMs);
    }
  }

  async #send(id: number, value: Value): Promise<"acknowledged" | "refused" | "unknown"> {
    const { apiKey, collection, url } = this.#request;
    const isDelete = value === "gone";
    const body = isDelete ? { points: [id] } : { points: [{ id, vector: [id, value, 1, 2], payload: { value } }] };
    try {
      const answer = await fetch(`${url}/collections/${collection}/points${isDelete ? "/delete" : ""}?wait=true`, {
        method: isDelete ? "POST" : "PUT",
        headers: { "api-key": apiKey, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(answersWithinMs),
      });
      const text = await answer.text();
      if (answer.ok) return "acknowledged";
      return answer.status === 503 && text.includes("does not serve") ? "refused" : "unknown";
    } catch {
      return "unknown";
    }
  }
}
