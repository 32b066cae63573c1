/** Reads one worker's share of the folders of a plan, and stores it. */
import { type CapturePart, shareOf } from "../../../domain/recovery-points/capture-plan.ts";
import type { CapturedFolder } from "../../../domain/recovery-points/recovery-point.ts";
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
  readonly progress: Progress;
}

export class FoldersReader {
  readonly #source: FoldersSource;

  constructor(source: FoldersSource) {
    this.#source = source;
  }

  async read(
    { base, plan }: PlannedCapture,
    worker: number,
    storing: Storing,
  ): Promise<Pick<CapturePart, "folders" | "readBytes" | "storedBytes">> {
    const { allowEmpty, clock, memory, progress, repository } = this.#source;
    const planned = this.#source.folders.filter((folder) => plan.folders.some((each) => isSameFolder(each, folder)));
    const folders: CapturedFolder[] = [];
    let readBytes = 0;
    let storedBytes = 0;
    for (const source of shareOf(planned, worker, plan.workers)) {
      progress({ step: "capture", detail: `${source.kind} ${source.name}` });
      const captured = await source.capture({
        repository,
        epoch: { active: plan.region, epoch: plan.epoch },
        before: base.recoveryPoints.get(source.kind)?.folders.find((folder) => isSameFolder(folder, source)),
        inventory: base.inventory,
        isFull: plan.type === "full",
        allowEmpty,
        clock,
        memory,
        storing,
      });
      readBytes += captured.readBytes;
      storedBytes += captured.storedBytes;
      folders.push(captured.folder);
    }
    return { folders, readBytes, storedBytes };
  }
}

type FolderName = Pick<FolderCapture, "kind" | "name">;

function isSameFolder(a: FolderName, b: FolderName): boolean {
  return a.kind === b.kind && a.name === b.name;
}
