/** A region as it is asked from outside, where anything may be gone, hang or answer nonsense. */
import type { CatalogEntry } from "../../domain/recovery-points/catalog.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { within } from "../../domain/within.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Gate } from "../../ports/gate.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { TrafficControl } from "../../ports/traffic.ts";
import { readNewestPoint } from "../../repository/catalog/read-catalog.ts";
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
  repository(): Promise<OpenRepository>;
  /** Throws where there is no public name. */
  traffic(): TrafficControl;
}

/** What a region could be made to hold from its own bucket, and where that is read. */
export interface FoundPoint {
  readonly repository: OpenRepository;
  readonly newest?: {
    readonly entry: CatalogEntry;
    readonly point: RecoveryPoint;
    /** Everything acknowledged before this is in it. */
    readonly asOf: string;
  };
  /** Points that are listed, complete or not. */
  readonly listed: number;
  /** Where none is complete, what the newest lacks. */
  readonly wanting?: string;
}

export function findNewestPoint(
  observed: ObservedRegion,
  clock: Clock,
  { readingMs }: Patience,
): Promise<Outcome<FoundPoint>> {
  return ask(readingMs, "the repository", async () => {
    const repository = await observed.repository();
    const [{ newest, ...found }, held] = await Promise.all([
      readNewestPoint(repository),
      readStandbyState(observed.stores.control, clock.now()),
    ]);
    if (newest === undefined) return { repository, ...found };
    const asOf = restorableAsOf(newest.point, held);
    return { repository, ...found, newest: { entry: newest, point: newest.point, asOf } };
  });
}

/** Everything acknowledged before this is in the point: replication makes none while nothing changes, and says that it looked. */
export function restorableAsOf(point: RecoveryPoint, held: StandbyState | undefined): string {
  const isHeld = held?.point === point.id && Date.parse(held.asOf) > Date.parse(point.time);
  return isHeld ? held.asOf : point.time;
}

/** How long silence is borne. */
export interface Patience {
  /** For an answer that takes no work. */
  readonly answerMs: number;
  /** For listings of all that a repository holds. */
  readonly readingMs: number;
}

export const patience: Patience = { answerMs: 3_000, readingMs: 60_000 };

export type Outcome<T> = { readonly value: T } | { readonly problem: string; readonly error: unknown };

/** What a question came to; never throws, and never takes longer than `ms`. */
export async function ask<T>(ms: number, what: string, question: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await within(ms, what, question) };
  } catch (error) {
    // A parser's words are about our schema, and may repeat what was answered.
    const problem = error instanceof DrError ? error.message : `${what} answers what cannot be understood`;
    return { problem, error };
  }
}
