import { randomUUID } from "node:crypto";
import { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatSeconds } from "../domain/format.ts";
import { DrError, toDrError } from "../errors.ts";
import type { ObjectStore } from "../ports.ts";
import { failOver, planFailover } from "../workflows/failover/fail-over.ts";
import { type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly to: string;
  readonly plan?: boolean;
  readonly unplanned?: boolean;
  readonly acceptDataLoss?: number;
}

export const failover: CommandDefinition<Options> = {
  name: "failover",
  summary: "make the standby region the active one, from the newest complete recovery point in its own bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--to <stack>", "stack of the region to promote")
      .option("--plan", "say what would happen and what would be lost, and change nothing")
      .option("--unplanned", "the active region is lost: do not ask it anything")
      .option("--accept-data-loss <seconds>", "the most seconds of acknowledged writes that may be lost", parseNumber)
      .addHelpText(
        "after",
        `${exitCodesHelp(
          [2, "wrong option or stack"],
          [5, "a server of the promoted region does not answer"],
          [10, "no complete recovery point is in its bucket"],
          [11, "it is active already, or another run is promoting"],
          [12, "what was restored is not what was captured; clients were not led there"],
          [13, "more writes would be lost than are accepted; nothing was changed"],
          [20, "clients are served, and `pulumi up` failed: run it again"],
        )}\n\nKilled at any point, it goes on when it is run again.`,
      ),
  async run(deps, options) {
    const access = await deps.access(options.to, options);
    const repository = await access.repository();
    if (options.plan) {
      const plan = await planFailover({ region: access.region, repository, clock: deps.clock });
      const { collections, id, time } = plan.point;
      const text = [
        `${plan.continues ? "Would go on with" : "Would begin"} epoch ${plan.epoch}: ${plan.region} becomes active`,
        `  restores ${id} of ${time}: ${collections.map(({ name }) => name).join(", ")}`,
        `  writes acknowledged in the last ${formatSeconds(plan.dataLossSeconds)} would be lost`,
      ].join("\n");
      return { json: { ...plan, point: { id, time, collections: collections.map(({ name }) => name) } }, text };
    }
    if (!options.unplanned || options.acceptDataLoss === undefined) {
      throw new DrError("USAGE", "say that the active region is lost, and what may be lost with it", {
        hint: "`--plan` shows it; then `--unplanned --accept-data-loss <seconds>`. A planned failover is not offered yet",
      });
    }
    const report = await failOver({
      stack: options.to,
      region: access.region,
      repository,
      database: access.database,
      traffic: access.traffic(),
      stacks: await deps.stacks(options),
      otherControl: await reachOther(deps, access.region.peer, options),
      run: randomUUID(),
      acceptedDataLossSeconds: options.acceptDataLoss,
      clock: deps.clock,
      progress: deps.progress,
    });
    const steps = report.steps.map(
      ({ detail, seconds, title }) => `  ${formatSeconds(seconds).padStart(8)}  ${title}: ${detail}`,
    );
    return { json: report, text: [`${report.region} is active in epoch ${report.epoch}`, ...steps].join("\n") };
  },
};

/** The lost region's outputs may be in a backend that still answers; its store most likely does not. */
async function reachOther(deps: Deps, peer: string, options: Options): Promise<ObjectStore | undefined> {
  if (options.outputs !== undefined) return undefined;
  try {
    return new RegionAccess(await (await deps.stacks(options)).region(peer)).stores.control;
  } catch (error) {
    deps.progress({ step: "assess", detail: `the other region cannot be told: ${toDrError(error).message}` });
    return undefined;
  }
}
