/** Keeps a recovery point whatever the schedule says, until a time or until somebody ends that. */
import { type KeptRecoveryPoint, mostReasonLength } from "../domain/history/kept-recovery-points.ts";
import type { CatalogEntry, RecoveryPointState } from "../domain/recovery-points/catalog.ts";
import { parseZonedTime } from "../domain/zoned-time.ts";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { readEntry } from "../repository/catalog/read-catalog.ts";
import { recordKept } from "../repository/control/kept-records.ts";
import { hasBegun } from "../repository/prune/prune-log.ts";
import { lookAtPrunes, openPlan } from "../repository/prune/prune-sight.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { whenReadable } from "../repository/when-readable.ts";

export interface KeepRequest {
  readonly recoveryPoint: string;
  /** As a person writes it; for good when left out. */
  readonly until?: string | undefined;
  readonly reason?: string | undefined;
  /** Retention decides about it again. */
  readonly ends: boolean;
  readonly clock: Clock;
}

export interface KeepReport {
  /** Undefined: retention decides about it again. */
  readonly kept: KeptRecoveryPoint | undefined;
  readonly state: RecoveryPointState;
}

export async function keepRecoveryPoint(repository: OpenRepository, request: KeepRequest): Promise<KeepReport> {
  const { clock, ends, reason, recoveryPoint } = request;
  const said = { ...untilOf(request), ...(reason === undefined ? {} : { reason }) };
  if (reason !== undefined && reason.length > mostReasonLength) {
    throw new DrError("USAGE", `the reason has ${reason.length} characters`, { hint: `${mostReasonLength} at most` });
  }
  const entry = await readEntry(repository, recoveryPoint);
  if (entry === undefined) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `there is no recovery point ${recoveryPoint} in this bucket`, {
      hint: "`qdrant-dr recovery-points list --all` lists them",
    });
  }
  const { control } = repository.stores;
  await recordKept(control, recoveryPoint, ends ? undefined : said, clock.now());
  if (!ends) {
    await refuseUnlessSpared(repository, recoveryPoint);
    await lockWhatIsThere(repository, entry, said.until);
  }
  return { kept: ends ? undefined : { recoveryPoint, ...said }, state: entry.state };
}

function untilOf({ clock, ends, until: text }: KeepRequest): Pick<KeptRecoveryPoint, "until"> {
  if (text === undefined) return {};
  const until = parseZonedTime(text);
  if (!ends && until > clock.now()) return { until: until.toISOString() };
  throw new DrError("USAGE", ends ? "--end ends it now, and takes no --until" : `${text} is over`, {
    hint: "give --until a time to come, or --end alone",
  });
}

/** Of what is damaged or missing not all can be locked: the record keeps the rest from prunes. */
async function lockWhatIsThere(repository: OpenRepository, { recoveryPoint }: CatalogEntry, until?: string) {
  if (recoveryPoint === undefined) return;
  const end = until === undefined ? repository.longestLock : new Date(until);
  await whenReadable(repository.lockFurther(recoveryPoint, end));
}

/**
 * A prune that began after the statement sees it. One that began before may have dropped the recovery point already, or may not have
 * come to it.
 */
async function refuseUnlessSpared({ stores: { control } }: OpenRepository, id: string): Promise<void> {
  const sight = await lookAtPrunes(control);
  const plan = await openPlan(control, sight);
  if (plan === undefined || !(await hasBegun(control, sight.newest)) || !(await plan.droppedIds()).has(id)) return;
  throw new DrError("RECOVERY_POINT_INCOMPLETE", `${id} may be gone: prune ${sight.newest} drops it, and has begun`, {
    hint: "when that prune has ended, see with `qdrant-dr recovery-points list --all` whether it is there; if it is, it is kept",
  });
}
