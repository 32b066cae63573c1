/**
 * Keeps a standby up to date: captures what changed in the active region, straight into the standby's bucket, and brings the
 * standby's Qdrant to it. Every state that the standby holds is therefore a recovery point.
 */
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type CapturedState, type Patience, SourceCapturer, type SourceCapturerRequest } from "./source-capturer.ts";
import { type CycleReport, StandbyApplier, type StandbyApplierRequest } from "./standby-applier.ts";

/** Memory for recent packs and trees: each cycle reads them back at once, because Qdrant sends touched files whole. */
export const cacheBytes = 192 * 1024 * 1024;

export interface ReplicationRequest
  extends Omit<SourceCapturerRequest, "repository">,
    Omit<StandbyApplierRequest, "repository" | "database" | "region"> {
  readonly standby: {
    readonly region: string;
    readonly database: VectorDatabase;
    readonly repository: OpenRepository;
  };
}

export class Replication {
  readonly #capturing: SourceCapturer;
  readonly #applying: StandbyApplier;

  constructor({ standby, ...request }: ReplicationRequest) {
    const repository = standby.repository.remembering(cacheBytes);
    this.#capturing = new SourceCapturer({ ...request, repository });
    this.#applying = new StandbyApplier({
      ...request,
      repository,
      region: standby.region,
      database: standby.database,
    });
  }

  /** Throws ROLE_REFUSES when the source is not the active region, and EPOCH_CONFLICT while another run has taken over. */
  async cycle(patience: Patience = "provisional"): Promise<CycleReport> {
    return this.apply(await this.capture(patience));
  }

  /** May go on while an earlier state is applied. */
  async capture(patience: Patience = "provisional", signal?: AbortSignal): Promise<CapturedState> {
    // Taking the turn stops the replication that runs now: not for a source that is not the active region.
    if (!this.#applying.hasTurn) await this.#capturing.refuseUnlessActive();
    await this.#applying.turn();
    return this.#capturing.capture(patience, signal);
  }

  apply(state: CapturedState): Promise<CycleReport> {
    return this.#applying.apply(state);
  }
}
