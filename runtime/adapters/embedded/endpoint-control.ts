/** `TrafficControl` over the control address of the embedded estate's public endpoint. */
import { z } from "zod";
import { DrError } from "../../errors.ts";
import type { TrafficControl } from "../../ports.ts";

const timeoutMs = 5_000;
const answerSchema = z.object({ route: z.object({ region: z.string(), epoch: z.number() }).nullable() });

export class EndpointControl implements TrafficControl {
  readonly #url: string;
  readonly #token: string;

  constructor({ controlUrl, controlToken }: { readonly controlUrl: string; readonly controlToken: string }) {
    this.#url = controlUrl;
    this.#token = controlToken;
  }

  async current(): Promise<{ region: string; epoch: number } | undefined> {
    return (await this.#send("GET")) ?? undefined;
  }

  async pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void> {
    await this.#send("PUT", JSON.stringify(target));
  }

  async #send(method: "GET" | "PUT", body?: string): Promise<{ region: string; epoch: number } | null> {
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(this.#url, {
        method,
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body }),
      });
      text = await answer.text();
    } catch (cause) {
      throw new DrError("UNREACHABLE", `the public endpoint's control at ${this.#url} does not answer`, {
        hint: "run `pulumi up` of the stack that declares the endpoint",
        cause,
      });
    }
    if (answer.ok) return answerSchema.parse(JSON.parse(text)).route;
    if (answer.status === 409) throw new DrError("EPOCH_CONFLICT", `the endpoint refuses: ${text}`);
    throw new DrError("ACCESS_DENIED", `the endpoint's control answered ${answer.status}: ${text.slice(0, 200)}`);
  }
}
