/** The standby's half of replication: brings the standby's Qdrant to states that are in its own bucket. */
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { ApplyReport } from "../apply/apply-plan.ts";
import { applyToStandby } from "./apply-to-standby.ts";
import { Overtaken } from "./overtaken.ts";
import { type CapturedState, type StateReport, stateReport } from "./source-capturer.ts";
import { StandbyTurn } from "./standby-turn.ts";

export interface StandbyApplierRequest {
  /** The standby's. */
  readonly repository: OpenRepository;
  readonly region: string;
  readonly database: VectorDatabase;
  /** The last writes before a switchover: replication's turn is taken, and not given back. */
  readonly isSwitchover?: boolean;
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
  readonly shards: ApplyReport["shards"];
}

export class StandbyApplier {
  readonly #request: StandbyApplierRequest;
  #turn: Promise<StandbyTurn> | undefined;
  #overtaken: Overtaken | undefined;
  /** When the turn was taken again after this run was overtaken. */
  #isBackSince: Date | undefined;

  constructor(request: StandbyApplierRequest) {
    this.#request = { ...request, repository: request.repository.withStream() };
  }

  get hasTurn(): boolean {
    return this.#turn !== undefined;
  }

  /**
   * Throws EPOCH_CONFLICT when another run has taken over, and again until that one has ended: then this one goes on. So two
   * replications never fight for a standby: the earlier one waits in reserve.
   */
  async turn(): Promise<StandbyTurn> {
    const taken = this.#turn ?? this.#take();
    this.#turn = taken;
    taken.catch(() => {
      this.#turn = undefined;
    });
    const turn = await taken;
    try {
      await turn.records.refuseUnlessMine();
    } catch (error) {
      if (error instanceof DrError && error.code === "EPOCH_CONFLICT" && this.#turn === taken) {
        this.#overtaken = new Overtaken(error, turn.records, this.#request.clock);
        this.#turn = undefined;
      }
      throw error;
    }
    return turn;
  }

  async #take(): Promise<StandbyTurn> {
    const { clock, isSwitchover, region, repository } = this.#request;
    await this.#overtaken?.refuseWhileAnotherFollows();
    const failover = isSwitchover === true ? "next" : undefined;
    const turn = await StandbyTurn.take({ clock, failover, region, repository });
    if (this.#overtaken !== undefined) this.#isBackSince = clock.now();
    this.#overtaken = undefined;
    return turn;
  }

  /** One at a time, and never an older state after a newer one. */
  async apply(state: CapturedState): Promise<CycleReport> {
    const { clock, database, existing, progress, region, repository } = this.#request;
    const { asOf, followedAt, fullAt, recoveryPoint } = state;
    const turn = await this.turn();
    await turn.refuseOfEndedEpoch(recoveryPoint);
    this.#refuseOlder(state, turn);
    const applied = await applyToStandby({
      asOf,
      clock,
      compare: "changed",
      existing,
      followedAt,
      fullAt,
      progress,
      recoveryPoint,
      region,
      repository,
      target: database,
      turn,
    });
    return {
      ...stateReport(state),
      sentBytes: applied.sentBytes,
      applySeconds: applied.seconds,
      lagSeconds: (clock.now().getTime() - asOf.getTime()) / 1000,
      shards: applied.shards,
    };
  }

  /**
   * What was captured before this run was overtaken may be older than what the other one brought. Either may have been captured by
   * another clock than this one's: what is newer than what is held is not refused, nor what was captured since.
   */
  #refuseOlder({ followedAt }: CapturedState, { knowledge }: StandbyTurn): void {
    if (this.#isBackSince === undefined || followedAt >= this.#isBackSince) return;
    if (knowledge.held === undefined || followedAt >= new Date(knowledge.held.followedAt ?? knowledge.held.asOf))
      return;
    throw new DrError("EPOCH_CONFLICT", "another run brought the standby up to date since this state was captured", {
      hint: "wait for the next one",
    });
  }
}
