/**
 * Chooses the history from the stream: one state of each quarter of an hour becomes a recovery point of the history. What it needs
 * is brought beside the history's own packs and trees, its manifest last; killed before that, it is done anew by the next run.
 */
import { timeOfId } from "../../domain/identifier.ts";
import { idAfter } from "../../domain/recovery-points/order.ts";
import { type DataKind, isExact, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { readCaptureBase } from "../../repository/catalog/read-catalog.ts";
import { ignoreUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type Brought, bringToHistory } from "../../repository/stream/bring-to-history.ts";

/** The finest tier of retention has one recovery point for each of these. */
const slotMs = 15 * 60_000;
/** So long a slot waits for an exact state; afterwards it takes what there is. */
const waitsForExactMs = 12 * 60_000;

const restsForMs = 60_000;

export interface HistoryKeeperRequest {
  /** The standby's. */
  readonly repository: OpenRepository;
  readonly kinds: readonly DataKind[];
  readonly clock: Clock;
  readonly progress: Progress;
}

/** The newest of the history, by the clock of who captured. */
interface Kept {
  readonly recoveryPoint: RecoveryPoint | undefined;
  readonly at: number;
  readonly kinds: readonly DataKind[];
}

export class HistoryKeeper {
  readonly #request: HistoryKeeperRequest;
  /** By the monotonic clock: after a failure. */
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  /** Undefined until it was looked for. */
  #kept: Kept | undefined;

  constructor(request: HistoryKeeperRequest) {
    this.#request = request;
  }

  /**
   * Where the next capture of a run that remembers nothing goes: straight into the history when a recovery point is due there and the
   * stream has nothing newer. It may be all of the data, and need not be brought afterwards.
   */
  async placeOfFirst(): Promise<OpenRepository> {
    const { kinds, repository } = this.#request;
    if (!(await this.#isDue(kinds))) return repository;
    const [inAll, inHistory] = [await this.#newest(repository), await this.#newest(repository.history)];
    const isInHistory = kinds.every((kind) => inAll.get(kind)?.id === inHistory.get(kind)?.id);
    return isInHistory ? repository.history : repository;
  }

  async #newest(repository: OpenRepository): Promise<ReadonlyMap<DataKind, RecoveryPoint>> {
    return (await readCaptureBase(repository, this.#request.kinds, ignoreUnreadable)).recoveryPoints;
  }

  /** Whether the slot of now has no recovery point in the history yet that holds these kinds. */
  async #isDue(kinds: readonly DataKind[]): Promise<boolean> {
    this.#kept ??= await this.#findKept();
    const { at, kinds: held } = this.#kept;
    // A clock that was ahead must not keep the history from being chosen.
    return slotOf(this.#request.clock.now().getTime()) !== slotOf(at) || kinds.some((kind) => !held.includes(kind));
  }

  async #findKept(): Promise<Kept> {
    const { kinds, repository } = this.#request;
    const newest = await this.#newest(repository.history);
    const times = [...newest.values()].map(({ id }) => timeOfId(id)?.getTime() ?? 0);
    const held = kinds.filter((kind) => newest.has(kind));
    return { recoveryPoint: [...newest.values()][0], at: Math.min(...times, Number.MAX_SAFE_INTEGER), kinds: held };
  }

  /** A state that is in the history now. */
  wasKept(recoveryPoint: RecoveryPoint): void {
    const { kinds } = recoveryPoint;
    this.#kept = { recoveryPoint, kinds, at: this.#request.clock.now().getTime() };
  }

  /**
   * The recovery point of the history that the state became; undefined when it is none for the history now. What cannot be kept is told,
   * and is no reason to leave the standby behind.
   */
  async keep(state: RecoveryPoint): Promise<Brought | undefined> {
    const { clock, progress } = this.#request;
    if (clock.monotonic() < this.#restsUntilMs) return undefined;
    try {
      return await this.#keepIfDue(state);
    } catch (error) {
      if (!(error instanceof DrError)) throw error;
      this.#restsUntilMs = clock.monotonic() + restsForMs;
      const detail = `${state.id} is not kept in the history: ${error.code}: ${error.message}; it is tried again`;
      progress({ step: "history", detail });
      return undefined;
    }
  }

  async #keepIfDue(state: RecoveryPoint): Promise<Brought | undefined> {
    const { clock, progress, repository } = this.#request;
    if (!(await this.#isDue(state.kinds)) || state.id === this.#kept?.recoveryPoint?.id) return undefined;
    const now = clock.now();
    if (!isExact(state) && now.getTime() % slotMs < waitsForExactMs) return undefined;
    const before = this.#kept?.recoveryPoint;
    const id = idAfter(now, [state.id]);
    const kept = await bringToHistory({ repository, state, before, id, clock, progress });
    progress({ step: "history", detail: `${kept.recoveryPoint.id} is kept of the state ${state.id}` });
    this.wasKept(kept.recoveryPoint);
    return kept;
  }
}

function slotOf(ms: number): number {
  return Math.floor(ms / slotMs);
}
