/**
 * Keeps a standby up to date: captures what changed in the active region, straight into the standby's bucket, and brings the
 * standby's Qdrant to it. Every state that the standby holds is therefore a recovery point.
 */
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type CapturedState, type Patience, SourceCapturer, type SourceCapturerRequest } from "./source-capturer.ts";
import { type CycleReport, StandbyApplier, type StandbyApplierRequest } from "./standby-applier.ts";

/** What is stored is read again at once, and most of it again and again: files come whole of which a part changed. */
export const rememberedBytes = 192 * 1024 * 1024;

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
    const repository = standby.repository.remembering(rememberedBytes);
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
  async capture(patience: Patience = "provisional"): Promise<CapturedState> {
    // Whoever follows now must not stop for one that would follow the wrong region.
    if (!this.#applying.hasTurn) await this.#capturing.refuseUnlessActive();
    await this.#applying.turn();
    return this.#capturing.capture(patience);
  }

  apply(state: CapturedState): Promise<CycleReport> {
    return this.#applying.apply(state);
  }
}
