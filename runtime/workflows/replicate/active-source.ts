/** The region that is replicated, which must be the active one, and not fenced for a failover. */
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { EpochReader } from "../../repository/control/epochs.ts";
import { readFence } from "../../repository/control/gate-records.ts";

export interface ActiveSourceRequest {
  readonly region: string;
  /** Of both regions: a failover may have reached one of them only. */
  readonly controls: readonly ObjectStoreReader[];
  /** The last writes before a switchover: its fence is no reason to stop. */
  readonly isSwitchover?: boolean | undefined;
}

export class ActiveSource {
  readonly #request: ActiveSourceRequest;
  readonly #controls: readonly { readonly control: ObjectStoreReader; readonly epochs: EpochReader }[];

  constructor(request: ActiveSourceRequest) {
    this.#request = request;
    this.#controls = request.controls.map((control) => ({ control, epochs: new EpochReader(control) }));
  }

  /** Throws ROLE_REFUSES. */
  async refuseUnlessActive(): Promise<void> {
    await Promise.all(this.#controls.map(({ control, epochs }) => this.#refuseUnlessActiveBy(control, epochs)));
  }

  async #refuseUnlessActiveBy(control: ObjectStoreReader, epochs: EpochReader): Promise<void> {
    const { isSwitchover, region } = this.#request;
    const followed = newestEpoch(await epochs.follow());
    // Epochs that follow one which this store was never told of are found by a listing alone.
    const epoch = followed?.active === region ? followed : newestEpoch(await epochs.list());
    if (epoch?.active !== region) {
      throw new DrError("ROLE_REFUSES", `${region} is not the active region: ${epoch?.active ?? "none"} is`, {
        hint: "replicate from the active region to the other one; `qdrant-dr status` shows the roles",
      });
    }
    if (isSwitchover || (await readFence(control, epoch.epoch + 1)) === undefined) return;
    throw new DrError("ROLE_REFUSES", `${region} is fenced for a switchover, which replicates itself`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }
}
