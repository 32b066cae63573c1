import type { DrError } from "../errors.ts";

/** The entries of a folder, as they were seen last. */
export interface FoundEntry {
  /** Below the folder, with `/` between names; `.` is the folder itself. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: Date;
  /** Files: bytes, without holes. */
  readonly size: number;
  /** Symlinks: as the link says. */
  readonly target?: string;
  /** Files: what tells on this machine that nothing of them changed, and when something last did. */
  readonly seen?: string;
  readonly changedAt?: Date;
}

export interface OpenFile {
  readonly entry: FoundEntry;
  /** At most `entry.size` bytes, in order. Throws CAPTURE_INCOMPLETE where they cannot be read. */
  readonly content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
  /** To be called in any case; tells whether all that was read is of one state of the file. */
  close(): Promise<{ readonly isConsistent: boolean }>;
}

/** What a walk over a folder leaves out: what is neither file, directory nor link, and what cannot be read. */
export type SkippedEntry = { readonly path: string } & (
  | { readonly type: "device" | "fifo" | "socket" }
  | { readonly error: DrError }
);

/** A folder to read. Throws CAPTURE_INCOMPLETE when it cannot be read at all. */
export interface FolderSource {
  /** Absent when it stands for something that is no folder. */
  readonly path?: string;
  /** False when there is nothing at the path. */
  exists(): Promise<boolean>;
  /**
   * What of the folder is wanted, in a fixed order, a directory before what it holds. What vanishes meanwhile is left
   * out. An error that `skip` throws ends the walk.
   */
  entries(skip: (skipped: SkippedEntry) => void): AsyncIterable<FoundEntry>;
  /**
   * Undefined when it is gone, or no file any more. A database comes as one consistent file. Throws CAPTURE_INCOMPLETE when it
   * cannot be read.
   */
  open(path: string): Promise<OpenFile | undefined>;
}

/** A folder that tells when something in it may have changed. */
export interface WatchedFolder extends FolderSource {
  /** Tells until the returned function is called; that it is `broken`, when it can tell no longer. */
  watch(told: { changed(): void; broken(why: string): void }): () => void;
}

/** Attributes that are set once the content of an entry is written. */
export type EntryAttributes = Pick<FoundEntry, "path" | "type" | "mode" | "uid" | "gid" | "modifiedAt">;

/** A folder that is made beside its place, so that nothing half-made ever stands there. */
export interface FolderDraft {
  directory(path: string): Promise<void>;
  symlink(path: string, target: string): Promise<void>;
  /** Zeros outside of what is given. On disk when this returns. */
  file(
    path: string,
    size: number,
    content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>,
  ): Promise<void>;
  /** The file as it stands on disk. */
  read(path: string): AsyncIterable<Uint8Array>;
  /**
   * Sets the attributes and moves the draft to its place. What stands there is kept as `keepAs`, or another free name;
   * without that it is refused with TARGET_NOT_EMPTY.
   */
  place(entries: readonly EntryAttributes[], keepAs?: string): Promise<PlacedFolder>;
  discard(): Promise<void>;
}

export interface PlacedFolder {
  /** The path under which the former content is kept. */
  readonly keptAs?: string;
  /** Entries whose owner could not be set: that needs root. */
  readonly notOwned: readonly string[];
}

/**
 * Folders of this machine to write. With `below`, a place that links lead out of that folder is refused (USAGE).
 */
export interface FolderTarget {
  /** Describes the present entry at the path; the content of a volume cannot be kept under another name. */
  look(
    path: string,
    below?: string,
  ): Promise<{ readonly state: "missing" | "empty" | "occupied"; readonly isVolume: boolean }>;
  /** A draft for this place. What earlier drafts for it left that were cut off is removed. */
  draft(path: string, below?: string): Promise<FolderDraft>;
}
