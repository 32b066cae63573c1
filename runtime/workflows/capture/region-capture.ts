/** From a region's session to a request for a capture of all, or of some, that the region has. */
import type { ClusterSettings } from "../../domain/infrastructure/infrastructure.ts";
import { hasInfrastructure } from "../../domain/infrastructure/infrastructure.ts";
import { type CaptureType, type DataKind, dataKinds } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Cluster } from "../../ports/cluster.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import type { StackExports } from "../../ports/stacks.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { folderCapture } from "../folders/capture-folder.ts";
import { infrastructureCapture } from "../infrastructure/capture-infrastructure.ts";
import { infrastructureSource } from "../infrastructure/infrastructure-documents.ts";
import type { RegionSession } from "../region-session.ts";
import type { CaptureOptions, CaptureRequest } from "./capture-request.ts";
import type { FolderCapture } from "./folder-capture.ts";

export interface RegionCapture {
  readonly session: RegionSession;
  readonly repository: OpenRepository;
  readonly cluster: (settings: Pick<ClusterSettings, "context" | "kubeconfig">) => Promise<Cluster>;
  readonly stacks: () => Promise<StackExports>;
  readonly type: CaptureType;
  /** Everything that the region has when left out. */
  readonly only: readonly DataKind[] | undefined;
  readonly collections: readonly string[] | undefined;
  /** Names and patterns of collections that are left out on purpose, beside those that the region's settings name. */
  readonly exclude?: readonly string[] | undefined;
  readonly worker: CaptureOptions["worker"];
  readonly allowEmpty: boolean;
  readonly clock: Clock;
  readonly runner?: Pick<Runner, "isDead"> | undefined;
  readonly progress: Progress;
  readonly toolVersion: string;
}

/** Throws USAGE when the region has not all of the kinds that are asked for. */
export function captureRequestFor(capture: RegionCapture): CaptureRequest {
  const {
    allowEmpty,
    clock,
    collections,
    exclude,
    only,
    progress,
    repository,
    runner,
    session,
    toolVersion,
    type,
    worker,
  } = capture;
  const folders = foldersOf(capture);
  return {
    region: session.region.region,
    type,
    database: session.database,
    repository,
    clock,
    progress,
    runner,
    toolVersion,
    kinds: kindsOf(session.region.region, only, folders),
    folders,
    collections,
    // What the settings leave out is left out of every capture.
    exclude: [...(session.region.exclude ?? []), ...(exclude ?? [])],
    worker,
    allowEmpty,
  };
}

function foldersOf({ cluster, progress, session, stacks }: RegionCapture): FolderCapture[] {
  const { infrastructure: settings } = session.region;
  const parts = { settings, cluster: () => cluster(settings.kubernetes ?? {}), stacks };
  return [
    ...session.folders().map((folder) => folderCapture(folder, progress)),
    ...(hasInfrastructure(settings) ? [infrastructureCapture(infrastructureSource(parts), progress)] : []),
  ];
}

function kindsOf(
  region: string,
  asked: readonly DataKind[] | undefined,
  folders: readonly FolderCapture[],
): DataKind[] {
  const present = dataKinds.filter((kind) => kind === "qdrant" || folders.some((folder) => folder.kind === kind));
  const missing = (asked ?? []).filter((kind) => !present.includes(kind));
  if (missing.length === 0) return present.filter((kind) => asked?.includes(kind) ?? true);
  throw new DrError("USAGE", `region ${region} has no ${missing.join(", ")} in its settings`, {
    hint: "name what it has in the stack's settings (configuration, userData, infrastructure)",
  });
}
