/** Finds what a capture builds on. */
import type { CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import { newestIdOf } from "../../domain/recovery-points/order.ts";
import type { DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { keyBelowStream, parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { type CaptureBase, readCaptureBase } from "../../repository/catalog/read-catalog.ts";
import { epochsAfter, readEpochs } from "../../repository/control/epochs.ts";
import { isPlannedSince } from "../../repository/prune/prune-sight.ts";
import { keysUnder } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { unreadableReporter } from "../name-unreadable.ts";

/** What is remembered of a stream counts for so long: what was the newest then is there for at least an hour. */
const rememberedMs = 20 * 60_000;

/** A base, and when it was known to be the newest in its bucket. */
export interface KnownBase extends CaptureBase {
  readonly knownAt: Date;
}

export interface BaseSource {
  readonly repository: OpenRepository;
  readonly kinds: readonly DataKind[];
  /** What this run made; only the epochs since, and whether a prune was planned since, are read then. */
  readonly remembered: KnownBase | undefined;
  readonly clock: Clock;
  /** Nothing that was captured before is of what is captured now. */
  readonly buildsOnNothing?: boolean | undefined;
  readonly progress: Progress;
}

export class BaseFinder {
  readonly #source: BaseSource;

  constructor(source: BaseSource) {
    this.#source = source;
  }

  async find(): Promise<KnownBase> {
    const { buildsOnNothing = false, kinds, remembered, repository } = this.#source;
    if (buildsOnNothing) return { ...(await this.#look([])), recoveryPoints: new Map() };
    if (remembered === undefined || this.#isOld(remembered)) return this.#look(kinds);
    const { control } = repository.stores;
    // What this run remembers may be in the plan.
    if (await isPlannedSince(control, remembered.prunes)) return this.#look(kinds);
    const newest = newestEpoch(remembered.epochs);
    const epochs =
      newest === undefined
        ? await readEpochs(control)
        : [...remembered.epochs, ...(await epochsAfter(control, newest.epoch))];
    return { ...remembered, epochs };
  }

  async #look(kinds: readonly DataKind[]): Promise<KnownBase> {
    const { clock, progress, repository } = this.#source;
    const knownAt = clock.now();
    const base = await readCaptureBase(repository, kinds, unreadableReporter(progress));
    // A recovery point of the history takes an id after the states of the stream, too.
    const inStream = await keysUnder(repository.stores.repository, storeLayout.inStream(storeLayout.recoveryPoints));
    const states = inStream.flatMap((key) => {
      const parsed = parseStoreKey(keyBelowStream(key) ?? key);
      return parsed?.kind === "manifest" ? [parsed.recoveryPointId] : [];
    });
    return { ...base, newestId: newestIdOf([...states, base.newestId ?? ""]), knownAt };
  }

  /** What a stream held is deleted after an hour, unless it is still needed. */
  #isOld({ knownAt }: KnownBase): boolean {
    const { clock, repository } = this.#source;
    return repository.history !== repository && Math.abs(clock.now().getTime() - knownAt.getTime()) > rememberedMs;
  }

  /** The recovery point that the plan builds on: another worker that proposed it may have found another base than this one. */
  async recoveryPointOf({ base: id }: CapturePlan, base: CaptureBase): Promise<RecoveryPoint | undefined> {
    if (id === undefined) return undefined;
    const known = [...base.recoveryPoints.values()].find((recoveryPoint) => recoveryPoint.id === id);
    return known ?? this.#source.repository.readRecoveryPoint(id);
  }
}
