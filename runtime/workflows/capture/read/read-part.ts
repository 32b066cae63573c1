/** Reads and stores one worker's part of a capture: its share of the shards, then of the folders. */
import type { CapturePart } from "../../../domain/recovery-points/capture-plan.ts";
import type { PlannedCapture } from "../planned-capture.ts";
import type { FoldersReader } from "./read-folders.ts";
import type { ShardsReader } from "./read-shards.ts";
import type { StoringStarter } from "./start-storing.ts";

export class PartReader {
  readonly #folders: FoldersReader;
  readonly #shards: ShardsReader;
  readonly #storing: StoringStarter;
  readonly #worker: number;

  /** @param worker from 0 on. */
  constructor(worker: number, shards: ShardsReader, folders: FoldersReader, storing: StoringStarter) {
    this.#worker = worker;
    this.#shards = shards;
    this.#folders = folders;
    this.#storing = storing;
  }

  async read(planned: PlannedCapture): Promise<CapturePart> {
    const storing = this.#storing.for(planned.plan, planned.base);
    const { shards, ...ofShards } = await this.#shards.read(planned, this.#worker, storing);
    const { folders, ...ofFolders } = await this.#folders.read(planned, this.#worker, storing);
    const missing = [...ofShards.missing, ...ofFolders.missing];
    return {
      format: 1,
      worker: this.#worker,
      shards,
      folders,
      ...(missing.length === 0 ? {} : { missing }),
      readBytes: ofShards.readBytes + ofFolders.readBytes,
      storedBytes: ofShards.storedBytes + ofFolders.storedBytes,
    };
  }
}
