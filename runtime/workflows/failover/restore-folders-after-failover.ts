/** Restores the folders of a region that a failover has promoted, where its folders are. */
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FolderTarget } from "../../ports/folders.ts";
import type { Progress } from "../../ports/progress.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import type { RegionSession } from "../region-session.ts";
import { type DeclaredFolders, type FoldersReport, restoreDeclaredFolders } from "./restore-declared-folders.ts";

export interface AfterFailoverRequest {
  readonly session: Pick<RegionSession, "folders" | "region" | "repository" | "stores">;
  /** Only these. */
  readonly names?: readonly string[] | undefined;
  readonly folderTarget: FolderTarget;
  readonly onInterrupt: DeclaredFolders["onInterrupt"];
  readonly clock: Clock;
  readonly progress: Progress;
}

/** @throws ROLE_REFUSES unless a failover promoted the region last, USAGE for a folder that it does not declare. */
export async function restoreFoldersAfterFailover(
  request: AfterFailoverRequest,
): Promise<FoldersReport & { readonly epoch: number }> {
  const { clock, folderTarget, names, onInterrupt, progress, session } = request;
  const { region } = session.region;
  const newest = newestEpoch(await readEpochs(session.stores.control));
  if (newest?.active !== region || newest.reason !== "failover") {
    throw new DrError("ROLE_REFUSES", `no failover promoted ${region} last`, {
      hint: "`qdrant-dr restore --only config,user-data` brings folders back at any time",
    });
  }
  const declared = session.folders();
  const unknown = (names ?? []).filter((name) => !declared.some((folder) => folder.name === name));
  if (unknown.length > 0) {
    throw new DrError("USAGE", `${region} declares no folder ${unknown.join(", ")}`, {
      hint: `it declares ${declared.map(({ name }) => name).join(", ") || "none"}`,
    });
  }
  const all = declared.filter(({ name }) => names?.includes(name) ?? true);
  const { epoch, previous = "the lost region" } = newest;
  const repository = (await session.repository()).withStream();
  const folders = { all, target: folderTarget, onInterrupt };
  return { epoch, ...(await restoreDeclaredFolders({ folders, repository, epoch, from: previous, clock, progress })) };
}
