/** The composition root: from options to adapters. */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../../package.json" with { type: "json" };
import { ageIdentities } from "../adapters/age-identities.ts";
import { LocalFolders } from "../adapters/folders/folder-target.ts";
import { FolderOfNewFiles } from "../adapters/folders/new-files.ts";
import { openSnapshotFile } from "../adapters/folders/snapshot-file.ts";
import { TextFolder } from "../adapters/folders/text-folder.ts";
import { readHooks } from "../adapters/hook-commands.ts";
import { KubernetesCluster } from "../adapters/kubernetes/kubernetes-cluster.ts";
import { LocalNoteFile } from "../adapters/local-note-file.ts";
import { OwnProcesses } from "../adapters/own-processes.ts";
import { isCheckout, readyParts } from "../adapters/parts.ts";
import { privateFiles } from "../adapters/private-files.ts";
import { PulumiStacks } from "../adapters/pulumi/pulumi-stacks.ts";
import { Qdrant } from "../adapters/qdrant/qdrant.ts";
import {
  findSettingsFile,
  parseSettings,
  settingsFileName,
  settingsPath,
  settingsVariable,
} from "../adapters/settings-file.ts";
import { openPruner } from "../adapters/stores/open-pruner.ts";
import { openStore, prepareStore } from "../adapters/stores/open-store.ts";
import { storeProtection } from "../adapters/stores/store-protection.ts";
import { tryWriterRights } from "../adapters/stores/writer-rights.ts";
import { processTerminal } from "../adapters/terminal.ts";
import { ThisProcess } from "../adapters/this-process.ts";
import { identityIn } from "../domain/age-identity.ts";
import { regionSchema } from "../domain/region.ts";
import { parseStackName } from "../domain/stack-name.ts";
import { breakGlassKey } from "../domain/trust/break-glass.ts";
import { signingKeyIn } from "../domain/trust/signing-key.ts";
import { DrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";
import { systemClock } from "../time/system-clock.ts";
import { stepNames } from "../workflows/failover/step-names.ts";
import { readAlertReceivers } from "./alert-receivers.ts";
import type { Deps, RegionOptions } from "./deps.ts";
import { openSignedStore } from "./open-signed-store.ts";
import { RegionAccess } from "./region-access.ts";
import { runGate } from "./run-gate.ts";
import { readSettingsRegion } from "./settings-region.ts";

export const projectFolder = fileURLToPath(new URL("../..", import.meta.url));

/** Holds an operator's signing key. */
const signingVariable = "QDRANT_DR_SIGNING_KEY";

/** The surroundings that the program gives to a command. */
export interface Surroundings extends Pick<Deps, "progress" | "onInterrupt"> {
  /** The stacks of a practice estate that was kept. Without it no estate can be named. */
  openEstate?(id: string): Promise<PulumiStacks>;
}

export async function compose({ openEstate, ...surroundings }: Surroundings): Promise<Deps> {
  // Stacks that are found by their region's name are of the same project.
  let owner = "";
  const stacks = async ({ estate }: RegionOptions) => {
    if (estate !== undefined) {
      if (openEstate !== undefined) return openEstate(estate);
      throw new DrError("NOT_SUPPORTED", `this program opens no estate, and ${estate} was named`, {
        hint: "leave out --estate, or use `bin/qdrant-dr` of a checkout",
      });
    }
    const ready = () => readyParts(["pulumi"]);
    return new PulumiStacks({ folder: projectFolder, env: {}, owner, looksFirst: true, ready });
  };
  const access: Deps["access"] = async (name, options) => {
    const identity = await readIdentity(options.identityFile);
    const signingKey = await readSigningKey(options.signingKeyFile, process.env);
    const file = isOfStack(options) ? undefined : await findSettingsFile(options.settings, process.env);
    if (file !== undefined && (options.settings !== undefined || name === undefined || isOf(file, name))) {
      if (name !== undefined && !isOf(file, name)) throw notInSettings(file, name);
      const region = await readSettingsRegion(file, name ?? file.settings.region, { identity, signingKey });
      return new RegionAccess(region, { identity, origin: "settings" });
    }
    if (name === undefined) throw noRegionNamed();
    const named = parseStackName(name);
    if (named.owner !== "") owner = named.owner;
    const region =
      options.outputs === undefined
        ? await (await stacks(options)).region(named.region)
        : await readOutputs(await outputsFile(options.outputs, named.region));
    if (region.region !== named.region) {
      throw new DrError("USAGE", `the outputs are of region ${region.region}, and ${named.region} was asked for`, {
        hint: "name the region whose outputs these are, or give the outputs of the other one",
      });
    }
    return new RegionAccess(region, {
      identity,
      signingKey: signingKey ?? breakGlassKey(region.trust, identity),
      origin: options.outputs === undefined ? "stack" : "outputs",
    });
  };
  return {
    clock: systemClock,
    ...surroundings,
    toolVersion: manifest.version,
    runner: new ThisProcess(),
    // Beside what a package or an image holds nobody looks for reports, or may write any.
    reportsFolder: join(isCheckout ? projectFolder : process.cwd(), ".qdrant-dr", "reports"),
    stacks,
    cluster: (settings) => KubernetesCluster.open(settings),
    store: openStore,
    signedStore: openSignedStore,
    signingKey: (file) => readSigningKey(file, process.env),
    pruner: openPruner,
    storeProtection,
    writerRights: tryWriterRights,
    folderTarget: new LocalFolders(),
    textFiles: (folder, how) => new TextFolder(folder, how),
    snapshotFile: openSnapshotFile,
    newFiles: (folder) => new FolderOfNewFiles(folder),
    database: (peers, apiKey) => new Qdrant({ peers, apiKey }),
    hooks: (file, askQueries) => readHooks(file, stepNames, surroundings.progress, askQueries, systemClock),
    async serveMetrics(address, samples, problem) {
      // Loaded on demand: only `exporter` and `serve` need the library.
      const { MetricsServer } = await import("../adapters/metrics-server.ts");
      return MetricsServer.start(address, samples, problem);
    },
    ownCommands: (lastArgs) => {
      const [node, program = ""] = process.argv;
      return new OwnProcesses([node ?? process.execPath, ...process.execArgv, program], lastArgs);
    },
    alertReceivers: readAlertReceivers,
    localNote: (about) => new LocalNoteFile(about, process.env),
    settings: ({ settings }) => findSettingsFile(settings, process.env),
    access,
    runGate: (file) => runGate(file, () => findSettingsFile(file.path, process.env)),
    initTools: {
      terminal: processTerminal,
      files: privateFiles,
      identities: ageIdentities,
      settingsPath: (named) => settingsPath(named, process.env),
      readSettings: async (path) =>
        (await privateFiles.read(path)) === undefined ? undefined : findSettingsFile(path, process.env),
      parseSettings,
      openSettings: (path, name) => access(name, { settings: path }),
      open: (region) => new RegionAccess(region, { origin: "settings" }),
      prepareStore,
    },
  };
}

/** What names a stack leads to no settings file. */
function isOfStack({ estate, outputs, settings }: RegionOptions): boolean {
  if (estate === undefined && outputs === undefined) return false;
  if (settings === undefined) return true;
  throw new DrError("USAGE", "--settings, --estate and --outputs exclude each other", {
    hint: "a settings file is of one Qdrant; the other two are of a stack",
  });
}

function isOf({ settings }: SettingsFile, name: string): boolean {
  return settings.region === name || settings.peer?.region === name;
}

function notInSettings({ path, settings }: SettingsFile, name: string): DrError {
  return new DrError("USAGE", `${path} is of the region ${settings.region}, and ${name} was asked for`, {
    hint: "leave the name out, or leave --settings out for a stack",
  });
}

function noRegionNamed(): DrError {
  return new DrError("USAGE", `no region is named: there is no ${settingsFileName} here, and no --stack`, {
    hint: `make a settings file for a Qdrant with \`qdrant-dr init\`, name one with --settings or ${settingsVariable}, or name a stack with --stack`,
  });
}

const outputsHint = "write it with `pulumi stack output region --json --show-secrets`, readable for its owner only";

async function outputsFile(path: string, stack: string): Promise<string> {
  // A missing file is reported when it is read.
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? join(path, `${stack}.json`) : path;
}

async function readOutputs(path: string) {
  const result = regionSchema.safeParse(await readJson(path));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const problem = `${issue?.path.join(".")}: ${issue?.message}`;
  throw new DrError("SETTING_INVALID", `${path} does not hold the outputs of a region (${problem})`, {
    hint: outputsHint,
  });
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    // The parser's message repeats the text, which holds secrets.
    const reason = (cause as NodeJS.ErrnoException).code ?? "it is not JSON";
    throw new DrError("SETTING_INVALID", `${path} cannot be read: ${reason}`, { hint: outputsHint });
  }
}

/** An operator's own: in a file, or in the variable where a file is in nobody's way, as in CI. */
async function readSigningKey(path: string | undefined, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const inVariable = env[signingVariable] || undefined;
  if (path === undefined && inVariable === undefined) return undefined;
  const where = path ?? signingVariable;
  const hint = "give the line that begins with QDRANT-DR-SIGNING-KEY-, as `qdrant-dr keys new` wrote it";
  let text = inVariable ?? "";
  if (path !== undefined) {
    try {
      text = await readFile(path, "utf8");
    } catch (cause) {
      throw new DrError("SETTING_INVALID", `the signing key file ${path} cannot be read`, { hint, cause });
    }
  }
  const key = signingKeyIn(text);
  if (key !== undefined) return key;
  throw new DrError("SETTING_INVALID", `${where} holds no signing key, or one that is cut`, { hint });
}

const identityHint = "give a file with the line that begins with AGE-SECRET-KEY-";

async function readIdentity(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new DrError("SETTING_INVALID", `the identity file ${path} cannot be read`, { hint: identityHint, cause });
  }
  const identity = identityIn(text);
  if (identity !== undefined) return identity;
  throw new DrError("SETTING_INVALID", `${path} holds no age identity`, {
    hint: identityHint,
  });
}
