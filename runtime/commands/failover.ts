import { randomUUID } from "node:crypto";
import { RegionAccess } from "../adapters/access.ts";
import { readHooks } from "../adapters/hook-commands.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { newestEpoch } from "../domain/estate/epoch.ts";
import type { GateMode } from "../domain/estate/gate.ts";
import { formatCount, formatSeconds } from "../domain/format.ts";
import { isExact } from "../domain/points/recovery-point.ts";
import { DrError, toDrError } from "../errors.ts";
import { readEpochs } from "../repository/epochs.ts";
import { readFence } from "../repository/gate-records.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { type FailoverReport, type FailoverRequest, failOver } from "../workflows/failover/fail-over.ts";
import { failoverSteps } from "../workflows/failover/failover-run.ts";
import { giveUp, type HandOver } from "../workflows/failover/hand-over.ts";
import { type FailoverPlan, planFailover } from "../workflows/failover/plan-failover.ts";
import { findDivergence } from "../workflows/failover/report-divergence.ts";
import { Replication } from "../workflows/replicate/replication.ts";
import { estimateRestore } from "../workflows/restore/estimate-restore.ts";
import { type Answer, type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly to: string;
  readonly plan?: boolean;
  readonly planned?: boolean;
  readonly unplanned?: boolean;
  readonly acceptDataLoss?: number;
  readonly point?: string;
  readonly drill?: boolean;
  readonly abort?: boolean;
  readonly divergence?: boolean;
  readonly hooks?: string;
}

export const failover: CommandDefinition<Options> = {
  name: "failover",
  summary: "make the other region the active one: planned with nothing lost, or unplanned after a disaster",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--to <stack>", "stack of the region to promote")
      .option("--plan", "say what would happen and what would be lost, and change nothing")
      .option("--planned", "both regions live: fence the active one, bring its last writes over, lose nothing")
      .option("--unplanned", "the active region is lost: do not ask it anything")
      .option("--accept-data-loss <seconds>", "the most seconds of acknowledged writes that may be lost", parseNumber)
      .option("--point <id>", "another recovery point than the newest: what was acknowledged after it is lost")
      .option("--drill", "with --planned: fail over and back again")
      .option("--abort", "give a planned failover up that did not end: the region that was active serves again")
      .option("--divergence", "report id by id what this region holds and the active one does not, and change nothing")
      .option("--hooks <file>", "JSON: commands to run before and after steps (approvals, notices, checks)")
      .addHelpText(
        "after",
        `${exitCodesHelp(
          [2, "wrong option or stack"],
          [3, "planned: the last writes could not be brought over in time; the active region serves again"],
          [5, "a server of a region that is needed does not answer"],
          [10, "no complete recovery point is in its bucket"],
          [11, "it is active already, or another run is promoting"],
          [12, "what was restored is not what was captured; clients were not led there"],
          [13, "more writes would be lost than are accepted; nothing was changed"],
          [14, "a hook stopped it"],
          [20, "clients are served, and `pulumi up` failed: run it again"],
        )}\n\nKilled at any point, it goes on when it is run again.`,
      ),
  async run(deps, options) {
    refuseContradictions(options);
    const access = await deps.access(options.to, options);
    if (options.divergence) return tellDivergence(deps, access, options);
    if (options.abort) return abort(deps, access, options);
    const repository = options.planned ? await access.repositoryForWriting() : await access.repository();
    if (options.plan) {
      const isPlanned = options.planned ?? false;
      const plan = await planFailover({ ...access, repository, isPlanned, point: options.point, clock: deps.clock });
      return describePlan(plan, repository);
    }
    const report = await failOver(await requestFor(deps, access, repository, options));
    if (!options.drill) return { json: report, text: inWords(report) };
    const back = await deps.access(report.from, options);
    const backRequest = await requestFor(deps, back, await back.repositoryForWriting(), {
      ...options,
      to: report.from,
    });
    const second = await failOver(backRequest);
    return { json: { there: report, back: second }, text: [inWords(report), inWords(second)].join("\n") };
  },
};

function refuseContradictions({ abort, acceptDataLoss, divergence, drill, plan, planned, unplanned }: Options): void {
  if (planned && unplanned)
    throw new DrError("USAGE", "a failover is planned or unplanned", { hint: "give one of both" });
  if (drill && !planned) {
    throw new DrError("USAGE", "a drill is a planned failover there and back", { hint: "add --planned" });
  }
  if (plan || planned || abort || divergence) return;
  if (unplanned && acceptDataLoss !== undefined) return;
  throw new DrError("USAGE", "say whether the active region lives, and what may be lost if it does not", {
    hint: "`--planned` loses nothing; `--plan` shows what would be lost, then `--unplanned --accept-data-loss <seconds>`",
  });
}

async function requestFor(
  deps: Deps,
  access: RegionAccess,
  repository: OpenRepository,
  options: Options,
): Promise<FailoverRequest> {
  const { hooks: hooksFile, planned, point, to } = options;
  const common = {
    ...{ stack: to, region: access.region, repository, database: access.database },
    ...{ gate: access.gate(), traffic: access.region.endpoint && access.traffic() },
    stacks: await deps.stacks(options),
    hooks: hooksFile === undefined ? undefined : await readHooks(hooksFile, failoverSteps, deps.progress),
    run: randomUUID(),
    ...{ clock: deps.clock, progress: deps.progress },
  };
  if (planned) {
    const handOver = await handOverBy(deps, access, repository, await deps.access(access.region.peer, options));
    return { ...common, handOver, otherControl: handOver.control, acceptedDataLossSeconds: 0 };
  }
  return {
    ...common,
    point,
    witness: access.witness(),
    otherControl: (await reachOther(deps, access.region.peer, options))?.stores.control,
    acceptedDataLossSeconds: options.acceptDataLoss ?? 0,
  };
}

async function handOverBy(
  deps: Deps,
  access: RegionAccess,
  repository: OpenRepository,
  active: RegionAccess,
): Promise<HandOver> {
  const newest = newestEpoch(await readEpochs(repository.stores.control));
  // Its own past: it was active until it was given up.
  const wasActive = newest?.previous === access.region.region && newest.active !== access.region.region;
  const replication = new Replication({
    source: { region: active.region.region, database: active.database, control: active.stores.control },
    standby: { region: access.region.region, database: access.database, repository },
    existing: wasActive ? "replace" : "refuse",
    isHandOver: true,
    ...{ toolVersion: deps.toolVersion, clock: deps.clock, progress: deps.progress },
  });
  return {
    region: active.region.region,
    database: active.database,
    control: active.stores.control,
    gate: active.gate(),
    isSuperseding: wasActive && newest?.reason === "unplanned",
    async cycle({ patience }) {
      const { applySeconds, captureSeconds, ...report } = await replication.cycle(patience);
      return { ...report, seconds: captureSeconds + applySeconds };
    },
  };
}

async function abort(deps: Deps, access: RegionAccess, options: Options): Promise<Answer> {
  const repository = await access.repository();
  const { control } = access.stores;
  const { region } = access.region;
  const newest = newestEpoch(await readEpochs(control));
  const next = (newest?.epoch ?? 0) + 1;
  const isFenced = (await readFence(control, next)) !== undefined;
  // Given up already, and the other region may not have been told.
  const isGivenUp = newest?.reason === "aborted";
  if (newest === undefined || (!isFenced && !isGivenUp)) {
    throw new DrError("USAGE", `no planned failover to ${region} is under way`, {
      hint: "`qdrant-dr status` shows the roles",
    });
  }
  const active = await deps.access(access.region.peer, options);
  const epoch = isFenced ? next : newest.epoch;
  const outcome = await giveUp(
    { repository, region: access.region, run: randomUUID(), clock: deps.clock },
    { region: newest.active, control: active.stores.control, gate: active.gate() },
    { epoch },
  );
  if (outcome === "claimed") {
    throw new DrError("ROLE_REFUSES", `${region} is the active region in epoch ${epoch} already`, {
      hint: `fail over to ${newest.active} to go back`,
    });
  }
  return {
    json: { epoch, active: newest.active },
    text: `${newest.active} stays the active region, in epoch ${epoch}`,
  };
}

async function tellDivergence(deps: Deps, access: RegionAccess, options: Options): Promise<Answer> {
  const active = await deps.access(access.region.peer, options);
  const collections = await findDivergence(access.database, active.database);
  const lines = collections.map(
    ({ different, isMissing, name, onlyThere }) =>
      `  ${name}: ${formatCount(onlyThere.length)} points only there, ${formatCount(different.length)} otherwise${isMissing ? "; the collection is only there" : ""}`,
  );
  const { region } = access.region;
  const text = lines.length === 0 ? `${region} holds nothing of its own` : `Only or otherwise in ${region}:`;
  return { json: { region, collections }, text: [text, ...lines].join("\n") };
}

function inWords(report: FailoverReport): string {
  const { dataLossSeconds, epoch, mode, pauseSeconds, region, steps } = report;
  const cost =
    mode === "planned"
      ? `nothing lost, writes paused for ${formatSeconds(pauseSeconds ?? 0)}`
      : `${formatSeconds(dataLossSeconds)} of writes may be lost`;
  const lines = steps.map(
    ({ detail, seconds, title }) => `  ${formatSeconds(seconds).padStart(8)}  ${title}: ${detail}`,
  );
  return [`${region} is active in epoch ${epoch}: ${cost}`, ...lines].join("\n");
}

async function describePlan(plan: FailoverPlan, repository: OpenRepository): Promise<Answer> {
  const { continues, dataLossSeconds, epoch, from, gateMode, held, region } = plan;
  const verb = continues ? "Would go on with" : "Would begin";
  const lines = [`${verb} epoch ${epoch}: ${region} becomes active`];
  if (held === undefined) {
    lines.push(`  ${from} is fenced, its last writes are brought over and compared: nothing is lost, and writes pause`);
    return { json: { ...plan, isPlanned: true }, text: lines.join("\n") };
  }
  const { point } = held;
  const names = point.collections.map(({ name }) => name);
  const collections = point.collections.map((captured) => ({ captured, name: captured.name }));
  const { bytes, predictedSeconds } = await estimateRestore(repository, { collections, discard: [], aliases: [] });
  lines.push(
    held.isWarm
      ? `  serves ${point.id}, which its Qdrant held at ${held.asOf.toISOString()}: ${names.join(", ")}`
      : `  restores ${point.id} of ${point.time}: ${names.join(", ")}; about ${formatSeconds(predictedSeconds)}`,
    `  writes acknowledged in the last ${formatSeconds(dataLossSeconds)} would be lost`,
  );
  if (!isExact(point)) lines.push("  the state is provisional: acknowledged deletes may be undone in it");
  lines.push(`  ${priceOf(from, gateMode)}`);
  const shown = { id: point.id, time: point.time, collections: names, isExact: isExact(point) };
  const { held: _held, ...rest } = plan;
  const facts = { isWarm: held.isWarm, asOf: held.asOf.toISOString(), bytes, predictedSeconds };
  return { json: { ...rest, isPlanned: false, point: shown, ...facts }, text: lines.join("\n") };
}

/** What the guard's setting costs when the region that is given up lives and cannot be seen. */
function priceOf(from: string, gateMode: GateMode | undefined): string {
  if (gateMode === undefined) return `${from} has no gate: if it lives, clients that reach it go on writing there`;
  if (gateMode === "consistency") {
    return `${from} serves until its lease runs out, and this region not before: both never take writes at once`;
  }
  return `if ${from} lives and cannot see this region, its clients go on writing there until it does; \`--divergence\` tells what`;
}

/** The lost region's outputs may be in a backend that still answers; its store most likely does not. */
async function reachOther(deps: Deps, peer: string, options: Options): Promise<RegionAccess | undefined> {
  if (options.outputs !== undefined) return undefined;
  try {
    return new RegionAccess(await (await deps.stacks(options)).region(peer));
  } catch (error) {
    deps.progress({ step: "assess", detail: `the other region cannot be told: ${toDrError(error).message}` });
    return undefined;
  }
}
