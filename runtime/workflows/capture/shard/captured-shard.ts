/** What the capture of one shard yields. */
import type { CapturedShard } from "../../../domain/recovery-points/recovery-point.ts";
import type { ShardTree } from "../../../domain/recovery-points/shard-tree.ts";

/** What was stored of a shard. */
export interface RecordedShard {
  readonly tree: { readonly id: string; readonly size: number };
  readonly content: ShardTree;
  /** Bytes of expanded files that Qdrant sent, and bytes that were stored for them. */
  readonly readBytes: number;
  readonly storedBytes: number;
}

export interface ShardCapture extends RecordedShard {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly method: CapturedShard["method"];
  readonly isExact: boolean;
  /** The server said that nothing changed since the base. */
  readonly isUnchanged: boolean;
  /** Files that a full capture found with the base's version and other bytes: what was built on versions is wrong. */
  readonly contradictions: readonly string[];
}

/** A capture of which the server still has to tell whether it is exact. */
export interface TakenCapture extends Omit<ShardCapture, "isExact"> {
  isExact(): Promise<boolean>;
}

/** The last capture of a shard, of which all of its tree is there. */
export interface ShardBase {
  readonly isExact: boolean;
  readonly tree: ShardTree & { readonly id: string; readonly size: number };
}
