import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { readyParts } from "../../runtime/adapters/parts.ts";
import {
  type Answer,
  type CommandDefinition,
  exitCodesHelp,
  parseNumber,
  parsePort,
} from "../../runtime/commands/shared/command.ts";
import {
  bytes,
  count,
  listOf,
  recoveryPointId,
  seconds,
  time,
  timedStep,
} from "../../runtime/commands/shared/fields.ts";
import { projectFolder } from "../../runtime/composition/compose.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { formatSeconds } from "../../runtime/domain/format.ts";
import { captureTypes } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { DrError } from "../../runtime/errors.ts";
import { EmbeddedEstate, removeKeptEstates, sweepEstates } from "../adapters/embedded-estate.ts";
import type { PracticeResult } from "../domain/practice-result.ts";
import { practiceGround } from "../practice-ground.ts";
import { reportPage } from "../report/report-page.ts";
import { resultTable } from "../report/result-table.ts";
import { practiseDisaster } from "../workflow/practise-disaster.ts";

interface Options {
  readonly keep?: boolean;
  readonly stop?: boolean;
  readonly points: number;
  readonly port?: number;
  readonly report?: string;
}

const objectives = { rtoMinutes: 30, rpoMinutes: 15 };

const practised = z.strictObject({
  rtoSeconds: seconds.describe(
    "from the kill to the first write acknowledged and read back, by a client that never stopped",
  ),
  rpoSeconds: seconds.describe("from the oldest acknowledged write that was lost to the kill; 0 when none was lost"),
  rtoObjectiveSeconds: seconds,
  rpoObjectiveSeconds: seconds,
  lostWrites: count,
  acknowledgedWrites: count,
  pointsBefore: count.describe("number of Qdrant points in the primary before the kill"),
  pointsAfter: count.describe("number of Qdrant points in the standby when clients are served again"),
  verified: z.boolean(),
  startedAt: time,
  killedAt: time,
  servedAt: time,
  steps: listOf(timedStep),
  failover: listOf(timedStep).describe("the steps of the failover"),
  collections: listOf(
    z.strictObject({
      name: z.string(),
      pointsBefore: count,
      pointsAfter: count,
      acknowledgedWrites: count,
      lostIds: listOf(z.number()).describe("ids of acknowledged writes that are not in the standby"),
    }),
  ),
  points: listOf(
    z.strictObject({
      id: recoveryPointId,
      type: z.enum(captureTypes),
      time,
      isExact: z.boolean(),
      readBytes: bytes,
      storedBytes: bytes,
    }),
  ).describe("the recovery points that were captured"),
  restoredPoint: recoveryPointId.describe("the recovery point that was restored"),
  proofs: listOf(z.strictObject({ claim: z.string(), evidence: z.string() })),
  versions: z.record(z.string(), z.string()).readonly(),
  report: z.string().describe("path of the report page"),
  estate: z.string().optional().describe("with --keep: id of the estate"),
});

const stopped = z.strictObject({ stopped: listOf(z.string()).describe("ids of the estates that were removed") });

const answer = z.union([practised, stopped.describe("with --stop")]);

export const quickstart: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "quickstart",
  summary: "set up what is missing, then practise a disaster on two regions on this machine",
  answer,
  configure: (command) =>
    command
      .option("--keep", "leave the estate up afterwards, and print how to reach and to stop it")
      .option("--stop", "end and remove every estate that was kept")
      .option("--points <number>", "points to load from the workspace's documents", parseNumber, 22_000)
      .option("--port <port>", "port of the public endpoint on 127.0.0.1; a free one when left out", parsePort)
      .option("--report <file>", "where the report page is written")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option"],
          [4, "a part, a port or disk space is missing"],
          [12, "what came back is not what was there"],
          [13, "an objective was missed"],
          [20, "pulumi failed"],
        ),
      ),
  async run(deps, options) {
    if (options.stop) {
      const stopped = [...(await removeKeptEstates()), ...(await sweepEstates())];
      return {
        json: { stopped },
        text: stopped.length === 0 ? "No estate was kept." : `Stopped and removed: ${stopped.join(", ")}`,
      };
    }
    const versions = { node: process.versions.node, ...(await readyParts(["pulumi", "qdrant", "seaweedfs"])) };
    for (const id of await sweepEstates())
      deps.progress({ step: "clean up", detail: `${id}, left by a run that was killed` });
    const report = resolve(options.report ?? join(projectFolder, ".qdrant-dr", "reports", `${reportName(deps)}.html`));
    const estate = EmbeddedEstate.name();
    const removeAtExit = deps.onInterrupt(() => estate.remove());
    let isKept = false;
    try {
      await estate.make(options.port);
      await mkdir(dirname(report), { recursive: true });
      const result = await practise(deps, estate, options, versions, report);
      await writeFile(report, reportPage(result));
      if (options.keep) {
        await estate.keep();
        isKept = true;
      }
      if (!options.keep) return judged(result);
      return judged({ ...result, estate: estate.id }, await howToUse(estate));
    } finally {
      removeAtExit();
      if (!isKept) await estate.remove();
    }
  },
};

function practise(
  deps: Deps,
  estate: EmbeddedEstate,
  { points }: Options,
  versions: Readonly<Record<string, string>>,
  report: string,
): Promise<PracticeResult> {
  const ground = practiceGround({ ...deps, estate, workspace: projectFolder, totalPoints: points, versions });
  return practiseDisaster({
    estate: ground,
    clock: deps.clock,
    progress: deps.progress,
    onStep: ({ ended, title }) =>
      deps.progress(
        ended === undefined ? { step: title } : { step: `  ${formatSeconds(ended.seconds)}`, detail: ended.detail },
      ),
    objectives,
    report,
  });
}

/** A practice that showed a loss or a miss is not a success, whatever it restored. */
function judged(result: PracticeResult, afterword = ""): Answer<PracticeResult> {
  const tableIn = (colour: boolean) => resultTable(result, { width: process.stdout.columns ?? 100, colour });
  const table = tableIn(false);
  if (!result.verified) {
    throw new DrError("VERIFICATION_FAILED", `the data after the failover are not those from before it\n${table}`, {
      hint: `see ${result.report}`,
    });
  }
  if (result.rtoSeconds > result.rtoObjectiveSeconds || result.rpoSeconds > result.rpoObjectiveSeconds) {
    throw new DrError("OBJECTIVE_MISSED", `an objective was missed\n${table}`, { hint: `see ${result.report}` });
  }
  const text = tableIn(process.stdout.isTTY);
  return { json: result, text: afterword === "" ? text : `${text}\n\n${afterword}`, isStyled: true };
}

async function howToUse(estate: EmbeddedEstate): Promise<string> {
  const { endpoint, qdrant } = await estate.stacks.region("standby");
  return [
    `Estate ${estate.id} is up:`,
    `  public endpoint    ${endpoint?.url}`,
    `  standby's Qdrant   ${qdrant.peers[0]}`,
    `  see it             ./bin/qdrant-dr status --estate ${estate.id} --stack standby`,
    "  stop and remove    ./bin/qdrant-dr quickstart --stop",
  ].join("\n");
}

function reportName({ clock }: Deps): string {
  return `quickstart-${clock.now().toISOString().replaceAll(/[:.]/g, "-")}`;
}
