/** Reads one worker's share of the folders of a plan, and stores it. */
import { type CapturePart, shareOf } from "../../../domain/recovery-points/capture-plan.ts";
import { missingBecause } from "../../../domain/recovery-points/missing.ts";
import type { CapturedFolder, Missing } from "../../../domain/recovery-points/recovery-point.ts";
import { hasCode } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import type { CaptureMemory } from "../capture-memory.ts";
import type { FolderCapture } from "../folder-capture.ts";
import type { PlannedCapture } from "../planned-capture.ts";
import type { Storing } from "./storing.ts";

export interface FoldersSource {
  readonly folders: readonly FolderCapture[];
  readonly repository: OpenRepository;
  readonly allowEmpty: boolean;
  readonly memory: CaptureMemory | undefined;
  readonly clock: Clock;
  /** A capture that must hold everything fails with its first part. */
  readonly mustBeWhole: boolean;
  readonly progress: Progress;
}

/** Said of what is captured: the store says none of these. */
const ofFolder = [
  "CAPTURE_INCOMPLETE",
  "LINEAGE_BROKEN",
  "NOT_SUPPORTED",
  "SETTING_INVALID",
  "KUBERNETES_REFUSED",
  "ANSWER_UNREADABLE",
  "PULUMI_FAILED",
  "STACK_NOT_FOUND",
] as const;
/** Said of a cluster or of Pulumi's state as well as of the store; what the store says, the commit will hear again. */
const ofServer = ["UNREACHABLE", "ACCESS_DENIED", "TIMED_OUT"] as const;

export class FoldersReader {
  readonly #source: FoldersSource;

  constructor(source: FoldersSource) {
    this.#source = source;
  }

  async read(
    { base, plan }: PlannedCapture,
    worker: number,
    storing: Storing,
  ): Promise<Pick<CapturePart, "folders" | "readBytes" | "storedBytes"> & { readonly missing: readonly Missing[] }> {
    const { allowEmpty, clock, memory, mustBeWhole, progress, repository } = this.#source;
    const planned = this.#source.folders.filter((folder) => plan.folders.some((each) => isSameFolder(each, folder)));
    const folders: CapturedFolder[] = [];
    const missing: Missing[] = [];
    let readBytes = 0;
    let storedBytes = 0;
    for (const source of shareOf(planned, worker, plan.workers)) {
      progress({ step: "capture", detail: `${source.kind} ${source.name}` });
      const last = base.recoveryPoints.get(source.kind);
      const before = last?.folders.find((folder) => isSameFolder(folder, source));
      try {
        const captured = await source.capture({
          repository,
          epoch: { active: plan.region, epoch: plan.epoch },
          before,
          presence: base.presence,
          isFull: plan.type === "full",
          allowEmpty,
          mustBeWhole,
          clock,
          memory,
          storing,
        });
        readBytes += captured.readBytes;
        storedBytes += captured.storedBytes;
        folders.push(captured.folder);
        missing.push(...captured.missing);
      } catch (error) {
        if (mustBeWhole || !isOfFolder(source, error)) throw error;
        // Of another epoch it would be what another region had.
        const held = last?.epoch === plan.epoch ? before : undefined;
        if (held !== undefined) folders.push(held);
        const asOf = held === undefined ? {} : { heldAsOf: held.startedAt };
        missing.push({ ...missingBecause({ kind: source.kind, name: source.name }, error), ...asOf });
      }
    }
    return { folders, missing, readBytes, storedBytes };
  }
}

function isOfFolder({ kind }: FolderName, error: unknown): boolean {
  return hasCode(error, ...ofFolder) || (kind === "infrastructure" && hasCode(error, ...ofServer));
}

type FolderName = Pick<FolderCapture, "kind" | "name">;

function isSameFolder(a: FolderName, b: FolderName): boolean {
  return a.kind === b.kind && a.name === b.name;
}
