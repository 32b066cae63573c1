/** The part of `restore` that brings folders back. */
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Deps } from "../../composition/deps.ts";
import { formatBytes, formatCount } from "../../domain/format.ts";
import type { CapturedFolder } from "../../domain/recovery-points/recovery-point.ts";
import {
  type PlannedFolder,
  planFolderRestore,
  type RestoredFolder,
  restoreFolders,
} from "../../workflows/folders/restore-folder.ts";
import type { PlannedPart } from "./answer.ts";
import type { RestorePart, RestoreSources } from "./part.ts";

export interface FolderOptions {
  readonly folder?: ReadonlyMap<string, string>;
  readonly into?: string;
  readonly inPlace?: boolean;
  readonly keepSpecialModes?: boolean;
}

/** Planned before anything is touched; `run` does it. */
export async function planFolders(
  deps: Deps,
  { recoveryPoint, repository, session }: RestoreSources,
  kinds: readonly CapturedFolder["kind"][],
  { folder, inPlace, into, keepSpecialModes }: FolderOptions,
): Promise<RestorePart> {
  const request = {
    repository,
    recoveryPoint,
    kinds,
    inPlace: inPlace ?? false,
    keepSpecialModes: keepSpecialModes ?? false,
    target: deps.folderTarget,
    ...(folder === undefined ? {} : { places: folder }),
    ...(into === undefined ? {} : { into }),
    homes: new Map(session.folders().map(({ name, path }) => [name, path])),
    progress: deps.progress,
    onInterrupt: deps.onInterrupt,
  };
  const plans = await planFolderRestore(request);
  return {
    planned: { json: { folders: plans.map(plannedJson) }, text: plans.map(planInWords).join("\n") },
    run: async () => {
      const restored = await restoreFolders(request, plans);
      return { json: { folders: restored }, text: restored.map(restoredInWords).join("\n") };
    },
  };
}

function plannedJson({
  bytes,
  files,
  folder,
  keepAs,
  path,
}: PlannedFolder): NonNullable<PlannedPart["folders"]>[number] {
  const { isExact, kind, name } = folder;
  return { kind, name, path, files, bytes, isExact, ...(keepAs === undefined ? {} : { keepAs }) };
}

function planInWords({ bytes, files, folder, keepAs, path }: PlannedFolder): string {
  const kept = keepAs === undefined ? "" : `; what is there now is kept as ${keepAs}`;
  return `${folder.kind} ${folder.name} to ${path}: ${formatCount(files)} files, ${formatBytes(bytes)}${kept}`;
}

function restoredInWords(restored: RestoredFolder): string {
  const { bytes, files, inconsistent, keptAs, kind, name, notOwned, path, plainModes } = restored;
  return [
    `${kind} ${name} restored to ${path}: ${formatCount(files)} files, ${formatBytes(bytes)}, read back as they were captured`,
    ...(keptAs === undefined ? [] : [`what was there is kept as ${keptAs}`]),
    ...(notOwned.length === 0 ? [] : [`the owner of ${some(notOwned)} could not be set: that needs root`]),
    ...(plainModes.length === 0
      ? []
      : [`without set-user-id, set-group-id and sticky bits, which --keep-special-modes keeps: ${some(plainModes)}`]),
    ...(inconsistent.length === 0 ? [] : [`changed while they were captured: ${some(inconsistent)}`]),
  ].join("\n  ");
}

function some(paths: readonly string[]): string {
  return `${paths.slice(0, 3).join(", ")}${paths.length > 3 ? ` and ${formatCount(paths.length - 3)} more` : ""}`;
}

export function parsePath(text: string): string {
  if (text !== "") return resolve(text);
  throw new InvalidArgumentError("It must be a path.");
}

/** `--folder` can be given several times. */
export function parseFolder(text: string, others: ReadonlyMap<string, string> = new Map()): Map<string, string> {
  const [, name = "", path = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === "" || path === "") throw new InvalidArgumentError("It must be <name>=<path>.");
  return new Map([...others, [name, resolve(path)]]);
}
