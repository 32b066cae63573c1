/** Opens what a failover or a switchover acts with, from the sessions of the two regions. */
import { randomUUID } from "node:crypto";
import { withTimeout } from "../../async/with-timeout.ts";
import { peerOf } from "../../domain/region.ts";
import { toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FailoverHooks } from "../../ports/failover-hooks.ts";
import type { FolderTarget } from "../../ports/folders.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import type { Stacks } from "../../ports/stacks.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { RegionSession } from "../region-session.ts";
import type { FailoverRequest, SwitchoverRequest } from "./request.ts";
import type { DeclaredFolders } from "./restore-declared-folders.ts";

/** The region to promote, and the ports that every change of roles acts with. */
export interface RoleChange {
  /** Stack and session of the region that is promoted. */
  readonly stack: string;
  readonly session: RegionSession;
  /** Folders of this machine. */
  readonly folderTarget: FolderTarget;
  readonly onInterrupt: DeclaredFolders["onInterrupt"];
  /** Absent where no stack declares the regions. */
  readonly stacks: Stacks | undefined;
  readonly hooks: FailoverHooks | undefined;
  readonly runner: Runner;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** How long the lost region is asked: each second of it is one without service. */
const lostRegionAnswersWithinMs = 5_000;
/** And none of its servers for longer than this. */
const lostServerAnswersWithinMs = 2_000;

/** @param active the region that steps down. */
export async function prepareSwitchover(change: RoleChange, active: RegionSession): Promise<SwitchoverRequest> {
  return {
    kind: "switchover",
    ...common(change, (await change.session.repositoryForWriting()).withStream()),
    active: {
      region: active.region.region,
      database: active.database,
      control: active.stores.control,
      gate: active.gate(),
    },
    toolVersion: change.toolVersion,
  };
}

export interface FailoverChoice {
  readonly acceptedDataLossSeconds: number;
  readonly acceptedAbsent?: readonly string[] | undefined;
  /** This machine is not the one that has the region's folders. */
  readonly leaveFolders?: boolean | undefined;
  /** Opens the lost region; undefined when nothing here tells where it is. */
  readonly openLost: (() => Promise<RegionSession>) | undefined;
}

export async function prepareFailover(
  change: RoleChange,
  { acceptedAbsent, acceptedDataLossSeconds, leaveFolders, openLost }: FailoverChoice,
): Promise<FailoverRequest> {
  const { session } = change;
  return {
    kind: "failover",
    ...common(change, (await session.repository()).withStream()),
    // Paths of a settings file are those of the machine that it is on; of a stack those that pods see.
    folders:
      session.origin === "settings" && !leaveFolders ? { all: session.folders(), ...foldersOf(change) } : undefined,
    lostControl: openLost && (await reachLost(openLost, peerOf(session.region), change.progress)),
    acceptedDataLossSeconds,
    acceptedAbsent,
  };
}

function foldersOf({ folderTarget: target, onInterrupt }: RoleChange): Omit<DeclaredFolders, "all"> {
  return { target, onInterrupt };
}

function common({ clock, hooks, progress, runner, session, stack, stacks }: RoleChange, repository: OpenRepository) {
  progress({ step: "assess", detail: "Find what this region can serve from" });
  return {
    stack,
    region: session.region,
    repository,
    database: session.database,
    gate: session.gate(),
    witness: session.witness(),
    traffic: session.region.endpoint && session.traffic(),
    stacks,
    hooks,
    run: randomUUID(),
    runner,
    clock,
    progress,
  };
}

/** The lost region's outputs may be in a backend that still answers, or that hangs; its store most likely does not. */
async function reachLost(
  open: () => Promise<RegionSession>,
  peer: string,
  progress: Progress,
): Promise<ObjectStore | undefined> {
  try {
    const lost = await withTimeout(lostRegionAnswersWithinMs, `the state backend of ${peer}`, open);
    return lost.withPatience(lostServerAnswersWithinMs).stores.control;
  } catch (error) {
    progress({ step: "assess", detail: `${peer} gets no copy of the epoch: ${toDrError(error).message}` });
    return undefined;
  }
}
