import type { GateMode } from "../domain/roles/gate.ts";

export interface GateState {
  readonly isOpen: boolean;
  readonly mode: GateMode;
  /** For people: why it is open or closed. */
  readonly reason: string;
  /** The newest epoch that its guard has seen. */
  readonly epoch?: number | undefined;
  /** Requests that it let through and that have no answer yet. */
  readonly inFlight: number;
  /** Requests that were cut off since it started because they took too long when it closed. */
  readonly cut: number;
}

/** The gate in front of a region's Qdrant: where writes stop. Throws UNREACHABLE or ACCESS_DENIED. */
export interface Gate {
  /** Has its guard look at the records at once; answers what came of it. */
  look(): Promise<GateState>;
  /** The gate's present state, without asking the control stores. */
  state(): Promise<GateState>;
}
