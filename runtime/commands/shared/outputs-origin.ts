import type { RegionOptions } from "../../composition/deps.ts";
import type { OutputsOrigin } from "../../workflows/status/pair-member.ts";

/** Finds the source of the outputs of the regions that these options name. */
export function originOf({ outputs }: RegionOptions): OutputsOrigin {
  return outputs === undefined ? "stack" : "file";
}
