/**
 * Keeps a standby up to date: each cycle captures what changed in the active region, straight into the standby's bucket, and
 * brings the standby's Qdrant to it. Every state that the standby holds is therefore a recovery point.
 */
import { newestEpoch } from "../../domain/estate/epoch.ts";
import { isExact, type RecoveryPoint } from "../../domain/points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock, ObjectStoreReader, Progress, VectorDatabase } from "../../ports.ts";
import { readEpochs } from "../../repository/epochs.ts";
import { readFence } from "../../repository/gate-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { CaptureMemory } from "../capture/capture-memory.ts";
import { capturePoint } from "../capture/capture-point.ts";
import type { CapturePatience } from "../capture/capture-shard.ts";
import { type CatchUpReport, catchUp, StandbyTurn } from "./catch-up.ts";

/** What was built on versions is compared by contents so often. */
const fullEveryMs = 24 * 60 * 60_000;

/**
 * "provisional" waits for merges, which are short, and then takes what can be had: deletes that were acknowledged while an optimization ran may be undone until it
 * ends. "exact" waits for that, and takes a collection snapshot when it takes long; "soon" takes one at once.
 */
const patienceFor = {
  provisional: { quietMs: 500, attempts: 1, borrows: false },
  soon: { quietMs: 1_000, attempts: 2, borrows: true },
  exact: { quietMs: 60_000, attempts: 3, borrows: true },
} as const satisfies Record<string, CapturePatience>;

export interface ReplicationRequest {
  /** The active region. */
  readonly source: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly control: ObjectStoreReader;
  };
  readonly standby: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly repository: OpenRepository;
  };
  /** Collections of the standby that replication did not make and the source has, too. */
  readonly existing: "refuse" | "replace";
  /** The last writes before a planned failover: its fence is no reason to stop. */
  readonly isHandOver?: boolean;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface CycleReport {
  readonly point: string;
  /** Everything that the source acknowledged before this is on the standby. */
  readonly asOf: string;
  readonly isExact: boolean;
  /** False when the point is the one that the cycle before brought. */
  readonly isChanged: boolean;
  /** Read from the source, stored in the standby's bucket, and sent to its Qdrant. */
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly sentBytes: number;
  readonly captureSeconds: number;
  readonly applySeconds: number;
  /** From `asOf` until it was compared. */
  readonly lagSeconds: number;
  readonly shards: CatchUpReport["shards"];
}

export class Replication {
  readonly #request: ReplicationRequest;
  readonly #memory = new CaptureMemory();
  #turn: StandbyTurn | undefined;
  #point: RecoveryPoint | undefined;
  #lastFull: Date;

  constructor(request: ReplicationRequest) {
    this.#request = request;
    this.#lastFull = request.clock.now();
  }

  /** Throws ROLE_REFUSES when the source is not the active region, and EPOCH_CONFLICT when another run has taken over. */
  async cycle(patience: keyof typeof patienceFor = "provisional"): Promise<CycleReport> {
    const { clock, existing, progress, source, standby, toolVersion } = this.#request;
    const { repository } = standby;
    await this.#refuseUnlessActive();
    this.#turn ??= await StandbyTurn.take(repository, clock);
    const turn = this.#turn;
    await turn.records.refuseUnlessMine();
    const isFull = clock.now().getTime() - this.#lastFull.getTime() >= fullEveryMs;
    const captured = await capturePoint({
      region: source.region,
      type: isFull ? "full" : "incremental",
      database: source.database,
      repository,
      control: source.control,
      patience: patienceFor[patience],
      onlyChanges: true,
      memory: this.#memory,
      clock,
      progress: ({ amount, ...event }) => amount ?? progress(event),
      toolVersion,
    });
    if (isFull) this.#lastFull = clock.now();
    if (this.#point?.id !== captured.point) this.#point = await repository.readPoint(captured.point);
    const applied = await catchUp({
      repository,
      point: this.#point,
      target: standby.database,
      existing,
      asOf: new Date(captured.time),
      compare: "changed",
      turn,
      clock,
      progress,
    });
    return {
      point: captured.point,
      asOf: captured.time,
      isExact: isExact(this.#point),
      isChanged: captured.isUnchanged !== true,
      readBytes: captured.readBytes,
      storedBytes: captured.storedBytes,
      sentBytes: applied.sentBytes,
      captureSeconds: captured.seconds,
      applySeconds: applied.seconds,
      lagSeconds: (clock.now().getTime() - Date.parse(captured.time)) / 1000,
      shards: applied.shards,
    };
  }

  /** By the records of both regions, as far as the source's can be read: a failover may have told one of them only. */
  async #refuseUnlessActive(): Promise<void> {
    const { source, standby } = this.#request;
    for (const control of [standby.repository.stores.control, source.control]) {
      const epoch = newestEpoch(await readEpochs(control));
      if (epoch?.active === source.region) {
        if (this.#request.isHandOver || (await readFence(control, epoch.epoch + 1)) === undefined) continue;
        throw new DrError(
          "ROLE_REFUSES",
          `${source.region} is fenced for a planned failover, which replicates itself`,
          {
            hint: "let it end; `qdrant-dr status` shows the roles",
          },
        );
      }
      throw new DrError("ROLE_REFUSES", `${source.region} is not the active region: ${epoch?.active ?? "none"} is`, {
        hint: "replicate from the active region to the other one; `qdrant-dr status` shows the roles",
      });
    }
  }
}
