/** What a capture is asked for. `captureRecoveryPoint` takes the request apart; none of its phases sees all of it. */
import type { JournalPosition } from "../../domain/journal/position.ts";
import type { CaptureType, DataKind, ImportedSnapshot } from "../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { Runner } from "../../ports/runner.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { CaptureMemory } from "./capture-memory.ts";
import type { FolderCapture } from "./folder-capture.ts";

export interface CaptureRequest extends CaptureTarget, CaptureOptions {
  readonly incremental?: IncrementalContext | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
  /** The process that captures; it may know that a restore of its machine was cut off. */
  readonly runner?: Pick<Runner, "isDead"> | undefined;
  readonly toolVersion: string;
  /** Ends the waits for shards that move and for optimizations; the capture fails with its reason then, and commits nothing. */
  readonly signal?: AbortSignal | undefined;
}

/** The region that is captured, and the repository that its recovery points go into. */
export interface CaptureTarget {
  readonly region: string;
  readonly database: VectorDatabase;
  readonly repository: OpenRepository;
  /** Control store of the region that is captured, when the recovery point goes into another region's bucket. */
  readonly control?: ObjectStoreReader | undefined;
}

export interface CaptureOptions {
  readonly type: CaptureType;
  /** What to capture; Qdrant alone when left out. */
  readonly kinds?: readonly DataKind[] | undefined;
  /** Read only these collections; the others are as in the base. */
  readonly collections?: readonly string[] | undefined;
  /** Names and patterns of collections that are left out on purpose. */
  readonly exclude?: readonly string[] | undefined;
  /** Fail when anything cannot be captured. Without it the rest is, and the recovery point says what it lacks. */
  readonly mustBeWhole?: boolean | undefined;
  readonly folders?: readonly FolderCapture[] | undefined;
  /** Commit a recovery point without points, though the last one has some. */
  readonly allowEmpty?: boolean | undefined;
  readonly patience?: CapturePatience | undefined;
  /** Where the region's journal was before the capture, and before all that would make it inexact. */
  readonly journal?: JournalPosition | undefined;
  /** Shards that are read side by side; 2 when left out. Each takes memory for its packs, and asks its server for more at once. */
  readonly readAtOnce?: number | undefined;
  /** What is captured was restored from these snapshots a moment ago: nothing that was captured before is of it. */
  readonly imported?: readonly ImportedSnapshot[] | undefined;
  /** One of several workers that capture one recovery point; a single one does all of it when left out. */
  readonly worker?: CaptureWorker | undefined;
}

/** One of `count` workers that capture one recovery point, `index` from 0 on; `session` is the same for all of them. */
export interface CaptureWorker {
  readonly index: number;
  readonly count: number;
  readonly session: string;
}

export interface CapturePatience {
  /** How long an optimization is waited for. */
  readonly quietMs: number;
  /** How often a capture is tried before it is kept as not exact. */
  readonly attempts: number;
  /** Take a collection snapshot when an optimization outlasts that. */
  readonly usesSnapshot: boolean;
}

/** A run that captures again and again, as replication does. It commits nothing when all is as in the last recovery point. */
export interface IncrementalContext {
  /** What the run knows from its last capture, the base first of all; kept up by this one. */
  readonly memory: CaptureMemory;
  /**
   * Which of the collections are read, of those that may be as in the base: all are read when this run did not make the base, or is not
   * sure of it, and after a restore or a new epoch.
   */
  readonly choose?: ((collections: readonly string[]) => readonly string[]) | undefined;
}
