/** The standby's half of replication: brings the standby's Qdrant to states that are in its own bucket. */
import { isExact } from "../../domain/points/recovery-point.ts";
import type { Clock, Progress, VectorDatabase } from "../../ports.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { CapturedState } from "./capturing.ts";
import { type CatchUpReport, catchUp, StandbyTurn } from "./catch-up.ts";

export interface ApplyingRequest {
  /** The standby's. */
  readonly repository: OpenRepository;
  readonly database: VectorDatabase;
  /** Collections of the standby that replication did not make and the source has, too. */
  readonly existing: "refuse" | "replace";
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

export class Applying {
  readonly #request: ApplyingRequest;
  #turn: Promise<StandbyTurn> | undefined;

  constructor(request: ApplyingRequest) {
    this.#request = request;
  }

  get hasTurn(): boolean {
    return this.#turn !== undefined;
  }

  /** Throws EPOCH_CONFLICT when another run has taken over. */
  async turn(): Promise<StandbyTurn> {
    const taken = this.#turn ?? StandbyTurn.take(this.#request.repository, this.#request.clock);
    this.#turn = taken;
    taken.catch(() => {
      this.#turn = undefined;
    });
    const turn = await taken;
    await turn.records.refuseUnlessMine();
    return turn;
  }

  /** One at a time, and never an older state after a newer one. */
  async apply({ asOf, fullAt, point, ...captured }: CapturedState): Promise<CycleReport> {
    const { clock, database, ...request } = this.#request;
    const turn = await this.turn();
    const applied = await catchUp({
      ...request,
      ...{ asOf, clock, fullAt, point, turn },
      target: database,
      compare: "changed",
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
}
