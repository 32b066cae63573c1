import type { GateMode } from "../domain/roles/gate.ts";
import type { JournalState } from "../domain/roles/gate-journal.ts";

/** What the replicas of a gate say that answer. */
export interface GateState {
  /** Whether any of them lets clients through. */
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
  /** Why others give no answer, each in words: what they do is not known, so that no fence is complete without them. */
  readonly silent: readonly string[];
  /** Of the replica that is shown; absent: it keeps none. */
  readonly journal?: JournalState | undefined;
}

/** The gate in front of a region's Qdrant: where writes stop. Throws UNREACHABLE when no replica answers, or ACCESS_DENIED. */
export interface Gate {
  /** Has its guard look at the records at once; answers what came of it. */
  look(): Promise<GateState>;
  /** The gate's present state, without asking the control stores. */
  state(): Promise<GateState>;
}
