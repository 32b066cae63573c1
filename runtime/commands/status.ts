import type { RegionOptions } from "../compose.ts";
import { formatSeconds } from "../domain/format.ts";
import { observeRegion, observeTraffic, type RegionStatus } from "../workflows/failover/observe-regions.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly stack: string;
}

export const status: CommandDefinition<Options> = {
  name: "status",
  summary: "what is true of both regions now: roles, servers, newest restorable point, where clients are led",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "one of the two stacks; the other is its peer")
      .addHelpText("after", exitCodesHelp([2, "wrong option or stack"])),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    const peer = options.outputs === undefined ? await deps.access(access.region.peer, options) : undefined;
    const observed = [access, ...(peer === undefined ? [] : [peer])];
    const regions = await Promise.all(
      observed.map((one) =>
        observeRegion(
          { region: one.region.region, stores: one.stores, database: one.database, repository: () => one.repository() },
          deps.clock,
        ),
      ),
    );
    const epochs = new Set(regions.flatMap(({ epoch }) => epoch ?? []));
    const disagreement = epochs.size > 1 ? ["the regions know different epochs: the newer one decides"] : [];
    const traffic = access.region.endpoint === undefined ? undefined : await observeTraffic(access.traffic());
    const led =
      traffic === undefined ? "no endpoint" : (traffic.problem ?? `clients are led to ${traffic.region ?? "nowhere"}`);
    return {
      json: { regions, traffic, problems: disagreement },
      text: [...regions.map(describe), `endpoint  ${led}`, ...disagreement].join("\n"),
    };
  },
};

function describe({ completePoints, epoch, newestPoint, problems, qdrant, region, role }: RegionStatus): string {
  const server = qdrant.isReachable
    ? `Qdrant ${qdrant.version}, ${qdrant.collections} collections`
    : `Qdrant unreachable: ${qdrant.problem}`;
  const point =
    newestPoint === undefined
      ? "no complete recovery point"
      : `newest of ${completePoints} complete points is ${formatSeconds(newestPoint.ageSeconds)} old: ${newestPoint.id}`;
  return [`${region}  ${role}, epoch ${epoch ?? "unknown"}`, server, point, ...problems].join("\n  ");
}
