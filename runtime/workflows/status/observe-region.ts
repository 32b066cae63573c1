/** Observes the state of a region from outside; what cannot be observed is reported as a problem, not guessed. */
import { effectiveRole, newestEpoch, type Role } from "../../domain/roles/epoch.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { TrafficControl } from "../../ports/traffic.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { newestFinishedRestore, readRestores } from "../../repository/control/restore-records.ts";
import { readStandbyKnowledge } from "../../repository/control/standby-records.ts";
import type { ReportUnreadable } from "../../repository/record.ts";
import { type AskResult, ask, type FoundRecoveryPoint, type ObservedRegion, type Timeouts } from "./observed-region.ts";

export interface RegionStatus {
  readonly region: string;
  readonly role: Role | "unknown";
  readonly epoch: number | undefined;
  readonly qdrant: {
    readonly isReachable: boolean;
    readonly version?: string | undefined;
    readonly collections?: number | undefined;
    readonly problem?: string | undefined;
  };
  /**
   * The newest recovery point that this region's own bucket can restore, and for how long nothing later is in it: the RPO if this
   * region had to take over now.
   */
  readonly newestRecoveryPoint?:
    | { readonly id: string; readonly time: string; readonly ageSeconds: number }
    | undefined;
  readonly problems: readonly string[];
}

export async function observeRegion(
  observed: ObservedRegion,
  reading: Promise<AskResult<FoundRecoveryPoint>>,
  clock: Clock,
  { answerMs }: Timeouts,
): Promise<RegionStatus> {
  const { database, region, stores } = observed;
  const unreadable = new Set<string>();
  const reportUnreadable: ReportUnreadable = (key) => unreadable.add(key);
  const [epochs, , qdrant, found] = await Promise.all([
    ask(answerMs, "the control store", () => readEpochs(stores.control, reportUnreadable)),
    ask(answerMs, "the control store", () => nameUnreadable(stores.control, clock, reportUnreadable)),
    ask(answerMs, "Qdrant", async () => ({
      version: await database.version(),
      collections: (await database.collections()).length,
    })),
    reading,
  ]);
  const epoch = newestEpoch("value" in epochs ? epochs.value : []);
  const { newest } = "value" in found ? found.value : {};
  const newestRecoveryPoint = newest && {
    id: newest.recoveryPoint.id,
    time: newest.recoveryPoint.time,
    ageSeconds: Math.max(0, (clock.now().getTime() - newest.asOf.getTime()) / 1000),
  };
  return {
    region,
    role: epoch === undefined ? "unknown" : effectiveRole(region, epoch),
    epoch: epoch?.epoch,
    qdrant:
      "value" in qdrant ? { isReachable: true, ...qdrant.value } : { isReachable: false, problem: qdrant.problem },
    newestRecoveryPoint,
    problems: [
      ...("problem" in epochs ? [`epochs: ${epochs.problem}`] : []),
      ...("problem" in found ? [`recovery points: ${found.problem}`] : []),
      ...(newest?.doubt === undefined ? [] : [`recovery points: ${newest.doubt}`]),
      ...[...unreadable].map((key) => `ignored: ${key} cannot be read`),
    ],
  };
}

/** Names the unreadable ones of the other records that decide about this region; the epochs show whether the store answers at all. */
async function nameUnreadable(
  control: ObjectStoreReader,
  clock: Clock,
  reportUnreadable: ReportUnreadable,
): Promise<void> {
  await Promise.all([
    readRestores(control, undefined, reportUnreadable),
    newestFinishedRestore(control, reportUnreadable),
    readStandbyKnowledge(control, clock.now(), reportUnreadable),
  ]);
}

/** The status of a region that cannot even be asked: where its servers are is not known here. */
export function unknownRegion(region: string, problem: string): RegionStatus {
  return {
    region,
    role: "unknown",
    epoch: undefined,
    qdrant: { isReachable: false, problem: "where it is, is not known here" },
    problems: [problem],
  };
}

export async function observeTraffic(
  traffic: TrafficControl,
  { answerMs }: Timeouts,
): Promise<{ region?: string; epoch?: number; problem?: string }> {
  const answer = await ask(answerMs, "the traffic control", () => traffic.current());
  return "value" in answer ? (answer.value ?? {}) : { problem: answer.problem };
}
