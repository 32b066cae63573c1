/** A client that never stops: it writes by whichever gate lets it through, tries again what was not taken, and knows what it was told. */
import { QdrantClient } from "@qdrant/js-client-rest";
import type { Region } from "../../../runtime/domain/region.ts";
import { eventually } from "../time/eventually.ts";
import { clientKey, gateUrl } from "./cluster-pair.ts";

const answersWithinMs = 3_000;
const pauseMs = 50;
const atOnce = 1_000;
/** Its collection has these points from the start, above all that it writes. */
const points = 2_000;
const firstPoint = 1_000_000;

/** By headers, because the client warns of a key that goes over HTTP. */
export function clientOf(url: string, apiKey = clientKey): QdrantClient {
  return new QdrantClient({ url, headers: { "api-key": apiKey }, checkCompatibility: false, timeout: 60_000 });
}

export class SteadyClient {
  readonly #collection: string;
  readonly #ended: Promise<void>;
  readonly #acknowledged: number[] = [];
  /** What a failover lost, as it said that it might: nobody holds it any more. */
  readonly #lost = new Set<number>();
  #key = clientKey;
  #url = gateUrl("prod");
  #isStopped = false;
  #lastAt = performance.now();
  #longestMs = 0;

  private constructor(collection: string) {
    this.#collection = collection;
    this.#ended = this.#run();
  }

  /** Makes its collection in prod, and begins to write. */
  static async start(collection = "notes"): Promise<SteadyClient> {
    const gate = clientOf(gateUrl("prod"));
    await gate.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      shard_number: 2,
      replication_factor: 2,
      wal_config: { wal_capacity_mb: 1 },
    });
    const made = Array.from({ length: points }, (_, index) => ({
      id: firstPoint + index,
      vector: [index % 7, index % 11, 1, 0],
    }));
    await gate.upsert(collection, { wait: true, points: made });
    return new SteadyClient(collection);
  }

  /** Shows another key from now on. */
  takeKey(key: string): void {
    this.#key = key;
  }

  /** What was acknowledged until now comes to be in a standby's Qdrant; returns how many writes that are. */
  async isFollowedBy({ qdrant, region }: Pick<Region, "qdrant" | "region">, withinMs = 180_000): Promise<number> {
    const standby = clientOf(qdrant.peers[0] ?? "", qdrant.apiKey);
    await this.acknowledges(1);
    const acknowledged = this.#expected();
    // Until then it may have no such collection.
    const look = () => this.#missing(standby, acknowledged).then(isEmpty, () => false);
    await eventually(`${region} follows`, look, { everyMs: 500, withinMs });
    return acknowledged.length;
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

  /** Which of the writes that were acknowledged a region does not hold, by the order in which they were: 1 is the first. */
  missingIn(url: string): Promise<number[]> {
    return this.#missing(clientOf(url, this.#key), this.#expected());
  }

  /** From now on no region is expected to hold them. */
  forget(lost: readonly number[]): void {
    for (const id of lost) this.#lost.add(id);
  }

  #expected(): number[] {
    return this.#acknowledged.filter((id) => !this.#lost.has(id));
  }

  async #missing(client: QdrantClient, written: readonly number[]): Promise<number[]> {
    const missing: number[] = [];
    for (let from = 0; from < written.length; from += atOnce) {
      const ids = written.slice(from, from + atOnce);
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
        headers: { "api-key": this.#key, "content-type": "application/json" },
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

function isEmpty(list: readonly unknown[]): boolean {
  return list.length === 0;
}
