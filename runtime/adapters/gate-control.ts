/** `Gate` over the control address of a region's gate. */
import { z } from "zod";
import { gateModes } from "../domain/roles/gate.ts";
import { DrError } from "../errors.ts";
import type { Gate, GateState } from "../ports/gate.ts";
import { readJsonAnswer } from "./read-answer.ts";
import { requestControl } from "./request-control.ts";

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
    const { isOk, status, text } = await requestControl({
      url: this.#url,
      token: this.#token,
      method,
      timeoutMs,
      what: "the gate",
      hint: "run `pulumi up` of the region's stack",
    });
    if (isOk) return readJsonAnswer(stateSchema, text, `${method} of the gate`);
    const isRefused = status === 401 || status === 403;
    const said = `the gate answered ${status}: ${text.slice(0, 200)}`;
    throw new DrError(isRefused ? "ACCESS_DENIED" : "UNREACHABLE", said);
  }
}
