/** `TrafficControl` over the control address of the practice estate's public endpoint. */
import { z } from "zod";
import { DrError } from "../errors.ts";
import type { TrafficControl } from "../ports/traffic.ts";
import { readJsonAnswer } from "./read-answer.ts";
import { requestControl } from "./request-control.ts";

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
    const { isOk, status, text } = await requestControl({
      url: this.#url,
      token: this.#token,
      method,
      body,
      timeoutMs,
      what: "the public endpoint's control",
      hint: "run `pulumi up` of the stack that declares the endpoint",
    });
    if (isOk) return readJsonAnswer(answerSchema, text, `${method} of the public endpoint's control`).route;
    if (status === 409) throw new DrError("EPOCH_CONFLICT", `the endpoint refuses: ${text}`);
    throw new DrError("ACCESS_DENIED", `the endpoint's control answered ${status}: ${text.slice(0, 200)}`);
  }
}
