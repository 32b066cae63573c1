/** An estate that a practice left up, for commands that are given its id. */
import { readyParts } from "../runtime/adapters/parts.ts";
import type { PulumiStacks } from "../runtime/adapters/pulumi/pulumi-stacks.ts";
import { EmbeddedEstate } from "./adapters/embedded-estate.ts";

export async function openKeptEstate(id: string): Promise<PulumiStacks> {
  const { stacks } = await EmbeddedEstate.open(id);
  await readyParts(["pulumi", "qdrant", "seaweedfs"]);
  return stacks;
}
