/** A region as it is asked from outside, where anything may be gone, hang or answer nonsense. */

import { withTimeout } from "../../async/with-timeout.ts";
import type { CatalogEntry } from "../../domain/recovery-points/catalog.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Region } from "../../domain/region.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Gate } from "../../ports/gate.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { TrafficControl } from "../../ports/traffic.ts";
import { fewQuestions } from "../../repository/catalog/content-presence.ts";
import { type BelievedAge, readNewestRecoveryPoint } from "../../repository/catalog/read-catalog.ts";
import { readStandbyState, type StandbyState } from "../../repository/control/standby-records.ts";
import type { OpenRepository, RegionStores } from "../../repository/repository.ts";

export interface ObservedRegion {
  readonly region: string;
  readonly stores: RegionStores;
  readonly database: VectorDatabase;
  /** Qdrant as clients come to it; absent where there is no public name. */
  readonly publicDatabase: VectorDatabase | undefined;
  /** What stands in front of its Qdrant; absent where nothing does. */
  readonly gate: Gate | undefined;
  /** What its outputs say of it that no server tells. */
  readonly declared: Pick<Region, "replicate"> & Pick<Region["qdrant"], "capacity">;
  /** With its stream: what could be restored from it. */
  repository(): Promise<OpenRepository>;
  /** Throws where there is no public name. */
  traffic(): TrafficControl;
}

/** The newest recovery point that a region's own bucket can restore, and the repository that it is in. */
export interface FoundRecoveryPoint {
  readonly repository: OpenRepository;
  readonly newest?: {
    readonly entry: CatalogEntry;
    readonly recoveryPoint: RecoveryPoint;
    /** Everything acknowledged before this is in it, by times that can be believed. */
    readonly asOf: Date;
    /** Why its own time does not count. */
    readonly doubt?: string | undefined;
  };
  /** Where none is complete, what the newest lacks. */
  readonly wanting?: string | undefined;
}

export function findNewestRecoveryPoint(
  observed: ObservedRegion,
  clock: Clock,
  { readingMs }: Timeouts,
): Promise<AskResult<FoundRecoveryPoint>> {
  return ask(readingMs, "the repository", async () => {
    const repository = await observed.repository();
    const now = clock.now();
    const [{ newest, wanting }, held] = await Promise.all([
      readNewestRecoveryPoint(repository, now, { mostQuestions: fewQuestions }),
      readStandbyState(observed.stores.control, now),
    ]);
    if (newest === undefined) return { repository, ...(wanting === undefined ? {} : { wanting }) };
    const asOf = restorableAsOf(newest, held, now);
    const { doubt, recoveryPoint } = newest;
    return { repository, newest: { entry: newest, recoveryPoint, asOf, doubt } };
  });
}

/** Everything acknowledged before this is in the recovery point: replication makes none while nothing changes, and says that it looked. */
export function restorableAsOf(
  { asOf, recoveryPoint }: BelievedAge & { readonly recoveryPoint: RecoveryPoint },
  held: StandbyState | undefined,
  now: Date,
): Date {
  const heldAsOf = held?.recoveryPoint === recoveryPoint.id ? believedTime(held.asOf, { now }) : undefined;
  return heldAsOf !== undefined && heldAsOf > asOf ? heldAsOf : asOf;
}

/** How long silence is borne. */
export interface Timeouts {
  /** For an answer that takes no work. */
  readonly answerMs: number;
  /** For listings of all that a repository holds. */
  readonly readingMs: number;
}

export const patience: Timeouts = { answerMs: 3_000, readingMs: 60_000 };

export type AskResult<T> = { readonly value: T } | { readonly problem: string; readonly error: unknown };

/** Asks a question; never throws, and never takes longer than `ms`. */
export async function ask<T>(ms: number, what: string, question: () => Promise<T>): Promise<AskResult<T>> {
  try {
    return { value: await withTimeout(ms, what, question) };
  } catch (error) {
    // A parser's words are about our schema, and may repeat what was answered.
    const problem = error instanceof DrError ? error.message : `${what} answers what cannot be understood`;
    return { problem, error };
  }
}
