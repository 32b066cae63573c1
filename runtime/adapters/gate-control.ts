/** `Gate` over the control address of a region's gate. */
import { z } from "zod";
import { gateModes } from "../domain/estate/gate.ts";
import { DrError } from "../errors.ts";
import type { Gate, GateState } from "../ports.ts";

/** Longer than a guard waits for the stores that it looks at. */
const timeoutMs = 10_000;

const stateSchema = z.object({
  isOpen: z.boolean(),
  mode: z.enum(gateModes),
  reason: z.string(),
  epoch: z.number().optional(),
  inFlight: z.number(),
  cut: z.number(),
});

export class GateControl implements Gate {
  readonly #url: string;
  readonly #token: string;

  constructor({ controlToken, controlUrl }: { readonly controlUrl: string; readonly controlToken: string }) {
    this.#url = controlUrl;
    this.#token = controlToken;
  }

  look(): Promise<GateState> {
    return this.#send("POST");
  }

  state(): Promise<GateState> {
    return this.#send("GET");
  }

  async #send(method: "GET" | "POST"): Promise<GateState> {
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(this.#url, {
        method,
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await answer.text();
    } catch (cause) {
      throw new DrError("UNREACHABLE", `the gate at ${this.#url} does not answer`, {
        hint: "run `pulumi up` of the region's stack",
        cause,
      });
    }
    if (answer.ok) return stateSchema.parse(JSON.parse(text));
    const isRefused = answer.status === 401 || answer.status === 403;
    const said = `the gate answered ${answer.status}: ${text.slice(0, 200)}`;
    throw new DrError(isRefused ? "ACCESS_DENIED" : "UNREACHABLE", said);
  }
}
