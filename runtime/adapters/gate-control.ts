/** `Gate` over the control addresses of the replicas of a region's gate: each is asked, and they count together. */
import { z } from "zod";
import { gateModes } from "../domain/roles/gate.ts";
import { journalStateSchema } from "../domain/roles/gate-journal.ts";
import { DrError, toDrError } from "../errors.ts";
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
  journal: journalStateSchema.optional(),
});
type ReplicaState = z.infer<typeof stateSchema>;

export class GateControl implements Gate {
  readonly #urls: readonly string[];
  readonly #token: string;

  constructor({
    controlToken,
    controlUrls,
  }: { readonly controlUrls: readonly string[]; readonly controlToken: string }) {
    this.#urls = controlUrls;
    this.#token = controlToken;
  }

  look(): Promise<GateState> {
    return this.#askAll("POST");
  }

  state(): Promise<GateState> {
    return this.#askAll("GET");
  }

  async #askAll(method: "GET" | "POST"): Promise<GateState> {
    const failures: DrError[] = [];
    const answers = await Promise.all(
      this.#urls.map((url) =>
        this.#ask(url, method).catch((error: unknown) => {
          failures.push(toDrError(error));
          return undefined;
        }),
      ),
    );
    const states = answers.filter((answer) => answer !== undefined);
    // A token that is refused is no replica that is gone.
    const failure =
      failures.find(({ code }) => code === "ACCESS_DENIED") ?? (states.length === 0 ? failures[0] : undefined);
    if (failure !== undefined) throw failure;
    return together(
      states,
      failures.map(({ message }) => message),
    );
  }

  async #ask(url: string, method: "GET" | "POST"): Promise<ReplicaState> {
    const { isOk, status, text } = await requestControl({
      url,
      token: this.#token,
      method,
      timeoutMs,
      what: "the gate's control",
      hint: "see that the gate runs and that its control is reached from here; `pulumi up` of the region's stack starts a gate of a stack",
    });
    if (isOk) return readJsonAnswer(stateSchema, text, `${method} of the gate`);
    const isRefused = status === 401 || status === 403;
    const said = `the gate answered ${status}: ${text.slice(0, 200)}`;
    throw new DrError(isRefused ? "ACCESS_DENIED" : "UNREACHABLE", said);
  }
}

function together(states: readonly ReplicaState[], silent: readonly string[]): GateState {
  const total = (count: "inFlight" | "cut") => states.reduce((sum, state) => sum + state[count], 0);
  const shown = states.find(({ isOpen }) => isOpen) ?? states[0];
  if (shown === undefined) throw new Error("a replica has answered");
  const epochs = states.flatMap(({ epoch }) => (epoch === undefined ? [] : [epoch]));
  return {
    isOpen: shown.isOpen,
    mode: shown.mode,
    reason: shown.reason,
    epoch: epochs.length === 0 ? undefined : Math.max(...epochs),
    inFlight: total("inFlight"),
    cut: total("cut"),
    silent,
    journal: shown.journal,
  };
}
