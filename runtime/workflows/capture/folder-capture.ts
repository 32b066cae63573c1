/** How something beside Qdrant becomes a part of a recovery point. */

import type { CapturedFolder, Missing } from "../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ContentPresence } from "../../repository/catalog/content-presence.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { CaptureMemory } from "./capture-memory.ts";
import type { Storing } from "./read/storing.ts";

/** Something beside Qdrant that can be captured: one folder, or documents that stand for one. */
export interface FolderCapture {
  readonly kind: CapturedFolder["kind"];
  readonly name: string;
  capture(context: FolderContext): Promise<{
    readonly folder: CapturedFolder;
    /** Entries that could not be read. */
    readonly missing: readonly Missing[];
    readonly readBytes: number;
    readonly storedBytes: number;
  }>;
}

export interface FolderContext {
  readonly repository: OpenRepository;
  readonly epoch: { readonly active: string; readonly epoch: number };
  /** The folder as it was captured last. */
  readonly before: CapturedFolder | undefined;
  /** What is in the repository. */
  readonly presence: ContentPresence;
  /** Read everything, whatever looks unchanged. */
  readonly isFull: boolean;
  readonly allowEmpty: boolean;
  /** An entry that cannot be read ends the capture. */
  readonly mustBeWhole: boolean;
  readonly clock: Clock;
  readonly memory: CaptureMemory | undefined;
  readonly storing: Storing;
}
