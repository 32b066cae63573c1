/**
 * Brings the folders back that a promoted region declares, of what the lost region captured last. What an application reads when it starts,
 * its configuration, comes before its data; one folder stops no other, and each comes back once in an epoch.
 */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FolderTarget } from "../../ports/folders.ts";
import type { Progress } from "../../ports/progress.ts";
import { readNewestHolding } from "../../repository/catalog/read-catalog.ts";
import { isFolderRestored, recordRestoredFolder } from "../../repository/control/restored-folders.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { planFolderRestore, type RestoredFolder, restoreFolders } from "../folders/restore-folder.ts";
import type { RegionFolder } from "../region-session.ts";

/** Folders of configuration and user data that the region declares, on this machine. */
export interface DeclaredFolders {
  /** In the order in which they are restored. */
  readonly all: readonly Pick<RegionFolder, "kind" | "name" | "path">[];
  readonly target: FolderTarget;
  /** Has a draft removed when the run is interrupted; the answer takes it back. */
  readonly onInterrupt: (clean: () => Promise<void>) => () => void;
}

export interface FoldersRequest {
  readonly folders: DeclaredFolders;
  readonly repository: OpenRepository;
  /** Of the failover, and the region that was lost. */
  readonly epoch: number;
  readonly from: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface FolderLeft {
  readonly name: string;
  readonly because: string;
}

export interface FoldersReport {
  readonly restored: readonly (RestoredFolder & { readonly time: string })[];
  /** Those that an earlier run restored. */
  readonly already: readonly string[];
  readonly left: readonly FolderLeft[];
}

export async function restoreDeclaredFolders(request: FoldersRequest): Promise<FoldersReport> {
  const { control } = request.repository.stores;
  const report = {
    restored: [] as FoldersReport["restored"][number][],
    already: [] as string[],
    left: [] as FolderLeft[],
  };
  for (const folder of request.folders.all) {
    const { name } = folder;
    try {
      // An application may have changed it since.
      if (await isFolderRestored(control, request.epoch, name)) report.already.push(name);
      else report.restored.push(...(await restoreOne(request, folder)));
    } catch (error) {
      report.left.push({ name, because: toDrError(error).message });
    }
  }
  return report;
}

async function restoreOne(
  { clock, epoch, folders, from, progress, repository }: FoldersRequest,
  { kind, name, path }: DeclaredFolders["all"][number],
): Promise<FoldersReport["restored"]> {
  // What this region has captured since it was promoted is what stands here, not what was lost.
  const fits = (recoveryPoint: RecoveryPoint) =>
    recoveryPoint.epoch < epoch && recoveryPoint.folders.some((folder) => folder.kind === kind && folder.name === name);
  const entry = await readNewestHolding(repository, { kinds: [kind], fits });
  if (entry === undefined) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `no complete recovery point of ${from} holds it here`);
  }
  const request = {
    ...{ repository, recoveryPoint: entry.recoveryPoint, kinds: [kind], names: new Set([name]), progress },
    ...{ target: folders.target, homes: new Map([[name, path]]), inPlace: true, onInterrupt: folders.onInterrupt },
  };
  const restored = await restoreFolders(request, await planFolderRestore(request));
  await recordRestoredFolder(repository.stores.control, {
    ...{ epoch, name, recoveryPoint: entry.id, at: clock.now().toISOString() },
  });
  return restored.map((each) => ({ ...each, time: entry.recoveryPoint.time }));
}

export function foldersInWords({ already, left, restored }: FoldersReport): string[] {
  return [
    ...restored.map(({ keptAs, name, path, time }) => {
      const kept = keptAs === undefined ? "" : `, what was there is kept as ${keptAs}`;
      return `${name} of ${time} to ${path}${kept}`;
    }),
    ...already.map((name) => `${name} by an earlier run`),
    ...left.map(({ because, name }) => `${name} not: ${because}`),
  ];
}
