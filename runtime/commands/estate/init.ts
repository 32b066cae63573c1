import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import {
  type Foundation,
  foundationHint,
  parseFoundation,
  parseStoreKeys,
  type StoreKeys,
} from "../../domain/settings/foundation.ts";
import { firstTrust } from "../../domain/trust/first-trust.ts";
import type { Trust } from "../../domain/trust/trust.ts";
import { DrError } from "../../errors.ts";
import { initEstate } from "../../workflows/init/init-estate.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { count, recoveryPointId, time } from "../shared/fields.ts";

interface Options {
  readonly foundation: string;
  readonly credentials?: string;
  readonly signingKeyFile?: string;
}

const epoch = z.strictObject({
  epoch: count,
  active: z.string().describe("the region that is active from this epoch on"),
  previous: z.string().optional().describe("the region that was active before"),
  reason: z.enum(["initial", "switchover", "failover", "aborted"]),
  run: z.string().describe("id of the run that made it"),
  recoveryPoint: recoveryPointId.optional().describe("the recovery point that the region began to serve"),
  asOf: time.optional().describe("every write acknowledged before this is in it"),
  at: time,
});

const answer = z.strictObject({
  first: epoch.describe("the first epoch, as it stands in every control store"),
  newest: epoch.describe("the newest one: another when the active region changed since"),
  settings: z.record(z.string(), z.string()).describe("by region: lines for its stack's settings file"),
});

export const estateInit: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "estate init",
  summary:
    "write the first epoch, which names the region that serves first, and show what the stacks are configured with",
  answer,
  configure: (command) =>
    command
      .requiredOption(
        "--foundation <file>",
        "outputs of the foundation, as `pulumi stack output --json --cwd bootstrap` writes them",
      )
      .option(
        "--credentials <file>",
        "JSON with each region's access key to its control store; a region that it does not name takes the environment's",
      )
      .option(
        "--signing-key-file <file>",
        "the operator's key that the first epoch is signed with; otherwise it is in QDRANT_DR_SIGNING_KEY",
      )
      .addHelpText(
        "after",
        exitCodesHelp([5, "a control store does not answer"], [11, "the control stores belong to another estate"]),
      ),
  async run(deps, { credentials, foundation: file, signingKeyFile }) {
    const foundation = parseFoundation(await readGiven(file, "the foundation's outputs", foundationHint));
    const keysHint = "give the file with the access keys of the control stores";
    const keys =
      credentials === undefined
        ? {}
        : parseStoreKeys(await readGiven(credentials, "the stores' keys", keysHint), foundation);
    const signing = await operatorsKey(deps, signingKeyFile);
    const trust = firstTrust(foundation, signing);
    const { first, newest } = await initEstate({
      initialActive: foundation.initialActive,
      controls: controlsOf(foundation, deps, { trust, signing, keys }),
      run: randomUUID(),
      now: deps.clock.now(),
    });
    const settings = settingsOf(foundation, trust);
    const since = newest.epoch === 1 ? "" : `; since then ${newest.active} became active, in epoch ${newest.epoch}`;
    const lines = Object.entries(settings).map(([region, text]) => `\nInto Pulumi.${region}.yaml:\n${text}`);
    return {
      json: { first: asJson(first), newest: asJson(newest), settings },
      text: [`Epoch 1 stands in both control stores: ${first.active} serves first${since}.`, ...lines].join("\n"),
    };
  },
};

function asJson({ recoveryPoint, ...epoch }: EpochRecord): z.infer<typeof answer>["first"] {
  return { ...epoch, recoveryPoint };
}

async function readGiven(file: string, what: string, hint: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new DrError("USAGE", `${what} cannot be read: ${(cause as Error).message}`, { hint, cause });
  }
}

function controlsOf(
  { regions }: Foundation,
  deps: Deps,
  { keys: storeKeys, signing, trust }: { readonly keys: StoreKeys; readonly signing: string; readonly trust: Trust },
) {
  const keys = { recipients: [], signing };
  return new Map(
    Object.entries(regions).map(([region, { stores }]) => [
      region,
      deps.signedStore({ region, trust, keys }, "control", {
        kind: "s3",
        ...stores.control,
        credentials: storeKeys[region],
      }),
    ]),
  );
}

async function operatorsKey(deps: Deps, file: string | undefined): Promise<string> {
  const key = await deps.signingKey(file);
  if (key !== undefined) return key;
  throw new DrError("USAGE", "the first epoch is to be signed, and no operator's key is given", {
    hint: "make one with `qdrant-dr keys new --name <you>`, and give it with --signing-key-file",
  });
}

/** Writes lines of a settings file; JSON is YAML, too. */
function settingsOf({ regions }: Foundation, trust: Trust): Record<string, string> {
  const lineOf = (name: string, value: unknown) => `  qdrant-dr:${name}: ${JSON.stringify(value)}`;
  return Object.fromEntries(
    Object.entries(regions).map(([region, { aws, stores }]) => [
      region,
      [lineOf("trust", trust), lineOf("stores", stores), ...(aws === undefined ? [] : [lineOf("aws", aws)])].join("\n"),
    ]),
  );
}
