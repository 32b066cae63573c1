/** A client that never stops: it writes by whichever gate lets it through, tries again what was not taken, and knows what it was told. */
import { QdrantClient } from "@qdrant/js-client-rest";
import { eventually } from "../time/eventually.ts";
import { clientKey, gateUrl } from "./cluster-pair.ts";

const answersWithinMs = 3_000;
const pauseMs = 50;
const atOnce = 1_000;

/** By headers, because the client warns of a key that goes over HTTP. */
export function clientOf(url: string, apiKey = clientKey): QdrantClient {
  return new QdrantClient({ url, headers: { "api-key": apiKey }, checkCompatibility: false, timeout: 60_000 });
}

export class SteadyClient {
  readonly #collection: string;
  readonly #ended: Promise<void>;
  readonly #acknowledged: number[] = [];
  #url = gateUrl("prod");
  #isStopped = false;
  #lastAt = performance.now();
  #longestMs = 0;

  constructor(collection: string) {
    this.#collection = collection;
    this.#ended = this.#run();
  }

  /** How long nothing was acknowledged, at most, since the last time that this was asked. */
  takeLongestPauseMs(): number {
    const longest = Math.max(this.#longestMs, performance.now() - this.#lastAt);
    this.#longestMs = 0;
    return longest;
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  async acknowledges(more: number): Promise<void> {
    const wanted = this.acknowledged + more;
    await eventually(`${more} writes are acknowledged`, () => this.acknowledged >= wanted, { withinMs: 120_000 });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#ended;
  }

  /** Which of the writes that were acknowledged a region does not hold. */
  async missingIn(url: string): Promise<number[]> {
    const client = clientOf(url);
    const missing: number[] = [];
    for (let from = 0; from < this.#acknowledged.length; from += atOnce) {
      const ids = this.#acknowledged.slice(from, from + atOnce);
      const held = new Set((await client.retrieve(this.#collection, { ids, with_payload: false })).map(({ id }) => id));
      missing.push(...ids.filter((id) => !held.has(id)));
    }
    return missing;
  }

  async #run(): Promise<void> {
    for (let id = 1; !this.#isStopped; ) {
      if (await this.#write(id)) {
        const now = performance.now();
        this.#longestMs = Math.max(this.#longestMs, now - this.#lastAt);
        this.#lastAt = now;
        this.#acknowledged.push(id);
        id += 1;
      } else {
        this.#url = gateUrl(this.#url === gateUrl("prod") ? "dr" : "prod");
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #write(id: number): Promise<boolean> {
    try {
      const answer = await fetch(`${this.#url}/collections/${this.#collection}/points?wait=true`, {
        method: "PUT",
        headers: { "api-key": clientKey, "content-type": "application/json" },
        body: JSON.stringify({ points: [{ id, vector: [id % 97, 1, 2, 3], payload: { id } }] }),
        signal: AbortSignal.timeout(answersWithinMs),
      });
      await answer.arrayBuffer();
      return answer.ok;
    } catch {
      // Refused, cut off or silent: the other region may be the one that serves.
      return false;
    }
  }
}
