/** One prune at a time: a run takes a turn, says now and then that it is alive, and gives the turn back. */
import { pruneTurnSchema, type PruneTurn as TurnRecord } from "../../domain/history/prune-records.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { Ownership } from "../../repository/control/ownership.ts";
import type { PruneRequest } from "./prune-context.ts";

/** A run that says nothing for longer is dead. */
const silenceMs = 2 * 3_600_000;
const signEveryMs = 10 * 60_000;

export class PruneTurn {
  readonly #request: PruneRequest;
  readonly #control: ObjectStore;
  readonly #ownership: Ownership<TurnRecord>;
  #signedMs = 0;

  private constructor(request: PruneRequest) {
    this.#request = request;
    this.#control = request.repository.stores.control;
    this.#ownership = new Ownership(this.#control, {
      run: request.run,
      keyOf: controlLayout.pruneTurn,
      schema: pruneTurnSchema,
      conflict,
    });
  }

  /** Throws EPOCH_CONFLICT while another run prunes. */
  static async take(request: PruneRequest): Promise<PruneTurn> {
    const turn = new PruneTurn(request);
    await turn.#sign();
    return turn;
  }

  /** Throws EPOCH_CONFLICT when another run has taken over. */
  async stayMine(): Promise<void> {
    await this.#ownership.refuseUnlessMine();
    if (this.#request.clock.monotonic() - this.#signedMs > signEveryMs) await this.#sign();
  }

  /** The store's time of now: of a turn that is taken for it. */
  async storeNow(): Promise<Date> {
    await this.#sign();
    const newest = await this.#ownership.newest();
    return storedAt(this.#control, controlLayout.pruneTurn(newest?.number ?? 0));
  }

  /** Gives the turn back, so that the next run need not wait. */
  async end(): Promise<void> {
    await this.#sign({ hasEnded: true });
  }

  async #sign(more: Pick<TurnRecord, "hasEnded"> = {}): Promise<void> {
    const { clock, run, runner } = this.#request;
    const turn = { run, at: clock.now().toISOString(), runner: runner.mark, ...more };
    await this.#ownership.take(turn, {
      beforeTaking: async (owner) => {
        const other = owner?.record;
        if (other === undefined || other.run === run || other.hasEnded) return;
        if (other.runner !== undefined && runner.isDead(other.runner)) return;
        if (Math.abs(clock.now().getTime() - Date.parse(other.at)) > silenceMs) return;
        throw conflict(other);
      },
    });
    this.#signedMs = clock.monotonic();
  }
}

/** When an object was stored, by its store's clock. */
export async function storedAt(control: ObjectStore, key: string): Promise<Date> {
  for await (const found of control.list(key))
    if (found.key === key && found.storedAt !== undefined) return found.storedAt;
  throw new DrError("STORE_REFUSED", `the store does not tell when ${key} was stored`, {
    hint: "prune needs a store whose listings show at once what was written, with its time; nothing was deleted",
  });
}

function conflict(owner: TurnRecord | undefined): DrError {
  const who = owner === undefined ? "unknown: its record cannot be read" : `${owner.run}, at ${owner.at}`;
  return new DrError("EPOCH_CONFLICT", `another run prunes this repository (${who})`, {
    hint: "let it end; when it was killed, it is gone on with two hours after its last sign of life",
  });
}
