/** The composition root: from options to adapters. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };
import { RegionAccess } from "./adapters/access.ts";
import { LocalFolders } from "./adapters/folders/folder-target.ts";
import { KubernetesCluster } from "./adapters/kubernetes/kubernetes-cluster.ts";
import { readyParts } from "./adapters/parts.ts";
import { PulumiStacks } from "./adapters/pulumi/pulumi-stacks.ts";
import { Qdrant } from "./adapters/qdrant/qdrant.ts";
import { openStore } from "./adapters/stores/open-store.ts";
import type { ClusterSettings } from "./domain/infrastructure/infrastructure.ts";
import { regionSchema, type StoreAddress } from "./domain/region.ts";
import { DrError } from "./errors.ts";
import type { Clock, Cluster, FolderTarget, ObjectStore, Progress, VectorDatabase } from "./ports.ts";

export const projectFolder = fileURLToPath(new URL("..", import.meta.url));

/** How a command is told which region it is about. */
export interface RegionOptions {
  /** An embedded estate that was kept. */
  readonly estate?: string | undefined;
  /** A file with the stack's `region` output, for jobs that have no Pulumi; or a folder with one of each stack, `<stack>.json`. */
  readonly outputs?: string | undefined;
  /** A file with the offline recovery identity. */
  readonly identityFile?: string | undefined;
}

export interface Deps {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  /** Has `clean` done when the run is interrupted; the answer takes it back. */
  onInterrupt(clean: () => Promise<void>): () => void;
  stacks(options: RegionOptions): Promise<PulumiStacks>;
  access(stack: string, options: RegionOptions): Promise<RegionAccess>;
  cluster(settings: Pick<ClusterSettings, "context" | "kubeconfig">): Promise<Cluster>;
  /** A store that is in no stack; of AWS with the credentials of the environment. */
  store(address: StoreAddress): ObjectStore;
  /** Folders of this machine to restore into. */
  readonly folderTarget: FolderTarget;
  /** A Qdrant that is in no stack. */
  database(peers: readonly string[], apiKey: string): VectorDatabase;
}

/** What the program that runs a command gives to it. */
export interface Surroundings extends Pick<Deps, "progress" | "onInterrupt"> {
  /** The stacks of an embedded estate that was kept. Without it no estate can be named. */
  openEstate?(id: string): Promise<PulumiStacks>;
}

export async function compose({ openEstate, ...surroundings }: Surroundings): Promise<Deps> {
  const stacks = async ({ estate }: RegionOptions) => {
    if (estate !== undefined) {
      if (openEstate !== undefined) return openEstate(estate);
      throw new DrError("NOT_SUPPORTED", `this program opens no estate, and ${estate} was named`, {
        hint: "leave out --estate, or use `bin/qdrant-dr`",
      });
    }
    await readyParts(["pulumi"]);
    return new PulumiStacks({ folder: projectFolder, env: {} });
  };
  return {
    clock: { now: () => new Date() },
    ...surroundings,
    toolVersion: manifest.version,
    stacks,
    cluster: (settings) => KubernetesCluster.open(settings),
    store: openStore,
    folderTarget: new LocalFolders(),
    database: (peers, apiKey) => new Qdrant({ peers, apiKey }),
    async access(stack, options) {
      const region =
        options.outputs === undefined
          ? await (await stacks(options)).region(stack)
          : await readOutputs(await outputsFile(options.outputs, stack));
      if (region.region !== stack) {
        throw new DrError("USAGE", `the outputs are of region ${region.region}, and ${stack} was asked for`, {
          hint: "name the region whose outputs these are, or give the outputs of the other one",
        });
      }
      return new RegionAccess(region, await readIdentity(options.identityFile));
    },
  };
}

const outputsHint = "write it with `pulumi stack output region --json --show-secrets`, readable for its owner only";

async function outputsFile(path: string, stack: string): Promise<string> {
  // What is not there is told when it is read.
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
    // What a parser says repeats the text, which holds secrets.
    const reason = (cause as NodeJS.ErrnoException).code ?? "it is not JSON";
    throw new DrError("SETTING_INVALID", `${path} cannot be read: ${reason}`, { hint: outputsHint });
  }
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
  const identity = text.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (identity !== undefined) return identity.trim();
  throw new DrError("SETTING_INVALID", `${path} holds no age identity`, {
    hint: identityHint,
  });
}
