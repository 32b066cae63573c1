/** A region as `status` and `failover --plan` ask it: with little patience, and told when it is not known where it is. */
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { toDrError } from "../errors.ts";
import type { PairMember } from "../workflows/status/observe-pair.ts";
import { type ObservedRegion, patience } from "../workflows/status/observed-region.ts";

/** Its outputs may be lost with it. */
export async function knowPeer(name: string, deps: Deps, options: RegionOptions): Promise<PairMember> {
  try {
    return memberOf(await deps.access(name, options), options);
  } catch (error) {
    const { message } = toDrError(error);
    return {
      name,
      observed: undefined,
      problem: `its outputs are not known here: ${message}`,
      backend: { problem: message },
    };
  }
}

export function memberOf(
  access: RegionAccess,
  { outputs }: RegionOptions,
): PairMember & { readonly observed: ObservedRegion } {
  const { region } = access;
  const asked = access.withPatience(patience.answerMs);
  return {
    name: region.region,
    objectives: region.objectives,
    // The outputs were read from it just now.
    backend: outputs === undefined ? { value: true } : { notAsked: "the outputs came from a file" },
    observed: {
      region: region.region,
      stores: asked.stores,
      database: asked.database,
      publicDatabase: asked.publicDatabase(),
      gate: asked.gate(),
      repository: () => asked.repository(),
      traffic: () => asked.traffic(),
    },
  };
}
