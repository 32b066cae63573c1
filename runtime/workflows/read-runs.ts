/** The newest runs of a region, by the records that they left. */

import { timeOfId } from "../domain/identifier.ts";
import { isSkipped, type RunKind, type RunRecord, runKinds } from "../domain/monitoring/runs.ts";
import { dayOf, parseControlKey } from "../domain/recovery-points/store-layout.ts";
import type { Clock } from "../ports/clock.ts";
import type { ObjectStoreReader } from "../ports/object-store.ts";
import { dayMs, daysLookedAt, readRun, runsOfDay } from "../repository/control/run-records.ts";
import { type ReportUnreadable, unlessMissing, unlessUnreadable } from "../repository/record.ts";

export interface WantedRuns {
  /** All kinds when left out. */
  readonly kind?: RunKind | undefined;
  /** Of each kind. */
  readonly last: number;
  readonly isFailed: boolean;
}

/** From the newest on. Runs that ended more than some weeks ago are not looked for. */
export async function readRuns(
  control: ObjectStoreReader,
  { isFailed, kind, last }: WantedRuns,
  clock: Clock,
  reportUnreadable: ReportUnreadable,
): Promise<RunRecord[]> {
  const wanted = new Map((kind === undefined ? runKinds : [kind]).map((run) => [run, last]));
  const found: RunRecord[] = [];
  const now = clock.now().getTime();
  // From tomorrow on: whoever wrote may have another clock.
  for (let back = -1; back < daysLookedAt && [...wanted.values()].some((count) => count > 0); back += 1) {
    const runs = await runsOfDay(control, dayOf(new Date(now - back * dayMs)));
    for (const { key, run } of runs.sort((a, b) => endOf(b.key) - endOf(a.key))) {
      const left = run === undefined ? 0 : (wanted.get(run) ?? 0);
      if (run === undefined || left === 0) continue;
      const record = await unlessUnreadable(key, unlessMissing(readRun(control, key)), reportUnreadable);
      if (record === undefined || (isFailed && (record.exitCode === 0 || isSkipped(record)))) continue;
      found.push(record);
      wanted.set(run, left - 1);
    }
  }
  return found.sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
}

/** The id in the key holds the time at which the run ended. */
function endOf(key: string): number {
  const parsed = parseControlKey(key);
  return (parsed?.kind === "run" ? timeOfId(parsed.id)?.getTime() : undefined) ?? 0;
}
