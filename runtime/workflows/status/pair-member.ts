/** A region as `status` and the plans of role changes look at it: with little patience, and perhaps without knowing where it is. */
import { toDrError } from "../../errors.ts";
import type { RegionSession } from "../region-session.ts";
import type { KnownMember, PairMember } from "./observe-pair.ts";
import { patience } from "./observed-region.ts";

const notAsked = { outputs: "the outputs came from a file", settings: "there is no stack" } as const;

/** The peer of a region, whose outputs may be lost with it. */
export async function knowPeer(name: string, open: () => Promise<RegionSession>): Promise<PairMember> {
  try {
    return memberOf(await open());
  } catch (error) {
    const { message } = toDrError(error);
    return { name, observed: undefined, problem: `its outputs are not known here: ${message}` };
  }
}

export function memberOf(session: RegionSession): KnownMember {
  const { origin, region } = session;
  const asked = session.withPatience(patience.answerMs);
  return {
    name: region.region,
    objectives: region.objectives,
    // The stack's outputs were read from the backend just now.
    backend: origin === "stack" ? { value: true } : { notAsked: notAsked[origin] },
    observed: {
      region: region.region,
      stores: asked.stores,
      database: asked.database,
      publicDatabase: asked.publicDatabase(),
      gate: asked.gate(),
      declared: { replicate: region.replicate, capacity: region.qdrant.capacity },
      repository: async () => (await asked.repository()).withStream(),
      traffic: () => asked.traffic(),
    },
  };
}
