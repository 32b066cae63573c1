import { randomUUID } from "node:crypto";
import { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import type { GateMode } from "../domain/estate/gate.ts";
import { formatSeconds } from "../domain/format.ts";
import { DrError, toDrError } from "../errors.ts";
import type { ObjectStore } from "../ports.ts";
import { failOver } from "../workflows/failover/fail-over.ts";
import { type FailoverPlan, planFailover } from "../workflows/failover/plan-failover.ts";
import { type Answer, type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly to: string;
  readonly plan?: boolean;
  readonly unplanned?: boolean;
  readonly acceptDataLoss?: number;
  readonly point?: string;
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
      .option("--point <id>", "another recovery point than the newest: what was acknowledged after it is lost")
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
      const request = { region: access.region, repository, isPlanned: false, point: options.point, clock: deps.clock };
      return describePlan(await planFailover(request));
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
      gate: access.gate(),
      witness: access.witness(),
      point: options.point,
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

function describePlan(plan: FailoverPlan): Answer {
  const { continues, dataLossSeconds, epoch, from, gateMode, held, region } = plan;
  const names = held?.point.collections.map(({ name }) => name) ?? [];
  const point = held && { id: held.point.id, time: held.point.time, collections: names };
  const text = [
    `${continues ? "Would go on with" : "Would begin"} epoch ${epoch}: ${region} becomes active`,
    ...(point === undefined ? [] : [`  restores ${point.id} of ${point.time}: ${names.join(", ")}`]),
    `  writes acknowledged in the last ${formatSeconds(dataLossSeconds)} would be lost`,
    `  ${priceOf(from, gateMode)}`,
  ];
  return { json: { ...plan, held: undefined, point }, text: text.join("\n") };
}

/** What the guard's setting costs when the region that is given up lives and cannot be seen. */
function priceOf(from: string, gateMode: GateMode | undefined): string {
  if (gateMode === undefined) return `${from} has no gate: if it lives, clients that reach it go on writing there`;
  if (gateMode === "consistency") {
    return `${from} serves until its lease runs out, and this region not before: both never take writes at once`;
  }
  return `if ${from} lives and cannot see this region, its clients go on writing there until it does; that is reported id by id`;
}

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
