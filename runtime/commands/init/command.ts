import { randomUUID } from "node:crypto";
import { z } from "zod";
import { type InitReport, initRegion } from "../../workflows/init/init-region.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { count, listOf } from "../shared/fields.ts";

interface Options {
  readonly qdrant?: string;
  readonly store?: string;
  readonly apiKeyFile?: string;
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly region?: string;
  readonly peer?: string;
  readonly settings?: string;
  readonly offlineKeyFile?: string;
  readonly yes?: boolean;
}

const answer = z.strictObject({
  settings: z.string().describe("path of the settings file"),
  region: z.string().describe("how the region is called"),
  isNew: z.boolean().describe("false: the settings file was there already, and is as it was"),
  qdrantVersion: z.string().describe("version of Qdrant"),
  collections: count.describe("number of its collections"),
  holdsRecoveryPoints: z.boolean().describe("the store held recovery points already"),
  store: z.string().describe("where recovery points are kept, as the settings say it"),
  identityFile: z.string().optional().describe("path of the operational identity; absent when a variable holds it"),
  offlineKeyFile: z
    .string()
    .optional()
    .describe("path of the offline recovery identity; absent when it was shown, or the settings are not new"),
  epoch: count.describe("the epoch in which the region is active"),
  peerSettings: z.string().optional().describe("with --peer: lines for the peer's settings file"),
  warnings: listOf(z.string()).describe("what is not as it should be, and stopped nothing"),
});

export const init: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "init",
  summary: "protect a Qdrant at a URL: try out it and a store, make keys, write the settings file",
  answer,
  configure: (command) =>
    command
      .option(
        "--qdrant <url>",
        "URL of its REST API with the port; of a cluster the URL of each peer, separated by commas",
      )
      .option("--store <place>", "where recovery points are kept: a folder, or s3://bucket/prefix")
      .option(
        "--api-key-file <file>",
        "Qdrant's full key is in this file; otherwise it is in QDRANT_API_KEY, if it has one",
      )
      .option("--s3-endpoint <url>", "the S3 server; AWS when left out")
      .option("--s3-region <name>", "its region; AWS_REGION or the profile's when left out")
      .option(
        "--region <name>",
        "how the region is called in recovery points and records; main when left out, standby with --peer",
      )
      .option("--peer <file>", "become the standby of the region that this settings file of another machine describes")
      .option(
        "--settings <file>",
        "the settings file to write; QDRANT_DR_SETTINGS or qdrant-dr.yaml here when left out",
      )
      .option(
        "--offline-key-file <file>",
        "write the offline recovery identity to this file, to be moved elsewhere, or take the one that is there; it is shown once when left out",
      )
      .option("--yes", "ask nothing")
      .addHelpText(
        "after",
        `${exitCodesHelp(
          [2, "wrong option, a version of Qdrant or a store that cannot be used, or other settings are there already"],
          [5, "Qdrant or the store does not answer, or refuses what is needed"],
          [10, "the store holds recovery points made with other keys"],
          [11, "the store belongs to another region"],
        )}

Credentials of S3 come from the environment, a profile, SSO, or a role of this machine. What is written: the settings file, and beside it
the operational identity, both readable for their owner only. Nothing is ever replaced. Killed at any point and run again, it goes on.`,
      ),
  async run(deps, options) {
    const { yes: asksNothing = false, ...given } = options;
    const report = await initRegion({
      ...given,
      asksNothing,
      apiKeyInEnvironment: process.env["QDRANT_API_KEY"],
      tools: deps.initTools,
      run: randomUUID(),
      clock: deps.clock,
      progress: deps.progress,
    });
    return { json: { ...report }, text: describe(report) };
  },
};

/** As on a machine that takes the place of a lost one. */
const restoreFirst = "restore (the store holds recovery points, and this Qdrant is empty)";

function describe(report: InitReport): string {
  const {
    collections,
    holdsRecoveryPoints,
    identityFile,
    isNew,
    offlineKeyFile,
    peerSettings,
    qdrantVersion,
    region,
    settings,
    store,
    warnings,
  } = report;
  return [
    isNew
      ? `${settings} is written: region ${region}`
      : `${settings} is there already, and as it was: region ${region}`,
    `  Qdrant ${qdrantVersion}, ${collections} collections; recovery points in ${store}`,
    ...(identityFile === undefined ? [] : [`  operational identity: ${identityFile}`]),
    ...(offlineKeyFile === undefined
      ? []
      : [`  offline recovery identity: ${offlineKeyFile}; move it off this machine`]),
    ...warnings.map((warning) => `  ${warning}`),
    ...(peerSettings === undefined
      ? [`Next: qdrant-dr ${holdsRecoveryPoints && collections === 0 ? restoreFirst : "backup"}`]
      : ["Into the settings file of the peer, with the places where secrets are there:", peerSettings.trimEnd()]),
  ].join("\n");
}
