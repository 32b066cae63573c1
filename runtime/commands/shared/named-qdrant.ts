/** Opens the target of a restore: the stack's own Qdrant, or one that is named by its URLs. */
import { readFile } from "node:fs/promises";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { headerKey } from "../../domain/header-key.ts";
import { namedTwice, readAddress, urlOf, withoutLogin } from "../../domain/server-address.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { RegionSession } from "../../workflows/region-session.ts";

export interface TargetOptions {
  readonly to?: string;
  readonly apiKeyFile?: string;
}

export interface RestoreTarget {
  readonly target: VectorDatabase;
  /** Absent for the region's own Qdrant, by whatever URL it was named. */
  readonly targetName?: string;
}

export async function openRestoreTarget(
  deps: Deps,
  access: RegionSession,
  options: TargetOptions,
): Promise<RestoreTarget> {
  if (options.to === undefined) {
    if (options.apiKeyFile === undefined) return { target: access.database };
    throw new DrError("USAGE", "--api-key-file is for the Qdrant that --to names", {
      hint: "the stack's own Qdrant is opened with the key in its outputs: leave it out",
    });
  }
  return openNamed(deps, access, parsePeers(options.to, "--to"), await readApiKey(options.apiKeyFile));
}

/** The Qdrant that `--via` names, its key in QDRANT_API_KEY; the region's own without. */
export async function openVia(deps: Deps, access: RegionSession, via: string | undefined): Promise<RestoreTarget> {
  if (via === undefined) return { target: access.database };
  return openNamed(deps, access, parsePeers(via, "--via"), await readApiKey(undefined));
}

/** The Qdrant that the settings name for test restores; the region's own where they name none, or that by another URL. */
export async function openTestTarget(
  deps: Deps,
  access: RegionSession,
  options: Pick<RegionOptions, "settings">,
): Promise<RestoreTarget> {
  const file = access.origin === "settings" ? await deps.settings(options) : undefined;
  const named = file?.settings.testRestore;
  if (file === undefined || named === undefined) return { target: access.database };
  const apiKey = named.apiKey === undefined ? "" : await file.secret(named.apiKey, "testRestore.apiKey");
  return openNamed(deps, access, [named.qdrant], headerKey(apiKey, "testRestore.apiKey"));
}

async function openNamed(
  deps: Deps,
  access: RegionSession,
  peers: readonly string[],
  apiKey: string,
): Promise<RestoreTarget> {
  const target = deps.database(peers, apiKey);
  if (await isSame(target, access.database)) return { target: access.database };
  return { target, targetName: [...peers].sort().join(",") };
}

/** An empty Qdrant for a drill: the one that is named, or the settings name one for test restores. Never the region's own. */
export async function openThrowaway(
  deps: Deps,
  access: RegionSession,
  { settings, throwaway }: Pick<RegionOptions, "settings"> & { readonly throwaway?: string | undefined },
): Promise<Required<RestoreTarget>> {
  const opened =
    throwaway === undefined
      ? await openTestTarget(deps, access, { settings })
      : await openRestoreTarget(deps, access, { to: throwaway });
  const { target, targetName } = opened;
  if (targetName !== undefined) return { target, targetName };
  throw new DrError("USAGE", `a drill needs a Qdrant of its own, beside that of ${access.region.region}`, {
    hint: "name an empty one with --throwaway, or with testRestore.qdrant in the settings file",
  });
}

/** A Qdrant that an option names by its URLs; its key is in QDRANT_API_KEY. */
export async function databaseAt(deps: Deps, urls: string, option: string): Promise<VectorDatabase> {
  return (await qdrantAt(deps, urls, option)).database;
}

/** The same with the URLs of its peers. */
export async function qdrantAt(
  deps: Deps,
  urls: string,
  option: string,
): Promise<{ readonly peers: readonly string[]; readonly database: VectorDatabase }> {
  const peers = parsePeers(urls, option);
  return { peers, database: deps.database(peers, await readApiKey(undefined)) };
}

/** The URLs of its peers, each the same for all URLs that lead to the same place. */
function parsePeers(urls: string, option: string): string[] {
  const peers = urls.split(",").map((text) => {
    const address = readAddress(text);
    if (!("problem" in address)) return urlOf(address);
    // A comma may be in the middle of a password.
    const given = JSON.stringify(withoutLogin(urls) === urls ? text : withoutLogin(urls));
    throw new DrError("USAGE", `${option} ${given} does not name a Qdrant: wanted is ${address.problem}`, {
      hint: "write it like http://127.0.0.1:6333, a cluster's peers separated by commas; the key is given in QDRANT_API_KEY, or in a file where --api-key-file is taken",
    });
  });
  const twice = namedTwice(peers);
  if (twice === undefined) return peers;
  throw new DrError("USAGE", `${option} names ${twice} twice`, { hint: "name each peer once" });
}

async function readApiKey(path: string | undefined): Promise<string> {
  if (path === undefined) return headerKey(process.env["QDRANT_API_KEY"] ?? "", "the key in QDRANT_API_KEY");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new DrError("SETTING_INVALID", `the API key's file ${path} cannot be read`, {
      hint: "give a file that holds the key alone, readable for its owner only",
      cause,
    });
  }
  return headerKey(text, `the key in ${path}`);
}

/** A restore into the region's own Qdrant breaks lineages, by whatever name that was reached. */
async function isSame(target: VectorDatabase, own: VectorDatabase): Promise<boolean> {
  const processes = await target.processes();
  try {
    return (await own.processes()).some((process) => processes.includes(process));
  } catch (error) {
    // The target has answered just now.
    if (hasCode(error, "UNREACHABLE")) return false;
    throw error;
  }
}
