/**
 * Qdrant's own way to follow a primary, as plainly as it goes: the standby pulls each collection in turn, again and again
 * (`partial/recover_from`). Blind to optimizations, and without any of the guards that it would need.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { call, type QdrantAddress } from "./qdrant-call.ts";

export class PullLoop {
  /** A line for each round: what the primary had acknowledged before it began is there. */
  readonly lines: { readonly asOf: string; readonly seenAt: number }[] = [];
  readonly #ended: Promise<void>;
  #isEnding = false;

  /** @param primary as the standby reaches it. */
  constructor(primary: QdrantAddress, standby: QdrantAddress, names: readonly string[], everyMs: number) {
    this.#ended = this.#run(primary, standby, names, everyMs);
    // Told by `next` and `end`.
    this.#ended.catch(() => undefined);
  }

  async #run(primary: QdrantAddress, standby: QdrantAddress, names: readonly string[], everyMs: number) {
    const body = { peer_url: primary.url, api_key: primary.apiKey };
    while (!this.#isEnding) {
      const begun = Date.now();
      for (const name of names) {
        await call(standby, "POST", `/collections/${name}/shards/0/snapshot/partial/recover_from?wait=true`, body);
      }
      this.lines.push({ asOf: new Date(begun).toISOString(), seenAt: Date.now() });
      await sleep(Math.max(0, begun + everyMs - Date.now()));
    }
  }

  async next(): Promise<void> {
    const rounds = this.lines.length;
    while (this.lines.length === rounds) await Promise.race([sleep(100), this.#ended]);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }
}
