/**
 * Keeps a standby up to date: captures what changed in the active region, straight into the standby's bucket, and brings the
 * standby's Qdrant to it. Every state that the standby holds is therefore a recovery point.
 */
import { isExact } from "../../domain/points/recovery-point.ts";
import type { VectorDatabase } from "../../ports.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type CapturedState, Capturing, type CapturingRequest, type Patience } from "./capturing.ts";
import { type CatchUpReport, catchUp, StandbyTurn } from "./catch-up.ts";

/** What is stored is read again at once, and most of it again and again: files come whole of which a part changed. */
const rememberedBytes = 192 * 1024 * 1024;

export interface ReplicationRequest extends Omit<CapturingRequest, "repository"> {
  readonly standby: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly repository: OpenRepository;
  };
  /** Collections of the standby that replication did not make and the source has, too. */
  readonly existing: "refuse" | "replace";
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
  readonly #repository: OpenRepository;
  readonly #capturing: Capturing;
  #turn: Promise<StandbyTurn> | undefined;

  constructor(request: ReplicationRequest) {
    this.#request = request;
    this.#repository = request.standby.repository.remembering(rememberedBytes);
    this.#capturing = new Capturing({ ...request, repository: this.#repository });
  }

  /** Throws ROLE_REFUSES when the source is not the active region, and EPOCH_CONFLICT when another run has taken over. */
  async cycle(patience: Patience = "provisional"): Promise<CycleReport> {
    return this.apply(await this.capture(patience));
  }

  /** May go on while an earlier state is applied. */
  async capture(patience: Patience = "provisional"): Promise<CapturedState> {
    // Whoever follows now must not stop for one that would follow the wrong region.
    if (this.#turn === undefined) await this.#capturing.refuseUnlessActive();
    await this.#myTurn();
    return this.#capturing.capture(patience);
  }

  /** One at a time, and never an older state after a newer one. */
  async apply({ asOf, fullAt, point, ...captured }: CapturedState): Promise<CycleReport> {
    const { clock, existing, progress, standby } = this.#request;
    const applied = await catchUp({
      repository: this.#repository,
      point,
      target: standby.database,
      existing,
      asOf,
      fullAt,
      compare: "changed",
      turn: await this.#myTurn(),
      clock,
      progress,
    });
    return {
      point: point.id,
      asOf: asOf.toISOString(),
      isExact: isExact(point),
      isChanged: captured.isChanged,
      readBytes: captured.readBytes,
      storedBytes: captured.storedBytes,
      sentBytes: applied.sentBytes,
      captureSeconds: captured.seconds,
      applySeconds: applied.seconds,
      lagSeconds: (clock.now().getTime() - asOf.getTime()) / 1000,
      shards: applied.shards,
    };
  }

  async #myTurn(): Promise<StandbyTurn> {
    const taken = this.#turn ?? StandbyTurn.take(this.#repository, this.#request.clock);
    this.#turn = taken;
    taken.catch(() => {
      this.#turn = undefined;
    });
    const turn = await taken;
    await turn.records.refuseUnlessMine();
    return turn;
  }
}
