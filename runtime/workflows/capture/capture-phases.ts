/** Takes a capture's request apart: each phase is built with what it needs. */

import { CaptureFacts } from "./capture-facts.ts";
import type { CaptureRequest } from "./capture-request.ts";
import { type CaptureWorkers, SharingWorker, SingleWorker } from "./capture-workers.ts";
import { CollectionFailures } from "./collection-failures.ts";
import { CaptureCommitter } from "./commit/commit-capture.ts";
import { UnchangedFinder } from "./commit/find-unchanged.ts";
import { ContradictionQuarantine } from "./commit/quarantine-contradicted.ts";
import { BaseFinder } from "./find-base.ts";
import { CaptureAssessor } from "./plan/assess-capture.ts";
import { CollectionChooser } from "./plan/choose-collections.ts";
import { CapturePlanner } from "./plan/plan-capture.ts";
import { CollectionPlanner } from "./plan/plan-collection.ts";
import { SnapshotTidier } from "./plan/tidy-snapshots.ts";
import { FoldersReader } from "./read/read-folders.ts";
import { PartReader } from "./read/read-part.ts";
import { ShardsReader } from "./read/read-shards.ts";
import { StoringStarter } from "./read/start-storing.ts";
import { TemporarySnapshots } from "./shard/temporary-snapshot.ts";
import { ShardPlacements } from "./shard-placements.ts";

export interface CapturePhases {
  readonly workers: CaptureWorkers;
  readonly bases: BaseFinder;
  readonly assessor: CaptureAssessor;
  readonly planner: CapturePlanner;
  readonly reader: PartReader;
  /** Undefined where a recovery point is committed whether anything changed or not. */
  readonly unchanged: UnchangedFinder | undefined;
  readonly committer: CaptureCommitter;
}

export function phasesOf(request: CaptureRequest): CapturePhases {
  const { allowEmpty = false, clock, database, incremental, progress, region, repository, type } = request;
  const { collections, exclude, folders = [], kinds = ["qdrant"], mustBeWhole = false, patience, readAtOnce } = request;
  const { imported, runner, signal, toolVersion, worker } = request;
  const control = request.control ?? repository.stores.control;
  const memory = incremental?.memory;
  // This run has looked at the region and its bucket before, and was not cut off since.
  const isContinued = memory?.base !== undefined;
  const facts = new CaptureFacts(repository, memory?.facts);
  const workers =
    worker === undefined
      ? new SingleWorker(repository, facts, clock)
      : new SharingWorker(worker, repository, facts, { region, type }, clock);
  const placements = new ShardPlacements({ clock, database, progress, signal });
  const snapshots = new TemporarySnapshots({ clock, control: repository.stores.control, database });
  const assessor = new CaptureAssessor(
    { region, clock, control, database, kinds, folders, isContinued, runner, progress },
    new CollectionChooser(database, { names: collections, exclude }, incremental),
  );
  const trees = memory?.trees;
  const failures = new CollectionFailures({ clock, database, mustBeWhole });
  const choosesCollections = incremental?.choose !== undefined;
  return {
    workers,
    bases: new BaseFinder({
      clock,
      buildsOnNothing: imported !== undefined,
      kinds,
      progress,
      remembered: memory?.base,
      repository,
    }),
    assessor,
    planner: new CapturePlanner(
      { clock, region, type, kinds, workers: workers.count },
      assessor,
      new CollectionPlanner({ database, facts, failures, placements, progress, repository, type }),
      kinds.includes("qdrant") && !isContinued ? new SnapshotTidier(snapshots, progress) : undefined,
    ),
    reader: new PartReader(
      workers.index,
      new ShardsReader({
        ...{
          clock,
          control,
          database,
          failures,
          repository,
          placements,
          progress,
          patience,
          readAtOnce,
          signal,
          trees,
        },
        fingerprints: memory?.fingerprints ?? new Map(),
      }),
      new FoldersReader({ folders, repository, allowEmpty, memory, clock, mustBeWhole, progress }),
      new StoringStarter({ isContinued, memory, progress, repository, workers }),
    ),
    unchanged: incremental && new UnchangedFinder(database, facts),
    committer: new CaptureCommitter(
      {
        clock,
        control,
        database,
        facts,
        failures,
        placements,
        progress,
        repository,
        toolVersion,
        allowEmpty,
        choosesCollections,
        isFollowing: incremental !== undefined,
        imported,
        journal: request.journal,
      },
      new ContradictionQuarantine({ clock, progress, repository }),
    ),
  };
}
