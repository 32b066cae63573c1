import { failureOf, type RunKind, type RunRecord } from "../domain/monitoring/runs.ts";
import { DrError, exitCodes, toDrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Progress } from "../ports/progress.ts";
import { recordRun } from "../repository/control/run-records.ts";
import type { RegionSession } from "./region-session.ts";

/** How long the store may be silent before the record is given up. */
const patienceMs = 3_000;

export interface RecordedRun {
  readonly run: RunKind;
  readonly session: RegionSession;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Runs `clean` when the run is interrupted; the returned function withdraws it. */
  readonly onInterrupt?: ((clean: () => Promise<void>) => () => void) | undefined;
}

interface RunOutcome<Result> {
  /** False: others go on with the same work, and the last of them records it. */
  isEnd?(result: Result): boolean;
  /** Why a run that did what it could does not count as a good one. */
  shortcomingOf?(result: Result): DrError | undefined;
  /** What the record says beside how the run ended. */
  foundOf?(result: Result): Pick<RunRecord, "drill">;
}

/**
 * Does the work of a run, and leaves a record in the region of how it ended. The record is for monitoring: one that cannot be
 * written changes nothing of the outcome.
 */
export async function recordedRun<Result>(
  { clock, onInterrupt, progress, run, session, toolVersion }: RecordedRun,
  work: () => Promise<Result>,
  { isEnd = () => true, shortcomingOf = () => undefined, foundOf = () => ({}) }: RunOutcome<Result> = {},
): Promise<Result> {
  const startedAt = clock.now();
  const write = async (error?: DrError, found: Pick<RunRecord, "drill"> = {}) => {
    try {
      await recordRun(session.withPatience(patienceMs).stores.control, {
        run,
        region: session.region.region,
        startedAt: startedAt.toISOString(),
        finishedAt: clock.now().toISOString(),
        exitCode: error?.exitCode ?? exitCodes.ok,
        ...(error === undefined ? {} : failureOf(error)),
        toolVersion,
        ...found,
      });
    } catch (problem) {
      progress({ step: "record", detail: `this run is not recorded: ${toDrError(problem).message}` });
    }
  };
  // One end: what an interruption takes away fails afterwards.
  let recorded: Promise<void> | undefined;
  const record = (error?: DrError, found?: Pick<RunRecord, "drill">) => {
    recorded ??= write(error, found);
    return recorded;
  };
  const withdraw = onInterrupt?.(() => record(new DrError("INTERRUPTED", "the run was interrupted")));
  try {
    const result = await work();
    if (isEnd(result)) await record(shortcomingOf(result), foundOf(result));
    return result;
  } catch (error) {
    await record(toDrError(error));
    throw error;
  } finally {
    withdraw?.();
  }
}
