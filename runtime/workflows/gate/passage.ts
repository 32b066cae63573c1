/**
 * The one place that every call of a client goes through, REST or gRPC, before anything of it reaches Qdrant: who asks, what for, and whether
 * the region serves. It counts the calls that are under way, so that a fence knows when the last one has ended.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { includesRight, type Right } from "../../domain/gate/rights.ts";
import type { GateDecision } from "../../domain/roles/gate.ts";

export interface ClientKeys {
  /** Reads and writes points, collections, aliases and indexes. */
  readonly client: string;
  readonly readOnly?: string | undefined;
  /** May call everything that Qdrant has. */
  readonly administrator?: string | undefined;
  /** A key or token that is none of these goes on to Qdrant, which knows its rights; the gate gives it no administrator's. */
  readonly passesOthers: boolean;
}

export interface Call {
  readonly right: Right;
  /** The key that the client shows. */
  readonly key: string | undefined;
  /** Ends the call when it takes too long after the gate closed. */
  readonly cutOff: () => void;
}

/** What a client is told that is not let through. */
export interface Refusal {
  readonly kind: "unknown key" | "forbidden" | "closed";
  readonly message: string;
}

export interface Admission {
  /** Whether the call goes on with Qdrant's own key; else with what the client showed. */
  readonly usesOwnKey: boolean;
  /** To be called once, when the call has ended. */
  readonly leave: () => void;
}

export class Passage {
  readonly #region: string;
  readonly #decision: () => GateDecision;
  readonly #underWay = new Set<Call>();
  #keys: ClientKeys;
  #digests: ReadonlyMap<Right, Buffer>;
  #cut = 0;

  constructor({
    decision,
    keys,
    region,
  }: {
    readonly region: string;
    readonly decision: () => GateDecision;
    readonly keys: ClientKeys;
  }) {
    this.#region = region;
    this.#decision = decision;
    this.#keys = keys;
    this.#digests = digestsOf(keys);
  }

  /** From now on these count; calls that are under way go on. */
  changeKeys(keys: ClientKeys): void {
    this.#keys = keys;
    this.#digests = digestsOf(keys);
  }

  get inFlight(): number {
    return this.#underWay.size;
  }

  /** Calls that were cut off since it began. */
  get cut(): number {
    return this.#cut;
  }

  enter(call: Call): Refusal | Admission {
    const refusal = this.#refusalOf(call);
    if (refusal !== undefined) return refusal;
    this.#underWay.add(call);
    return {
      usesOwnKey: call.key !== undefined && this.#heldBy(call.key) !== undefined,
      leave: () => this.#underWay.delete(call),
    };
  }

  /** Ends what is under way; answers how many calls that were. */
  cutOff(): number {
    const late = [...this.#underWay];
    this.#cut += late.length;
    for (const call of late) call.cutOff();
    return late.length;
  }

  #refusalOf({ key, right }: Call): Refusal | undefined {
    if (right !== "none") {
      if (key === undefined) return { kind: "unknown key", message: "the gate wants an API key" };
      const held = this.#heldBy(key) ?? (this.#keys.passesOthers ? "write" : undefined);
      if (held === undefined) return { kind: "unknown key", message: "the gate does not know this API key" };
      if (!includesRight(held, right)) return { kind: "forbidden", message: forbidden[right] };
    }
    const { isOpen, reason } = this.#decision();
    return isOpen ? undefined : { kind: "closed", message: `region ${this.#region} does not serve: ${reason}` };
  }

  #heldBy(key: string): Right | undefined {
    const shown = digest(key);
    let held: Right | undefined;
    for (const [right, expected] of this.#digests) if (timingSafeEqual(shown, expected)) held = right;
    return held;
  }
}

const forbidden: Readonly<Record<Exclude<Right, "none">, string>> = {
  read: "this API key may not read",
  write: "this API key may only read",
  administer: "this is for administrators: the gate wants the administrators' API key",
};

function digestsOf({ administrator, client, readOnly }: ClientKeys): ReadonlyMap<Right, Buffer> {
  const digests = new Map<Right, Buffer>([["write", digest(client)]]);
  if (readOnly !== undefined) digests.set("read", digest(readOnly));
  if (administrator !== undefined) digests.set("administer", digest(administrator));
  return digests;
}

/** Of one length, whatever the key: so that comparing tells nothing of it. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
