/**
 * The halves of replication as processes of their own, one in each region: what crosses between the regions is what changed,
 * and no Qdrant is reached from the other region.
 */
import { randomUUID } from "node:crypto";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { CapturedChain, type CapturedRecord } from "../../repository/catalog/captured-records.ts";
import { EpochReader } from "../../repository/control/epochs.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type CapturedState, type StateReport, stateReport } from "./source-capturer.ts";

/** While the source does not change, its unchanged state is published again this often. */
const republishEveryMs = 5_000;
const pollMs = 250;

/** The capturing half's end. */
export class StatePublisher {
  readonly #repository: OpenRepository;
  readonly #clock: Clock;
  readonly #run = randomUUID();
  #chain: { readonly epoch: number; readonly opened: CapturedChain } | undefined;
  /** By the monotonic clock; undefined until the chain holds a state of this run. */
  #publishedAtMs: number | undefined;

  constructor(repository: OpenRepository, clock: Clock) {
    this.#repository = repository;
    this.#clock = clock;
  }

  /** Throws EPOCH_CONFLICT when another run publishes states for the same standby. */
  async publish(state: CapturedState): Promise<StateReport> {
    const { asOf, followedAt, fullAt, isChanged, recoveryPoint, readBytes, seconds, storedBytes } = state;
    const { control } = this.#repository.stores;
    if (this.#chain?.epoch !== recoveryPoint.epoch) {
      this.#chain = { epoch: recoveryPoint.epoch, opened: await CapturedChain.open(control, recoveryPoint.epoch) };
      this.#publishedAtMs = undefined;
    }
    const nowMs = this.#clock.monotonic();
    if (isChanged || this.#publishedAtMs === undefined || nowMs - this.#publishedAtMs >= republishEveryMs) {
      await this.#chain.opened.publish(control, {
        format: 1,
        run: this.#run,
        recoveryPoint: recoveryPoint.id,
        isChanged,
        readBytes,
        storedBytes,
        seconds,
        at: this.#clock.now().toISOString(),
        asOf: asOf.toISOString(),
        fullAt: fullAt.toISOString(),
        followedAt: followedAt.toISOString(),
      });
      this.#publishedAtMs = nowMs;
    }
    return stateReport(state);
  }
}

/** The applying half's end. */
export class StateSubscriber {
  readonly #repository: OpenRepository;
  readonly #region: string;
  readonly #clock: Clock;
  readonly #epochs: EpochReader;
  #chain: { readonly epoch: number; readonly opened: CapturedChain } | undefined;

  /** @param region the standby. */
  constructor(repository: OpenRepository, region: string, clock: Clock) {
    this.#repository = repository.withStream();
    this.#clock = clock;
    this.#epochs = new EpochReader(repository.stores.control);
    this.#region = region;
  }

  /** Waits for a state that is newer than those it returned. Throws ROLE_REFUSES once the region is active. */
  async next(signal: AbortSignal): Promise<CapturedState> {
    for (;;) {
      const record = await this.#newer();
      if (record !== undefined) {
        const recoveryPoint = await this.#repository.readRecoveryPoint(record.recoveryPoint);
        const { isChanged, readBytes, seconds, storedBytes } = record;
        const followedAt = new Date(record.followedAt ?? record.asOf);
        const times = { asOf: new Date(record.asOf), followedAt, fullAt: new Date(record.fullAt) };
        return { recoveryPoint, ...times, isChanged, readBytes, storedBytes, seconds };
      }
      await this.#clock.sleep(pollMs, signal);
    }
  }

  async #newer(): Promise<CapturedRecord | undefined> {
    const { control } = this.#repository.stores;
    const epoch = newestEpoch(await this.#epochs.follow());
    if (epoch === undefined || epoch.active === this.#region) {
      throw new DrError("ROLE_REFUSES", `${this.#region} is not a standby: it is the active region`, {
        hint: "apply in the standby region; `qdrant-dr status` shows the roles",
      });
    }
    if (this.#chain?.epoch === epoch.epoch) return this.#chain.opened.newer();
    this.#chain = { epoch: epoch.epoch, opened: await CapturedChain.open(control, epoch.epoch) };
    return this.#chain.opened.newest();
  }
}
