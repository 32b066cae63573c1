/** What watches a region for `exporter` and `serve`. */
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { RegionMonitor } from "../../workflows/monitoring/region-monitor.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { knowPeer, memberOf } from "../../workflows/status/pair-member.ts";

export async function monitorOf(
  deps: Deps,
  session: RegionSession,
  options: RegionOptions,
  everySeconds: number,
): Promise<RegionMonitor> {
  const { objectives, peer } = session.region;
  const other = peer === undefined ? undefined : await knowPeer(peer, () => deps.access(peer, options));
  if (other?.problem !== undefined)
    deps.progress({ step: "watch", detail: `${peer} is not watched: ${other.problem}` });
  return new RegionMonitor({
    region: memberOf(session).observed,
    objectives,
    everySeconds,
    toolVersion: deps.toolVersion,
    clock: deps.clock,
    progress: deps.progress,
    peer: other && { name: other.name, control: other.observed?.stores.control },
  });
}
