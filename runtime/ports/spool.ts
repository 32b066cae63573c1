import type { Write } from "../domain/journal/write-class.ts";

/** A write that is about to go to Qdrant: what of it may be changed when its outcome is never told. */
export interface Intent {
  readonly changes: Write["changes"];
  /** Absent: every collection. */
  readonly collection?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly shardKeys?: readonly string[] | undefined;
}

export interface NumberedIntent extends Intent {
  readonly number: number;
}

/** What a gate writes to its own disk before a write goes on, so that a gate that is killed knows afterwards what it had let through. */
export interface Spool {
  /** What was begun and is not done, in its order, by whoever had the spool before. */
  readonly left: readonly NumberedIntent[];
  /** The takeover under which it was written; absent: none. */
  readonly term: number | undefined;
  /** Written when it returns. Throws DISK_FULL. */
  begin(intent: Intent): number;
  /** The journal tells of these: they are forgotten. */
  done(numbers: readonly number[]): void;
  remember(term: number): void;
  close(): void;
}
