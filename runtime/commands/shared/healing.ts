import type { Deps, RegionOptions } from "../../composition/deps.ts";
import type { HealRequest } from "../../workflows/heal/heal.ts";
import { healDescription } from "../../workflows/heal/heal-description.ts";
import type { RegionSession } from "../../workflows/region-session.ts";

/** What objects are healed from, and where they are put; what a repository cannot be opened without is healed at once. A region that is alone has nothing to heal from, and is told so object by object. */
export async function openHealing(
  deps: Deps,
  session: RegionSession,
  options: RegionOptions & { readonly from?: string },
): Promise<Pick<HealRequest, "from" | "objects">> {
  await healDescription(session.stores, session.wrap, deps.progress);
  const name = options.from ?? session.region.peer;
  const from = name === undefined ? undefined : await (await deps.access(name, options)).repository();
  return { from, objects: session.stores.repository };
}
