import { InvalidArgumentError, Option } from "commander";
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatSeconds } from "../domain/format.ts";
import type { DataKind } from "../domain/recovery-points/recovery-point.ts";
import { replicateSchema, Tiers } from "../domain/settings/tiers.ts";
import { DrError, hasCode } from "../errors.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { Applying, type CycleReport } from "../workflows/replicate/applying.ts";
import { type CapturedState, Capturing, type StateReport, sourceRestsFor } from "../workflows/replicate/capturing.ts";
import { FolderStream } from "../workflows/replicate/folder-stream.ts";
import { type FollowRequest, follow, isFinal } from "../workflows/replicate/follow.ts";
import { Hearing, Telling } from "../workflows/replicate/halves.ts";
import { Replication, rememberedBytes } from "../workflows/replicate/replication.ts";
import { type CommandDefinition, exitCodesHelp, parseKinds, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly from: string;
  readonly to: string;
  readonly every: number;
  readonly tier: Readonly<Record<string, number>>;
  readonly half?: "capture" | "apply";
  readonly once?: boolean;
  readonly only?: readonly DataKind[];
  readonly allowEmpty?: boolean;
  readonly replaceExisting?: boolean;
}

/** A change of folders costs a point of its own, and points are read one by one: so they are captured so much more seldom. */
const foldersRarer = 30;

/** What follows a region by itself; infrastructure comes with the points of `backup`. */
const streamedKinds = ["qdrant", "config", "user-data"] as const satisfies DataKind[];

export const replicate: CommandDefinition<Options> = {
  name: "replicate",
  summary: "keep the standby region seconds behind the active one, by way of its own bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--from <stack>", "stack of the active region")
      .requiredOption("--to <stack>", "stack of the standby region")
      .option("--every <seconds>", "begin to capture so often, as long as both ends keep up", parseNumber, 2)
      .option(
        "--tier <name=seconds>",
        "capture the collections of this name, or of a pattern such as archive-*, so often instead; can be given again",
        parseTier,
        {},
      )
      .addOption(
        new Option(
          "--half <half>",
          "only capture, near the active region, or only apply, near the standby: one process of each",
        ).choices(["capture", "apply"]),
      )
      .option(
        "--only <kinds>",
        `these kinds of data, separated by commas: ${streamedKinds.join(", ")}; qdrant when left out. Folders are read on this machine, which must be the active region's, ${foldersRarer} times less often than --every`,
        parseKinds,
      )
      .option("--allow-empty", "with --once: a folder that is gone or empty, and was not before, is meant to be")
      .option("--once", "one cycle, and wait for optimizations so that it is exact")
      .option("--replace-existing", "replace collections of the standby that replication did not make")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [3, "with --once: the capture is not whole, or a folder is gone or empty; nothing was committed"],
          [5, "with --once: a server does not answer, or refuses what it is asked"],
          [
            11,
            "the standby has collections that replication did not make; with --once also: the source is not the active region, a failover is under way, or another run took over. Without --once these are waited for, and it goes on by itself",
          ],
          [12, "what was applied is not what was captured"],
        ),
      ),
  async run(deps, options) {
    const { allowEmpty, half, once, only = ["qdrant"] } = options;
    const hasTiers = Object.keys(options.tier).length > 0;
    if (hasTiers && (half === "apply" || once || !only.includes("qdrant")))
      throw new InvalidArgumentError("--tier says how often collections are captured again: give it to what does so.");
    if (half !== undefined && once) throw new InvalidArgumentError("--once takes both halves: leave --half out.");
    if (half === "apply" && options.only !== undefined)
      throw new InvalidArgumentError("--half apply applies what was captured: leave --only out.");
    if (allowEmpty && !once)
      throw new InvalidArgumentError("--allow-empty belongs to --once: later on, a disk may be gone.");
    const standby = await deps.access(options.to, options);
    const repository = await standby.repositoryForWriting();
    if (half === "apply") return untilInterrupted(deps, [applyingQdrant(deps, options, standby, repository)]);
    const active = await deps.access(options.from, options);
    const followed = half === "capture" ? capturingQdrant : followingQdrant;
    const folders = foldersOf(active, standby, only);
    const parts = [
      ...(only.includes("qdrant") ? [followed({ deps, options, active, standby, repository })] : []),
      ...(folders.length === 0 ? [] : [streamingFolders({ deps, options, active, standby, repository }, folders)]),
    ];
    if (!once) return untilInterrupted(deps, parts);
    const answers: Answer[] = [];
    for (const part of parts) answers.push(await part.once());
    return together(answers);
  },
};

interface Answer {
  readonly json: object;
  readonly text: string;
}

/** Some of a region's data, which the standby follows. */
interface Followed {
  once(): Promise<Answer>;
  /** Until the signal, or what no waiting changes; undefined before the first cycle has ended. */
  follow(signal: AbortSignal): Promise<Answer | undefined>;
}

interface FollowedRegion {
  readonly deps: Deps;
  readonly options: Options;
  readonly active: RegionAccess;
  readonly standby: RegionAccess;
  /** The standby's. */
  readonly repository: OpenRepository;
}

function sourceOf({ database, region, stores }: RegionAccess) {
  return { region: region.region, database, control: stores.control };
}

function followingQdrant({ active, deps, options, repository, standby }: FollowedRegion): Followed {
  const { clock, progress, toolVersion } = deps;
  const tiers = new Tiers({ everySeconds: options.every, tiers: options.tier });
  const replication = new Replication({
    ...{ clock, progress, toolVersion, tiers, existing: options.replaceExisting ? "replace" : "refuse" },
    source: sourceOf(active),
    standby: { region: standby.region.region, database: standby.database, repository },
  });
  const halves = {
    ...{ everyMs: tiers.shortestSeconds * 1000, restsFor: sourceRestsFor },
    capture: () => replication.capture(),
    apply: (state: CapturedState) => replication.apply(state),
  };
  const answer = (report: CycleReport) => ({ json: report, text: inWords(report) });
  return { once: async () => answer(await replication.cycle("exact")), follow: following(deps, halves, answer) };
}

function capturingQdrant({ active, deps, options, repository: stored }: FollowedRegion): Followed {
  const { clock, progress, toolVersion } = deps;
  const repository = stored.remembering(rememberedBytes);
  const tiers = new Tiers({ everySeconds: options.every, tiers: options.tier });
  const capturing = new Capturing({ clock, progress, toolVersion, tiers, source: sourceOf(active), repository });
  const telling = new Telling(repository, clock);
  const halves = {
    ...{ everyMs: tiers.shortestSeconds * 1000, restsFor: sourceRestsFor },
    capture: () => capturing.capture("provisional"),
    apply: (state: CapturedState) => telling.tell(state),
    // Two that capture would tell the standby of two states in turn.
    isFinal: (error: DrError) => isFinal(error) || hasCode(error, "EPOCH_CONFLICT"),
  };
  const answer = (report: StateReport) => ({ json: report, text: capturedInWords(report) });
  const once = async () => answer(await telling.tell(await capturing.capture("exact")));
  return { once, follow: following(deps, halves, answer) };
}

function applyingQdrant(deps: Deps, options: Options, standby: RegionAccess, stored: OpenRepository) {
  const { clock, progress } = deps;
  const { database, region } = standby;
  const repository = stored.remembering(rememberedBytes);
  const hearing = new Hearing(repository, region.region);
  const existing = options.replaceExisting ? "replace" : "refuse";
  const applying = new Applying({ existing, clock, progress, region: region.region, repository, database });
  const halves = {
    // It waits for what is told instead of resting.
    ...{ everyMs: 0, restsFor: 0 },
    capture: (signal: AbortSignal) => hearing.next(signal),
    apply: (state: CapturedState) => applying.apply(state),
  };
  return { follow: following(deps, halves, (report: CycleReport) => ({ json: report, text: inWords(report) })) };
}

/** Folders of the kinds that are asked for. */
function foldersOf(active: RegionAccess, standby: RegionAccess, only: readonly DataKind[]) {
  const asked = only.filter((kind) => kind !== "qdrant");
  if (asked.length === 0) return [];
  const folders = active.folders(standby.region);
  for (const kind of asked) {
    const isStreamed = streamedKinds.some((streamed) => streamed === kind);
    if (isStreamed && folders.some((folder) => folder.kind === kind)) continue;
    throw new DrError("USAGE", `${kind} of region ${active.region.region} cannot be replicated`, {
      hint: isStreamed
        ? "name its folders in the stack's settings (configuration, userData)"
        : `these kinds can: ${streamedKinds.join(", ")}; the others come with \`backup\` and \`copy\``,
    });
  }
  return folders.filter(({ kind }) => asked.includes(kind));
}

function streamingFolders(
  { active, deps, options, repository }: FollowedRegion,
  folders: ReturnType<RegionAccess["folders"]>,
): Followed {
  const { clock, progress, toolVersion } = deps;
  const stream = new FolderStream({
    ...{ clock, progress, toolVersion, source: sourceOf(active), folders, repository },
    allowEmpty: options.allowEmpty ?? false,
  });
  const halves = {
    ...{ everyMs: options.every * foldersRarer * 1000, restsFor: 0, isFinal: isOfKeys },
    capture: (signal: AbortSignal) => stream.next(signal),
    apply: async (state: StateReport) => state,
  };
  const answer = (report: StateReport) => ({ json: { folders: report }, text: foldersInWords(report) });
  const followed = following(deps, halves, answer);
  return {
    once: async () => answer(await stream.capture()),
    follow: (signal) => followed(signal).finally(() => stream.close()),
  };
}

/** What is captured more or less often than all else. */
function parseTier(text: string, others: Options["tier"]): Options["tier"] {
  const [, named, seconds] = /^(.+)=(\d+)$/.exec(text) ?? [];
  const { error, data } = replicateSchema.shape.tiers.safeParse({ ...others, [named ?? ""]: Number(seconds) });
  if (error === undefined) return data;
  throw new InvalidArgumentError("It must be name=seconds, 1 to 3600 seconds: archive-*=60.");
}

/** A folder that cannot be captured is no reason to leave Qdrant behind. */
function isOfKeys(error: DrError): boolean {
  return hasCode(error, "KEY_UNAVAILABLE");
}

function following<State, Report>(
  { progress }: Deps,
  halves: Omit<FollowRequest<State, Report>, "signal" | "told">,
  answer: (report: Report) => Answer,
): Followed["follow"] {
  return async (signal) => {
    const last = await follow({
      ...halves,
      signal,
      told: (news) =>
        progress({ step: "replicate", detail: "report" in news ? answer(news.report).text : news.problem }),
    });
    return last === undefined ? undefined : answer(last);
  };
}

/** Or told by one of them that this is not to be done. */
async function untilInterrupted(deps: Deps, parts: readonly Pick<Followed, "follow">[]): Promise<Answer> {
  const stopping = new AbortController();
  const ended = Promise.allSettled(
    parts.map(async ({ follow }) => {
      try {
        return await follow(stopping.signal);
      } finally {
        stopping.abort();
      }
    }),
  );
  const settled = deps.onInterrupt(async () => {
    stopping.abort();
    await ended;
  });
  try {
    const ends = await ended;
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    return together(ends.flatMap((end) => (end.status === "fulfilled" ? (end.value ?? []) : [])));
  } finally {
    settled();
  }
}

function together(answers: readonly Answer[]): Answer {
  if (answers.length === 0) return { json: {}, text: "Stopped before the first cycle ended" };
  return {
    json: Object.assign({}, ...answers.map(({ json }) => json)),
    text: answers.map(({ text }) => text).join("\n"),
  };
}

function inWords(report: CycleReport): string {
  const { difference, whole } = report.shards;
  const applied = report.isChanged
    ? `${difference + whole} shards changed${whole === 0 ? "" : ` (${whole} whole)`}, ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored, ${formatBytes(report.sentBytes)} applied`
    : "nothing changed";
  return `the standby holds ${report.point}, as of ${report.asOf} (${formatSeconds(report.lagSeconds)} behind), ${stateInWords(report)}; ${applied}`;
}

function capturedInWords(report: StateReport): string {
  return `${report.point} is in the standby's bucket, as of ${report.asOf}, ${stateInWords(report)}; ${costInWords(report)}`;
}

function foldersInWords(report: StateReport): string {
  const state = report.isExact ? "exact" : "with a file that changed each time it was read";
  return `folders: ${report.point} is in the standby's bucket, as of ${report.asOf}, ${state}; ${costInWords(report)}`;
}

function costInWords({ captureSeconds, isChanged, readBytes, storedBytes }: StateReport): string {
  if (!isChanged) return "nothing changed";
  return `${formatBytes(readBytes)} read, ${formatBytes(storedBytes)} stored in ${formatSeconds(captureSeconds)}`;
}

function stateInWords({ isExact }: { readonly isExact: boolean }): string {
  return isExact ? "exact" : "provisional: an optimization runs, deletes since it began may be undone";
}
