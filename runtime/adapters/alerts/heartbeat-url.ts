import type { Heartbeat } from "../../ports/alert-receiver.ts";
import { callSecretUrl } from "./post.ts";

export class HeartbeatUrl implements Heartbeat {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async beat(signal?: AbortSignal): Promise<void> {
    await callSecretUrl(this.#url, { signal, what: "the heartbeat URL" });
  }
}
