/** What is true now of a pair of regions, asked from outside; what cannot be asked is said, not guessed. */

import { effectiveRole, newestEpoch, type Role } from "../../domain/estate/epoch.ts";
import { resolveLatestRestorable } from "../../domain/points/catalog.ts";
import { toDrError } from "../../errors.ts";
import type { Clock, TrafficControl, VectorDatabase } from "../../ports.ts";
import { readEpochs } from "../../repository/epochs.ts";
import type { OpenRepository, RegionStores } from "../../repository/repository.ts";

export interface RegionStatus {
  readonly region: string;
  readonly role: Role | "unknown";
  readonly epoch: number | undefined;
  readonly qdrant: {
    readonly isReachable: boolean;
    readonly version?: string;
    readonly collections?: number;
    readonly problem?: string;
  };
  /** The newest point that this region's own bucket can restore, and its age: the RPO if this region had to take over now. */
  readonly newestPoint?: { readonly id: string; readonly time: string; readonly ageSeconds: number };
  readonly completePoints: number;
  readonly problems: readonly string[];
}

export interface ObservedRegion {
  readonly region: string;
  readonly stores: RegionStores;
  readonly database: VectorDatabase;
  repository(): Promise<OpenRepository>;
}

export async function observeRegion(observed: ObservedRegion, clock: Clock): Promise<RegionStatus> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, act: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await act();
    } catch (error) {
      problems.push(`${what}: ${toDrError(error).message}`);
      return undefined;
    }
  };
  const epoch = newestEpoch((await attempt("epochs", () => readEpochs(observed.stores.control))) ?? []);
  const qdrant = await observeQdrant(observed.database);
  const entries =
    (await attempt("recovery points", async () => (await (await observed.repository()).catalog()).entries)) ?? [];
  const newest = resolveLatestRestorable(entries);
  const ageSeconds = newest && (clock.now().getTime() - Date.parse(newest.point.time)) / 1000;
  return {
    region: observed.region,
    role: epoch === undefined ? "unknown" : effectiveRole(observed.region, epoch),
    epoch: epoch?.epoch,
    qdrant,
    ...(newest === undefined || ageSeconds === undefined
      ? {}
      : { newestPoint: { id: newest.id, time: newest.point.time, ageSeconds } }),
    completePoints: entries.filter(({ state }) => state === "complete").length,
    problems,
  };
}

export async function observeTraffic(
  traffic: TrafficControl,
): Promise<{ region?: string; epoch?: number; problem?: string }> {
  try {
    return (await traffic.current()) ?? {};
  } catch (error) {
    return { problem: toDrError(error).message };
  }
}

async function observeQdrant(database: VectorDatabase): Promise<RegionStatus["qdrant"]> {
  try {
    return { isReachable: true, version: await database.version(), collections: (await database.collections()).length };
  } catch (error) {
    return { isReachable: false, problem: toDrError(error).message };
  }
}
