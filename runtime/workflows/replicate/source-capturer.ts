/** The source's half of replication: captures what changed in the active region, straight into the standby's bucket. */
import type { JournalPosition } from "../../domain/journal/position.ts";
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import { isExact, type Missing, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Tiers } from "../../domain/settings/tiers.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { Runner } from "../../ports/runner.ts";
import { readStandbyState } from "../../repository/control/standby-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { CaptureMemory } from "../capture/capture-memory.ts";
import { captureRecoveryPoint } from "../capture/capture-recovery-point.ts";
import type { CapturePatience } from "../capture/capture-request.ts";
import { ActiveSource } from "./active-source.ts";
import { DueCollections } from "./due-collections.ts";
import { HistoryKeeper } from "./history-keeper.ts";

/** How often a full capture compares contents: between two of them captures trust Qdrant's versions. */
const fullEveryMs = 24 * 60 * 60_000;

/**
 * "provisional" waits for merges, which are short, and then takes what can be had: deletes that were acknowledged while an optimization ran may be undone until it
 * ends. "exact" waits for that, and takes a collection snapshot when it takes long; "soon" takes one at once.
 */
const patienceFor = {
  provisional: { quietMs: 500, attempts: 1, usesSnapshot: false },
  soon: { quietMs: 1_000, attempts: 2, usesSnapshot: true },
  exact: { quietMs: 60_000, attempts: 3, usesSnapshot: true },
} as const satisfies Record<string, CapturePatience>;
export type Patience = keyof typeof patienceFor;

/** Most of the time that a small change takes is spent waiting. */
const changesReadAtOnce = 4;

/** After a capture the source rests for this many times as long as the capture took, within the limits of `follow`. */
export const sourceRestsFor = 2;

export interface SourceCapturerRequest {
  /** The active region. */
  readonly source: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly control: ObjectStoreReader;
  };
  /** The standby's. */
  readonly repository: OpenRepository;
  /** Names and patterns of collections that are left out on purpose. */
  readonly exclude?: readonly string[] | undefined;
  /** Each capture reads all collections when left out. */
  readonly tiers?: Tiers;
  /** The last writes before a switchover: its fence is no reason to stop. */
  readonly isSwitchover?: boolean;
  readonly toolVersion: string;
  readonly clock: Clock;
  /** The process that captures. */
  readonly runner?: Pick<Runner, "isDead"> | undefined;
  readonly progress: Progress;
}

/** A state of the source that is in the standby's bucket, whole. */
export interface CapturedState {
  readonly recoveryPoint: RecoveryPoint;
  /** Everything that the source acknowledged before this is in it. */
  readonly asOf: Date;
  /** When its capture began. What is older in it is so as its tier says. */
  readonly followedAt: Date;
  /** When everything was read and compared the last time. */
  readonly fullAt: Date;
  /** False when the recovery point is one that was there already. */
  readonly isChanged: boolean;
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
}

export interface StateReport {
  readonly recoveryPoint: string;
  readonly asOf: string;
  readonly isExact: boolean;
  /** What the capture could not read: the standby holds it as it was before, or not at all. */
  readonly missing: readonly Missing[];
  /** False when the recovery point is the one that the capture before made. */
  readonly isChanged: boolean;
  /** Read from the source, and stored in the standby's bucket. */
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly captureSeconds: number;
}

export function stateReport(state: CapturedState): StateReport {
  const { asOf, isChanged, recoveryPoint, readBytes, seconds, storedBytes } = state;
  return {
    recoveryPoint: recoveryPoint.id,
    asOf: asOf.toISOString(),
    isExact: isExact(recoveryPoint),
    missing: missingFrom(recoveryPoint),
    isChanged,
    readBytes,
    storedBytes,
    captureSeconds: seconds,
  };
}

export class SourceCapturer {
  readonly #request: SourceCapturerRequest;
  readonly #memory = new CaptureMemory();
  readonly #source: ActiveSource;
  readonly #due: DueCollections | undefined;
  readonly #history: HistoryKeeper;
  #recoveryPoint: RecoveryPoint | undefined;
  #fullAt: Date | undefined;
  #hasTold = false;

  constructor(request: SourceCapturerRequest) {
    const { isSwitchover, repository, source, tiers } = request;
    this.#request = { ...request, repository: repository.withStream() };
    this.#due = tiers && new DueCollections(tiers);
    const { clock, progress } = request;
    this.#history = new HistoryKeeper({ repository: this.#request.repository, kinds: ["qdrant"], clock, progress });
    this.#source = new ActiveSource({
      region: source.region,
      isSwitchover,
      controls: [repository.stores.control, source.control],
    });
  }

  /**
   * What is provisional is captured collection by collection, as it is due; otherwise all of them are. Throws ROLE_REFUSES
   * when the source is not the active region.
   * @param journal where the region's journal was before.
   * @param signal ends what the capture waits for, and so the capture.
   */
  async capture(patience: Patience, signal?: AbortSignal, journal?: JournalPosition): Promise<CapturedState> {
    const { clock, exclude, isSwitchover, progress, repository, runner, source, toolVersion } = this.#request;
    await this.refuseUnlessActive();
    const begun = clock.now();
    const begunMs = clock.monotonic();
    this.#fullAt ??= await lastFull(repository, begun);
    const isFull = this.#fullAt === undefined || begun.getTime() - this.#fullAt.getTime() >= fullEveryMs;
    let chosen: readonly string[] | undefined;
    const choose = (collections: readonly string[]) => {
      chosen = this.#due?.of(collections, begunMs) ?? collections;
      return chosen;
    };
    const place = this.#memory.base === undefined ? await this.#history.placeOfFirst() : repository;
    const captured = await captureRecoveryPoint({
      region: source.region,
      type: isFull ? "full" : "incremental",
      database: source.database,
      repository: place,
      control: source.control,
      exclude,
      patience: patienceFor[patience],
      journal,
      readAtOnce: isFull ? undefined : changesReadAtOnce,
      incremental: { memory: this.#memory, choose: patience === "provisional" && !isFull ? choose : undefined },
      clock,
      progress: withoutAmounts(progress),
      runner,
      toolVersion,
      signal,
      // Nothing of the last writes before a switchover may stay behind.
      mustBeWhole: isSwitchover,
    });
    const fullAt = isFull || this.#fullAt === undefined ? begun : this.#fullAt;
    this.#fullAt = fullAt;
    if (this.#recoveryPoint?.id !== captured.recoveryPoint)
      this.#recoveryPoint = await repository.readRecoveryPoint(captured.recoveryPoint);
    await this.#keep(this.#recoveryPoint, place);
    this.#tellOfUnmatched();
    this.#due?.captured(
      chosen ?? this.#recoveryPoint.collections.map(({ name }) => name),
      begunMs,
      this.#recoveryPoint,
    );
    return {
      recoveryPoint: this.#recoveryPoint,
      asOf: new Date(captured.time),
      followedAt: begun,
      fullAt,
      isChanged: captured.isUnchanged !== true,
      readBytes: captured.readBytes,
      storedBytes: captured.storedBytes,
      seconds: captured.seconds,
    };
  }

  async #keep(state: RecoveryPoint, place: OpenRepository): Promise<void> {
    if (place.history === place) return this.#history.wasKept(state);
    const kept = await this.#history.keep(state);
    if (kept === undefined) return;
    this.#memory.standsFor(kept, this.#request.clock.now());
    this.#recoveryPoint = kept.recoveryPoint;
  }

  /** Once: a tier that is misspelt would not be seen otherwise. */
  #tellOfUnmatched(): void {
    const { progress, tiers } = this.#request;
    if (this.#hasTold) return;
    this.#hasTold = true;
    for (const name of tiers?.unmatchedBy(this.#recoveryPoint?.collections.map((each) => each.name) ?? []) ?? []) {
      progress({ step: "replicate", detail: `there is no collection ${name}, of which a tier tells` });
    }
  }

  /** Throws ROLE_REFUSES. */
  refuseUnlessActive(): Promise<void> {
    return this.#source.refuseUnlessActive();
  }
}

/** Leaves out how far a capture has come: the next capture begins at once, and such lines would never end. */
function withoutAmounts(progress: Progress): Progress {
  return (event) => {
    if (event.amount === undefined) progress(event);
  };
}

/** The time of the last full capture, from the standby's records: without them a run that is restarted daily would never make one. */
async function lastFull({ stores }: OpenRepository, now: Date): Promise<Date | undefined> {
  const state = await readStandbyState(stores.control, now);
  // One that was made by a clock that was ahead would keep others from being made for as long.
  return state?.fullAt === undefined ? undefined : believedTime(state.fullAt, { now });
}
