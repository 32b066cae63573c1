import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import { type DrillEvidence, missedObjectives } from "../../domain/drill-evidence.ts";
import { formatCount, formatSeconds } from "../../domain/format.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
import { DrError, toDrError } from "../../errors.ts";
import { drillPage } from "../../report/drill-page.ts";
import { type DrillReport, drill as rehearse } from "../../workflows/drill/drill.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { type Answer, type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { count, listOf, recoveryPointId, seconds, time, timedStep } from "../shared/fields.ts";
import { openThrowaway } from "../shared/named-qdrant.ts";
import { keepReport } from "../shared/report-files.ts";
import type { TargetOptions } from "../shared/role-change.ts";

interface Options extends TargetOptions {
  readonly throwaway?: string | undefined;
  readonly report?: string | undefined;
}

const answer = z.strictObject({
  region: z.string().describe("the region whose promotion was rehearsed"),
  from: z.string().describe("the region that would have been lost"),
  recoveryPoint: recoveryPointId.describe("the recovery point that would be served"),
  recoveryPointTime: time,
  rtoSeconds: seconds.describe(
    "from the command of a failover until its gate is open, with the wait for a lease where gates work with leases",
  ),
  rpoSeconds: seconds.describe("writes acknowledged in so many seconds before the drill would have been lost"),
  missed: listOf(z.string()).describe("what is longer than the region's objectives promise"),
  isExact: z.boolean().describe("false: deletes since an optimization began may be undone in the recovery point"),
  isWarm: z
    .boolean()
    .describe(
      "the region's Qdrant holds the recovery point, and the throwaway one was brought to it before time was taken",
    ),
  absent: listOf(z.string()).describe("collections that would not be served, because no capture could read them"),
  points: count.describe("Qdrant points that would be served"),
  searches: count.describe("searches by the index that found points"),
  slowestSearchMs: z.number().describe("milliseconds of the slowest search"),
  notRehearsed: listOf(z.string()).describe("what a failover does beside: its time is not among the seconds"),
  steps: listOf(timedStep),
  startedAt: time,
  seconds: seconds.describe("from the start of the drill to its end"),
  report: z.string().optional().describe("path of the page about this drill; absent when it could not be written"),
});
type DrillAnswer = z.infer<typeof answer>;

export const drill: CommandDefinition<Options, DrillAnswer> = {
  name: "drill",
  summary:
    "rehearse a failover in a throwaway region, without touching clients, and say how long it takes and what is lost",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option(
        "--to <stack>",
        "stack of the standby whose promotion is rehearsed; left out: the region of the settings file",
      )
      .option(
        "--throwaway <urls>",
        "an empty Qdrant that is promoted and emptied again, its key in QDRANT_API_KEY; left out: testRestore.qdrant of the settings file",
      )
      .option("--report <file>", "where the page about this drill is written, and its JSON beside it")
      .addHelpText(
        "after",
        `${exitCodesHelp(
          [2, "wrong option or stack, or no Qdrant to rehearse in"],
          [4, "the disk of the throwaway Qdrant is too small"],
          [5, "a server that a failover needs does not answer, or refuses what it is asked"],
          [10, "no complete recovery point is in the bucket"],
          [11, "the region is the active one, or the throwaway Qdrant is not empty"],
          [12, "what was restored is not what was captured, or searches find nothing"],
          [13, "it takes longer, or loses more, than the objectives promise"],
        )}

It does the steps of \`failover run\` with a control store in memory, a gate that nobody reaches, and the throwaway Qdrant. No role
changes, no gate closes, replication goes on. What is left is a record of the run, which \`logs\` shows. Killed at any point, the
next drill removes what it left.`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    return recordedRun({ ...deps, session, run: "drill" }, () => rehearsed(deps, session, options), {
      shortcomingOf: ({ shortcoming }) => shortcoming,
      foundOf: ({ json: { points, recoveryPoint, rpoSeconds, rtoSeconds, searches } }) => ({
        drill: { points, recoveryPoint, rpoSeconds, rtoSeconds, searches },
      }),
    });
  },
};

async function rehearsed(deps: Deps, session: RegionSession, options: Options): Promise<Answer<DrillAnswer>> {
  const { clock, toolVersion } = deps;
  const { objectives, region } = session.region;
  const startedAt = clock.now().toISOString();
  const steps: TimedStep[] = [];
  const keep = (outcome: DrillEvidence["outcome"]) => {
    const endedAt = clock.now().toISOString();
    const evidence = { format: 1, region, toolVersion, startedAt, endedAt, steps, objectives, outcome } as const;
    const page = drillPage(evidence);
    return keepReport(deps, { file: options.report, about: `drill-${region}`, startedAt, page, evidence });
  };
  let report: DrillReport;
  try {
    const throwaway = await openThrowaway(deps, session, options);
    report = await rehearse({ ...deps, ...throwaway, session, onStep: (step) => steps.push(step) });
  } catch (error) {
    const { code, hint, message } = toDrError(error);
    await keep({ isDone: false, code, message, hint });
    throw error;
  }
  const {
    startedAt: _startedAt,
    region: _region,
    steps: _steps,
    recoveryPointTime: _time,
    seconds: _,
    ...found
  } = report;
  const page = await keep({ isDone: true, ...found });
  const missed = missedObjectives(report, objectives);
  return {
    json: { ...report, missed, report: page },
    text: inWords(report, missed, page),
    shortcoming:
      missed.length === 0
        ? undefined
        : new DrError(
            "OBJECTIVE_MISSED",
            `a failover to ${region} does not do what is promised: ${missed.join("; ")}`,
            {
              hint: "see which step takes long; a standby that is followed closely takes over faster and loses less",
            },
          ),
  };
}

function inWords(report: DrillReport, missed: readonly string[], page: string | undefined): string {
  const { absent, from, notRehearsed, points, recoveryPoint, region, rpoSeconds, rtoSeconds, searches, steps } = report;
  return [
    `${region} can take over from ${from} in ${formatSeconds(rtoSeconds)}, and ${formatSeconds(rpoSeconds)} of writes would be lost`,
    `  ${recoveryPoint}: ${formatCount(points)} points; ${formatCount(searches)} searches by the index found points`,
    ...missed.map((each) => `  not what is promised: ${each}`),
    ...(absent.length === 0 ? [] : [`  not served, because no capture could read them: ${absent.join(", ")}`]),
    ...notRehearsed.map((each) => `  not rehearsed: ${each}`),
    ...steps.map(({ detail, seconds, title }) => `  ${formatSeconds(seconds).padStart(8)}  ${title}: ${detail}`),
    ...(page === undefined ? [] : [`Report  ${page}`]),
  ].join("\n");
}
