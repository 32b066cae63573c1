import { randomUUID } from "node:crypto";
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps } from "../compose.ts";
import { formatSeconds } from "../domain/format.ts";
import { newestEpoch } from "../domain/roles/epoch.ts";
import { DrError, toDrError } from "../errors.ts";
import { readEpochs } from "../repository/control/epochs.ts";
import { readFence } from "../repository/control/gate-records.ts";
import { giveUp } from "../workflows/failover/hand-over.ts";
import { type Answer, type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";
import { tellDivergence } from "./failover-divergence.ts";
import { besides, failOverWithEvidence, type KeptFailover } from "./failover-evidence.ts";
import { tellPlan } from "./failover-plan.ts";
import { type FailoverOptions, requestFor } from "./failover-request.ts";

interface Options extends FailoverOptions {
  readonly plan?: boolean;
  readonly unplanned?: boolean;
  readonly drill?: boolean;
  readonly abort?: boolean;
  readonly divergence?: boolean;
  readonly against?: string;
  readonly report?: string;
}

export const failover: CommandDefinition<Options> = {
  name: "failover",
  summary: "make the other region the active one: planned with nothing lost, or unplanned after a disaster",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--to <stack>", "stack of the region to promote")
      .option("--plan", "say what would happen, what would be lost and what stands in the way, and change nothing")
      .option("--planned", "both regions live: fence the active one, bring its last writes over, lose nothing")
      .option("--unplanned", "the active region is lost: do not ask it anything")
      .option("--accept-data-loss <seconds>", "the most seconds of acknowledged writes that may be lost", parseNumber)
      .option("--point <id>", "another recovery point than the newest: what was acknowledged after it is lost")
      .option("--drill", "with --planned: fail over and back again")
      .option("--abort", "give a planned failover up that did not end: the region that was active serves again")
      .option("--divergence", "report id by id what this region holds and the active one does not, and change nothing")
      .option(
        "--against <urls>",
        "with --divergence, after an unplanned failover: compare with the point that was served, restored into this Qdrant (`restore --to`, its key in QDRANT_API_KEY): tells deletes that were lost, too, and nothing that was written since",
      )
      .option("--hooks <file>", "JSON: commands to run before and after steps (approvals, notices), limits for queries")
      .option("--report <file>", "where the page about this run is written, and its JSON beside it")
      .addHelpText(
        "after",
        `${exitCodesHelp(
          [2, "wrong option or stack"],
          [3, "planned: the last writes could not be brought over in time; the active region serves again"],
          [5, "a server of a region that is needed does not answer, or refuses what it is asked"],
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
    if (options.plan) return tellPlan(deps, access, options);
    const repository = options.planned ? await access.repositoryForWriting() : await access.repository();
    const there = await failOverWithEvidence(deps, await requestFor(deps, access, repository, options), options.report);
    if (!options.drill) return { json: asJson(there), text: inWords(there) };
    const back = await goBack(deps, there, options);
    return { json: { there: asJson(there), back: asJson(back) }, text: [inWords(there), inWords(back)].join("\n") };
  },
};

/** The second half of a drill. */
async function goBack(deps: Deps, { report: { from, region } }: KeptFailover, options: Options): Promise<KeptFailover> {
  try {
    const access = await deps.access(from, options);
    const repository = await access.repositoryForWriting();
    const request = await requestFor(deps, access, repository, { ...options, to: from });
    return await failOverWithEvidence(deps, request, besides(options.report));
  } catch (error) {
    const { code, message } = toDrError(error);
    throw new DrError(code, `${region} is active, and the way back failed: ${message}`, {
      hint: `when that is mended, \`qdrant-dr failover --to ${from} --planned\` ends the drill`,
      cause: error,
    });
  }
}

function refuseContradictions({
  abort,
  acceptDataLoss,
  against,
  divergence,
  drill,
  plan,
  planned,
  unplanned,
}: Options): void {
  if (planned && unplanned)
    throw new DrError("USAGE", "a failover is planned or unplanned", { hint: "give one of both" });
  if (drill && !planned) {
    throw new DrError("USAGE", "a drill is a planned failover there and back", { hint: "add --planned" });
  }
  if (against !== undefined && !divergence)
    throw new DrError("USAGE", "--against says what is compared", { hint: "add --divergence" });
  if (plan || planned || abort || divergence) return;
  if (unplanned && acceptDataLoss !== undefined) return;
  throw new DrError("USAGE", "say whether the active region lives, and what may be lost if it does not", {
    hint: "`--planned` loses nothing; `--plan` shows what would be lost, then `--unplanned --accept-data-loss <seconds>`",
  });
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

function asJson({ page, report }: KeptFailover): object {
  return page === undefined ? report : { ...report, report: page };
}

function inWords({ page, report }: KeptFailover): string {
  const { dataLossSeconds, epoch, mode, pauseSeconds, region, steps } = report;
  const cost =
    mode === "planned"
      ? `nothing lost, writes paused for ${formatSeconds(pauseSeconds ?? 0)}`
      : `${formatSeconds(dataLossSeconds)} of writes may be lost`;
  const lines = steps.map(
    ({ detail, seconds, title }) => `  ${formatSeconds(seconds).padStart(8)}  ${title}: ${detail}`,
  );
  const where = page === undefined ? [] : [`Report  ${page}`];
  return [`${region} is active in epoch ${epoch}: ${cost}`, ...lines, ...where].join("\n");
}
