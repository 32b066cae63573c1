/** Which data of a region is replicated by which parts, and how these run: once, or until they are interrupted. */

import type { DataKind } from "../../domain/recovery-points/recovery-point.ts";
import { Tiers } from "../../domain/settings/tiers.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type FollowedReport, JournalReplication } from "../journal/journal-replication.ts";
import type { RegionFolder, RegionSession } from "../region-session.ts";
import { FolderStream } from "./folder-stream.ts";
import { type FollowRequest, follow, isFinal } from "./follow.ts";
import { StatePublisher, StateSubscriber } from "./publish-states.ts";
import { cacheBytes, Replication } from "./replication.ts";
import { type CapturedState, SourceCapturer, type StateReport, sourceRestsFor } from "./source-capturer.ts";
import { type CycleReport, StandbyApplier } from "./standby-applier.ts";

/** A change of folders costs a recovery point of its own, and these are read one by one: so folders are captured this much less often. */
export const folderIntervalFactor = 30;

/** What follows a region by itself; infrastructure comes with the recovery points of `backup`. */
export const streamedKinds = ["qdrant", "config", "user-data"] as const satisfies DataKind[];

export type ReplicationReport =
  /** The standby's Qdrant holds a state. */
  | { readonly kind: "applied"; readonly report: CycleReport }
  /** The standby follows the journal of the active region's gate. */
  | { readonly kind: "journal"; readonly report: FollowedReport }
  /** A state is in the standby's bucket, and another process applies it. */
  | { readonly kind: "captured"; readonly report: StateReport }
  /** Folders are in the standby's bucket. */
  | { readonly kind: "folders"; readonly report: StateReport };

/** Some of a region's data, which the standby follows. */
export interface ReplicationPart {
  once(): Promise<ReplicationReport>;
  /** Until the signal, or what no waiting changes; undefined before the first cycle has ended. */
  follow(signal: AbortSignal): Promise<ReplicationReport | undefined>;
}

export interface ReplicateRequest {
  readonly standby: RegionSession;
  readonly everySeconds: number;
  readonly tiers: Readonly<Record<string, number>>;
  /** Replace collections of the standby that replication did not make. */
  readonly replaceExisting: boolean;
  /** A folder that is gone or empty, and was not before, is meant to be. */
  readonly allowEmpty: boolean;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly runner?: Pick<Runner, "isDead"> | undefined;
  readonly progress: Progress;
  /** Called with each report while the standby follows, and with what fails and is tried again. */
  readonly onReport: (news: ReplicationReport | { readonly problem: string }) => void;
}

interface Replicated extends ReplicateRequest {
  readonly active: RegionSession;
  /** The standby's. */
  readonly repository: OpenRepository;
}

/**
 * What a process near the active region, or between both, has to do. Throws USAGE for kinds that cannot be replicated.
 * @param capturesOnly another process applies, near the standby.
 */
export async function partsOf(
  request: ReplicateRequest & { readonly active: RegionSession },
  {
    capturesOnly,
    followsJournal = false,
    only,
  }: {
    readonly capturesOnly: boolean;
    readonly followsJournal?: boolean | undefined;
    readonly only: readonly DataKind[];
  },
): Promise<readonly ReplicationPart[]> {
  const replicated = { ...request, repository: await request.standby.repositoryForWriting() };
  const folders = foldersOf(request.active, request.standby, only);
  const qdrant = capturesOnly ? capturingQdrant : followsJournal ? followingJournal : followingQdrant;
  return [
    ...(only.includes("qdrant") ? [qdrant(replicated)] : []),
    ...(folders.length === 0 ? [] : [streamingFolders(replicated, folders)]),
  ];
}

/** Applies what another process captured. */
export async function applyingPart(request: ReplicateRequest): Promise<Pick<ReplicationPart, "follow">> {
  const { clock, progress, replaceExisting, standby } = request;
  const repository = (await standby.repositoryForWriting()).remembering(cacheBytes);
  const hearing = new StateSubscriber(repository, standby.region.region, clock);
  const existing = replaceExisting ? "replace" : "refuse";
  const applying = new StandbyApplier({
    existing,
    clock,
    progress,
    repository,
    region: standby.region.region,
    database: standby.database,
  });
  return {
    follow: following(
      {
        // It waits for what is published instead of resting.
        everyMs: 0,
        restsFor: 0,
        capture: (signal: AbortSignal) => hearing.next(signal),
        apply: (state: CapturedState) => applying.apply(state),
      },
      (report) => ({ kind: "applied", report }),
      request,
    ),
  };
}

/** Runs parts side by side until the run is interrupted or one of them ends; then the others end, too. */
export async function untilInterrupted(
  parts: readonly Pick<ReplicationPart, "follow">[],
  onInterrupt: (clean: () => Promise<void>) => () => void,
): Promise<ReplicationReport[]> {
  const stopping = new AbortController();
  const ended = Promise.allSettled(
    parts.map(async ({ follow: followPart }) => {
      try {
        return await followPart(stopping.signal);
      } finally {
        stopping.abort();
      }
    }),
  );
  const settled = onInterrupt(async () => {
    stopping.abort();
    await ended;
  });
  try {
    const ends = await ended;
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    return ends.flatMap((end) => (end.status === "fulfilled" ? (end.value ?? []) : []));
  } finally {
    settled();
  }
}

function sourceOf({ database, region, stores }: RegionSession) {
  return { region: region.region, database, control: stores.control };
}

function followingQdrant(request: Replicated): ReplicationPart {
  const { active, clock, progress, repository, runner, standby, toolVersion } = request;
  const tiers = tiersOf(request);
  const replication = new Replication({
    clock,
    progress,
    runner,
    toolVersion,
    tiers,
    exclude: active.region.exclude,
    existing: request.replaceExisting ? "replace" : "refuse",
    source: sourceOf(active),
    standby: { region: standby.region.region, database: standby.database, repository },
  });
  const halves = {
    everyMs: tiers.shortestSeconds * 1000,
    restsFor: sourceRestsFor,
    capture: (signal: AbortSignal) => replication.capture("provisional", signal),
    apply: (state: CapturedState) => replication.apply(state),
  };
  const applied = (report: CycleReport): ReplicationReport => ({ kind: "applied", report });
  return {
    once: async () => applied(await replication.cycle("exact")),
    follow: following(halves, applied, request),
  };
}

function followingJournal(request: Replicated): ReplicationPart {
  const { active, clock, progress, repository, runner, standby, toolVersion } = request;
  const replication = new JournalReplication({
    clock,
    progress,
    runner,
    toolVersion,
    exclude: active.region.exclude,
    existing: request.replaceExisting ? "replace" : "refuse",
    source: sourceOf(active),
    standby: { region: standby.region.region, database: standby.database, repository },
  });
  const halves = {
    everyMs: 0,
    restsFor: 0,
    capture: (signal: AbortSignal) => replication.follow(signal),
    apply: async (report: FollowedReport) => report,
  };
  const followed = (report: FollowedReport): ReplicationReport => ({ kind: "journal", report });
  return {
    once: async () => followed(await replication.follow(new AbortController().signal)),
    follow: following(halves, followed, request),
  };
}

function capturingQdrant(request: Replicated): ReplicationPart {
  const { active, clock, progress, runner, toolVersion } = request;
  const repository = request.repository.remembering(cacheBytes);
  const tiers = tiersOf(request);
  const { exclude } = active.region;
  const source = sourceOf(active);
  const capturing = new SourceCapturer({ clock, exclude, progress, runner, toolVersion, tiers, source, repository });
  const telling = new StatePublisher(repository, clock);
  const halves = {
    everyMs: tiers.shortestSeconds * 1000,
    restsFor: sourceRestsFor,
    capture: (signal: AbortSignal) => capturing.capture("provisional", signal),
    apply: (state: CapturedState) => telling.publish(state),
    // Two capturing processes would publish different states for the same standby.
    isFinal: (error: DrError) => isFinal(error) || hasCode(error, "EPOCH_CONFLICT"),
  };
  const captured = (report: StateReport): ReplicationReport => ({ kind: "captured", report });
  return {
    once: async () => captured(await telling.publish(await capturing.capture("exact"))),
    follow: following(halves, captured, request),
  };
}

function tiersOf({ everySeconds, tiers }: ReplicateRequest): Tiers {
  return new Tiers({ everySeconds, tiers });
}

/** Folders of the kinds that are asked for. */
function foldersOf(active: RegionSession, standby: RegionSession, only: readonly DataKind[]): RegionFolder[] {
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

function streamingFolders(request: Replicated, folders: readonly RegionFolder[]): ReplicationPart {
  const { active, allowEmpty, clock, everySeconds, progress, repository, toolVersion } = request;
  const source = sourceOf(active);
  const stream = new FolderStream({ clock, progress, toolVersion, source, folders, repository, allowEmpty });
  const halves = {
    everyMs: everySeconds * folderIntervalFactor * 1000,
    restsFor: 0,
    isFinal: isOfKeys,
    capture: (signal: AbortSignal) => stream.next(signal),
    apply: async (state: StateReport) => state,
  };
  const captured = (report: StateReport): ReplicationReport => ({ kind: "folders", report });
  const followed = following(halves, captured, request);
  return {
    once: async () => captured(await stream.capture()),
    follow: (signal) => followed(signal).finally(() => stream.close()),
  };
}

/** A folder that cannot be captured is no reason to leave Qdrant behind. */
function isOfKeys(error: DrError): boolean {
  return hasCode(error, "KEY_UNAVAILABLE");
}

function following<State, Report>(
  halves: Omit<FollowRequest<State, Report>, "clock" | "onReport" | "signal">,
  named: (report: Report) => ReplicationReport,
  { clock, onReport }: Pick<ReplicateRequest, "clock" | "onReport">,
): ReplicationPart["follow"] {
  return async (signal) => {
    const last = await follow({
      ...halves,
      clock,
      signal,
      onReport: (news) => onReport("report" in news ? named(news.report) : news),
    });
    return last === undefined ? undefined : named(last);
  };
}
