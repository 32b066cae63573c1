import { InvalidArgumentError, Option } from "commander";
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatCount, formatSeconds } from "../domain/format.ts";
import { hasInfrastructure } from "../domain/infrastructure/infrastructure.ts";
import { type CaptureType, captureTypes, type DataKind, dataKinds } from "../domain/recovery-points/recovery-point.ts";
import { DrError } from "../errors.ts";
import { type CaptureReport, capturePoint } from "../workflows/capture/capture-point.ts";
import type { FolderCapture } from "../workflows/capture/folder-capture.ts";
import { type CapturePreview, previewCapture } from "../workflows/capture/preview-capture.ts";
import { folderCapture } from "../workflows/folders/capture-folder.ts";
import { infrastructureCapture } from "../workflows/infrastructure/capture-infrastructure.ts";
import { infrastructureSource } from "../workflows/infrastructure/infrastructure-documents.ts";
import { type CommandDefinition, exitCodesHelp, parseKinds, parseNames, regionOptions } from "./command.ts";
import { recordedRun } from "./recorded-run.ts";

interface Options extends RegionOptions {
  readonly stack: string;
  readonly type: CaptureType;
  readonly only?: readonly DataKind[];
  readonly collections?: readonly string[];
  readonly worker?: { readonly index: number; readonly count: number };
  readonly session?: string;
  readonly allowEmpty?: boolean;
  readonly dryRun?: boolean;
}

export const backup: CommandDefinition<Options> = {
  name: "backup",
  summary: "capture a recovery point of the active region into its bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack of the active region")
      .addOption(
        new Option(
          "--type <type>",
          "full reads everything and compares; incremental reads what changed since the last point",
        )
          .choices(captureTypes)
          .default("incremental"),
      )
      .option("--only <kinds>", `only these kinds of data, separated by commas: ${dataKinds.join(", ")}`, parseKinds)
      .option("--collections <names>", "read only these collections; the others stay as in the last point", parseNames)
      .option("--worker <i/n>", "do the i-th of n parts, from 0/n on; the last worker to end commits", parseWorker)
      .option("--session <name>", "what the workers of one capture have in common, a name of its own for every capture")
      .option("--allow-empty", "commit a point of an empty Qdrant or folder, though the last point is not empty")
      .option("--dry-run", "say what would be read, and store nothing")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [3, "the capture is not whole; nothing was committed"],
          [5, "a server does not answer, or refuses access"],
          [11, "the region is not the active one"],
        ),
      ),
  async run(deps, options) {
    const { session, worker } = options;
    if ((worker === undefined) !== (session === undefined)) {
      throw new InvalidArgumentError("--worker and --session belong together.");
    }
    const access = await deps.access(options.stack, options);
    if (options.dryRun) {
      const preview = await previewCapture(await requestFor(deps, access, options));
      return { json: preview, text: previewInWords(preview) };
    }
    const capture = async () => {
      const report = await capturePoint(await requestFor(deps, access, options));
      return { json: report, text: reportInWords(report) };
    };
    // Of several workers, the one that commits ends the run.
    return recordedRun(deps, access, options.type, capture, ({ json }) => (json as CaptureReport).isCommitted);
  },
};

async function requestFor(deps: Deps, access: RegionAccess, options: Options) {
  const { collections, session, worker } = options;
  const folders = foldersOf(deps, access, options);
  const kinds = kindsOf(access.region.region, options.only, folders);
  return {
    region: access.region.region,
    type: options.type,
    database: access.database,
    repository: options.dryRun ? await access.repository() : await access.repositoryForWriting(),
    clock: deps.clock,
    progress: deps.progress,
    toolVersion: deps.toolVersion,
    kinds,
    folders,
    ...(collections === undefined ? {} : { collections }),
    ...(worker === undefined || session === undefined ? {} : { worker: { ...worker, session } }),
    allowEmpty: options.allowEmpty ?? false,
  };
}

function foldersOf(deps: Deps, access: RegionAccess, options: RegionOptions): FolderCapture[] {
  const { infrastructure: settings } = access.region;
  const parts = {
    settings,
    cluster: () => deps.cluster(settings.kubernetes ?? {}),
    stacks: () => deps.stacks(options),
  };
  return [
    ...access.folders().map((folder) => folderCapture(folder, deps.progress)),
    ...(hasInfrastructure(settings) ? [infrastructureCapture(infrastructureSource(parts), deps.progress)] : []),
  ];
}

/** Everything that the region has, unless some of it is asked for. */
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

function reportInWords(report: CaptureReport): string {
  const work = `${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.seconds)}`;
  if (!report.isCommitted) return `This worker's part of ${report.point} is done; others are not\n  ${work}`;
  const exactness = report.isExact
    ? "exact"
    : "not known to be exact: an optimization ran meanwhile, deletes since it began may be undone, or a file changed";
  const folders = report.folders === 0 ? "" : ` and ${formatCount(report.folders)} folders`;
  return [
    `Recovery point ${report.point} (${report.type}) of ${report.time}`,
    `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections${folders}, ${exactness}`,
    `  ${work}`,
  ].join("\n");
}

function previewInWords({ base, folders, shards }: CapturePreview): string {
  const rows = shards.map(({ because, collection, lastStoredBytes, peer, reads, shard }) => {
    const size = lastStoredBytes === undefined ? "" : `, last stored as ${formatBytes(lastStoredBytes)}`;
    return `  ${collection} shard ${shard} (peer ${peer}): ${reads}${because === undefined ? "" : `, ${because}`}${size}`;
  });
  return [
    base === undefined ? "Would read, there being no point yet:" : `Would read, building on ${base}:`,
    ...rows,
    ...folders.map(({ kind, name }) => `  ${kind} ${name}`),
    "Nothing was stored.",
  ].join("\n");
}

function parseWorker(text: string): { index: number; count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && count >= 1 && index < count) return { index, count };
  throw new InvalidArgumentError("It must be i/n, i from 0 to n-1: 0/3, 1/3, 2/3.");
}
