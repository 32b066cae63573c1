/**
 * Configuration and user data of the active region, captured into the standby's bucket whenever they change: as recovery points
 * that hold these kinds alone, so that neither they nor Qdrant wait for each other.
 */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../ports/clock.ts";
import type { WatchedFolder } from "../../ports/folders.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { CaptureMemory } from "../capture/capture-memory.ts";
import { captureRecoveryPoint } from "../capture/capture-recovery-point.ts";
import { type FolderToCapture, folderCapture } from "../folders/capture-folder.ts";
import { ActiveSource } from "./active-source.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import type { StateReport } from "./source-capturer.ts";

/** Watches of the file system can miss changes, and network disks report none: the folder is also looked at this often. */
const looksEveryMs = 60_000;
/** A program that writes one file usually writes more: the capture waits until they are there. */
const debounceMs = 200;

export interface StreamedFolder extends FolderToCapture {
  readonly source: WatchedFolder;
}

export interface FolderStreamRequest {
  /** The active region. */
  readonly source: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly control: ObjectStoreReader;
  };
  /** All that the region has of the kinds that are streamed. */
  readonly folders: readonly StreamedFolder[];
  /** The standby's. */
  readonly repository: OpenRepository;
  /** A folder that is gone or empty, and was not before, is meant to be. */
  readonly allowEmpty: boolean;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export class FolderStream {
  readonly #request: FolderStreamRequest;
  readonly #source: ActiveSource;
  readonly #memory = new CaptureMemory();
  readonly #watch: FolderWatch;
  readonly #history: HistoryKeeper;
  #state: RecoveryPoint | undefined;

  constructor(request: FolderStreamRequest) {
    const { clock, folders, progress, repository, source } = request;
    this.#request = { ...request, repository: repository.withStream() };
    const kinds = [...new Set(folders.map(({ kind }) => kind))];
    this.#history = new HistoryKeeper({ repository: this.#request.repository, kinds, clock, progress });
    this.#source = new ActiveSource({ region: source.region, controls: [repository.stores.control, source.control] });
    this.#watch = new FolderWatch(folders, clock, progress);
  }

  /** The next state that is in the standby's bucket: at once in the beginning, and then when something may have changed. */
  async next(signal: AbortSignal): Promise<StateReport> {
    await this.#watch.changed(signal);
    try {
      const report = await this.capture();
      // No watch tells when what is missing is back.
      if (report.missing.length > 0) this.#watch.again();
      return report;
    } catch (error) {
      this.#watch.again();
      throw error;
    }
  }

  /** Throws ROLE_REFUSES when the source is not the active region. */
  async capture(): Promise<StateReport> {
    const { allowEmpty, clock, folders, progress, repository, source, toolVersion } = this.#request;
    await this.#source.refuseUnlessActive();
    const place = this.#memory.base === undefined ? await this.#history.placeOfFirst() : repository;
    const captured = await captureRecoveryPoint({
      region: source.region,
      type: "incremental",
      kinds: [...new Set(folders.map(({ kind }) => kind))],
      folders: folders.map((folder) => folderCapture(folder, progress)),
      database: source.database,
      repository: place,
      control: source.control,
      allowEmpty,
      incremental: { memory: this.#memory },
      clock,
      progress: () => undefined,
      toolVersion,
    });
    return {
      recoveryPoint: await this.#keep(captured.recoveryPoint, place),
      asOf: captured.time,
      isExact: captured.isExact,
      missing: captured.missing,
      isChanged: captured.isUnchanged !== true,
      readBytes: captured.readBytes,
      storedBytes: captured.storedBytes,
      captureSeconds: captured.seconds,
    };
  }

  /** The id that the state has from then on. */
  async #keep(id: string, place: OpenRepository): Promise<string> {
    const { clock } = this.#request;
    const state = this.#state?.id === id ? this.#state : await place.readRecoveryPoint(id);
    this.#state = state;
    if (place.history === place) {
      this.#history.wasKept(state);
      return id;
    }
    const kept = await this.#history.keep(state);
    if (kept === undefined) return id;
    this.#memory.standsFor(kept, clock.now());
    this.#state = kept.recoveryPoint;
    return kept.recoveryPoint.id;
  }

  close(): void {
    this.#watch.close();
  }
}

/** Whether something may have changed since it was asked for the last time. */
class FolderWatch {
  readonly #folders: readonly StreamedFolder[];
  readonly #clock: Clock;
  readonly #progress: Progress;
  #ends: (() => void)[] = [];
  #isChanged = true;
  #wake: () => void = () => undefined;

  constructor(folders: readonly StreamedFolder[], clock: Clock, progress: Progress) {
    this.#folders = folders;
    this.#clock = clock;
    this.#progress = progress;
  }

  /** Resolves when the folder may have changed: when its watch reports a change, and at the latest after a minute. */
  async changed(signal: AbortSignal): Promise<void> {
    if (!this.#isChanged) {
      await this.#changeOrTimeout(signal);
      await this.#clock.sleep(debounceMs, signal);
    }
    // Another folder may stand in its place, which the old watch does not see.
    if (!this.#isChanged || this.#ends.length === 0) this.#begin();
    this.#isChanged = false;
  }

  async #changeOrTimeout(signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const told = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    try {
      await Promise.race([told, this.#clock.sleep(looksEveryMs, AbortSignal.any([signal, ended.signal]))]);
    } finally {
      ended.abort();
    }
  }

  again(): void {
    this.#isChanged = true;
    this.#wake();
  }

  close(): void {
    for (const end of this.#ends) end();
    this.#ends = [];
  }

  #begin(): void {
    this.close();
    this.#ends = this.#folders.map(({ kind, name, source }) =>
      source.watch({
        changed: () => this.again(),
        broken: (why) =>
          this.#progress({
            step: "replicate",
            detail: `${kind} ${name}: its changes are not told (${why}), so that it is looked at once a minute`,
          }),
      }),
    );
  }
}
