import type { RegionOptions } from "../compose.ts";
import { formatCount, formatSeconds } from "../domain/format.ts";
import { planRestore, restorePoint, verifyRestored } from "../workflows/restore-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";
import { findPoint } from "./find-point.ts";

interface Options extends RegionOptions {
  readonly stack: string;
  readonly point: string;
  readonly collections?: string;
  readonly discardUnfinished?: boolean;
  readonly dryRun?: boolean;
}

export const restore: CommandDefinition<Options> = {
  name: "restore",
  summary: "restore a recovery point from a region's bucket into its Qdrant, which must not hold the collections",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack whose bucket is read and whose Qdrant is filled")
      .option("--point <id>", "a recovery point, or latest", "latest")
      .option("--collections <names>", "only these, separated by commas")
      .option("--discard-unfinished", "throw away what an earlier restore that was cut off left half-made")
      .option("--dry-run", "say what would be done, and change nothing")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option, or versions that do not fit"],
          [5, "a server does not answer, or refuses access"],
          [10, "no such point, or it is not complete"],
          [11, "the target holds such a collection; nothing was changed"],
          [12, "what was restored is not what was captured"],
        ),
      ),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    const repository = await access.repository();
    const point = await findPoint(repository, options.point);
    const only = options.collections?.split(",").map((name) => name.trim());
    const request = {
      ...deps,
      repository,
      point,
      target: access.database,
      ...(only === undefined ? {} : { only }),
      discardUnfinished: options.discardUnfinished ?? false,
    };
    if (options.dryRun) {
      const plan = await planRestore(request);
      const names = plan.collections.map(({ name }) => name);
      const discarded =
        plan.discard.length === 0
          ? ""
          : `\n  first removed, half-made by an earlier restore: ${plan.discard.join(", ")}`;
      const text = `Would restore ${names.join(", ")} as of ${point.time} from ${point.id}${discarded}`;
      return { json: { point: point.id, time: point.time, collections: names, discard: plan.discard }, text };
    }
    const report = await restorePoint(request);
    const proof = await verifyRestored(request);
    const text = [
      `${report.point} of ${report.time} restored into ${options.stack} in ${formatSeconds(report.seconds)}`,
      `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections`,
      `  counts, ${formatCount(proof.samples)} sampled points and ${formatCount(proof.canaries)} canary queries are as captured`,
    ].join("\n");
    return { json: { ...report, ...proof, verified: true }, text };
  },
};
