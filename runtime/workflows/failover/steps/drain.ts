import { DrError } from "../../../errors.ts";
import type { Gate, GateState } from "../../../ports/gate.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import { waitUntil } from "../../../time/wait-until.ts";
import type { ActiveRegion, SwitchoverRequest } from "../request.ts";
import type { Step } from "./step.ts";

const pollMs = 50;
const closesWithinMs = 30_000;

interface DrainContext {
  readonly request: Pick<SwitchoverRequest, "clock"> & {
    readonly active: Pick<ActiveRegion, "region" | "gate"> & {
      readonly database: Pick<VectorDatabase, "collections" | "settle">;
    };
  };
}

export const drain: Step<DrainContext> = {
  name: "drain",
  title: "Wait until the active region's gate is closed and empty",
  repeat: "always",
  async run({ request: { active, clock } }) {
    const { database, region } = active;
    const gate = requireGate(active.gate, region);
    let last: GateState | undefined;
    const { cut } = await waitUntil(
      clock,
      {
        what: `the gate of ${region} to close`,
        withinMs: closesWithinMs,
        everyMs: pollMs,
        expired: () => staysOpen(region, last),
      },
      async () => {
        last = await gate.look();
        return !last.isOpen && last.inFlight === 0 && last.silent.length === 0 ? last : undefined;
      },
    );
    // Clients that do not wait for their writes were told they are safe before they were applied.
    for (const name of await database.collections()) await database.settle(name);
    return `closed and empty${cut === 0 ? "" : `; ${cut} requests took too long`}`;
  },
};

/** Throws NOT_SUPPORTED. */
export function requireGate(gate: Gate | undefined, region: string): Gate {
  if (gate !== undefined) return gate;
  throw new DrError("NOT_SUPPORTED", `${region} has no gate: nothing could stop its writes`, {
    hint: "declare a gate for it, or stop its clients and run a failover",
  });
}

/** A replica that gives no answer may let clients through: without it no fence counts. */
export function silentReplica({ silent }: GateState, region: string): DrError | undefined {
  const [first, ...others] = silent;
  if (first === undefined) return undefined;
  const more = others.length === 0 ? "" : `, and ${others.length} more`;
  return new DrError("UNREACHABLE", `a replica of the gate of ${region} gives no answer: ${first}${more}`, {
    hint: "wait until every replica runs and answers; where one is gone for good, declare fewer. A failover does not ask the region that is lost",
  });
}

function staysOpen(region: string, last: GateState | undefined): DrError {
  const silent = last?.isOpen === false ? silentReplica(last, region) : undefined;
  if (silent !== undefined) return silent;
  const found = last?.isOpen
    ? `open: ${last.reason}`
    : `not empty: ${last?.inFlight ?? "unknown"} requests are under way`;
  return new DrError("UNREACHABLE", `the gate of ${region} is ${found}`, {
    hint: "see that its control store can be read by it",
  });
}
