/** The standby's half of replication: brings the standby's Qdrant to states that are in its own bucket. */
import type { Clock, Progress, VectorDatabase } from "../../ports.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type CapturedState, type StateReport, stateReport } from "./capturing.ts";
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

/** Everything that the source acknowledged before `asOf` is on the standby. */
export interface CycleReport extends StateReport {
  /** To the standby's Qdrant. */
  readonly sentBytes: number;
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
  async apply(state: CapturedState): Promise<CycleReport> {
    const { clock, database, ...request } = this.#request;
    const { asOf, followedAt, fullAt, point } = state;
    const turn = await this.turn();
    const applied = await catchUp({
      ...request,
      ...{ asOf, clock, followedAt, fullAt, point, turn },
      target: database,
      compare: "changed",
    });
    return {
      ...stateReport(state),
      sentBytes: applied.sentBytes,
      applySeconds: applied.seconds,
      lagSeconds: (clock.now().getTime() - asOf.getTime()) / 1000,
      shards: applied.shards,
    };
  }
}
