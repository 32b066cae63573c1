import type { RegionAccess } from "../adapters/access.ts";
import type { Deps } from "../compose.ts";
import type { RunKind } from "../domain/monitoring/runs.ts";
import { type DrError, exitCodes, toDrError } from "../errors.ts";
import { recordRun } from "../repository/control/run-records.ts";
import type { Answer } from "./command.ts";

/** For so long a store may be silent before the record is given up. */
const patienceMs = 3_000;

/**
 * Has a command's work done, and leaves a record of how it ended with the region. The record is for whoever watches: one that cannot be
 * written changes nothing of the outcome.
 * @param isEnd false: others go on with the same work, and the last of them records it.
 */
export async function recordedRun(
  deps: Deps,
  access: RegionAccess,
  run: RunKind,
  work: () => Promise<Answer>,
  isEnd: (answer: Answer) => boolean = () => true,
): Promise<Answer> {
  const startedAt = deps.clock.now();
  const record = async (error?: DrError) => {
    try {
      await recordRun(access.withPatience(patienceMs).stores.control, {
        run,
        region: access.region.region,
        startedAt: startedAt.toISOString(),
        finishedAt: deps.clock.now().toISOString(),
        exitCode: error?.exitCode ?? exitCodes.ok,
        ...(error === undefined ? {} : { error: error.code }),
        toolVersion: deps.toolVersion,
      });
    } catch (problem) {
      deps.progress({ step: "record", detail: `this run is not recorded: ${toDrError(problem).message}` });
    }
  };
  let answer: Answer;
  try {
    answer = await work();
  } catch (error) {
    await record(toDrError(error));
    throw error;
  }
  if (isEnd(answer)) await record();
  return answer;
}
