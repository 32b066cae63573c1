/** The gate of a throwaway region: it decides as every gate does, and nothing listens, so that no client comes in. */
import type { Gate, GateState } from "../../ports/gate.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { Guard } from "../gate/guard.ts";

export class ThrowawayGate implements Gate {
  readonly #guard: Guard;

  constructor(region: string, control: ObjectStore) {
    this.#guard = new Guard({
      region,
      // A lease of the real region is not taken: how long a failover waits for one is counted apart.
      mode: "availability",
      control,
      peerControl: undefined,
      carryEpoch: async () => undefined,
      lease: undefined,
      seen: undefined,
      remember: () => undefined,
    });
  }

  async look(): Promise<GateState> {
    await this.#guard.look();
    return this.state();
  }

  async state(): Promise<GateState> {
    const { epoch, isOpen, reason } = this.#guard.view;
    return { isOpen, reason, epoch, mode: "availability", inFlight: 0, cut: 0, silent: [] };
  }
}
