/** Keeps what a change of roles did, as a page and as JSON beside it; also when it did not end well. */
import type { Deps } from "../../composition/deps.ts";
import type { FailoverEvidence } from "../../domain/failover-evidence.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
import { toDrError } from "../../errors.ts";
import { failoverPage } from "../../report/failover-page.ts";
import type { RoleChangeReport } from "../../workflows/failover/fail-over.ts";
import type { RoleChangeRequest } from "../../workflows/failover/request.ts";
import { keepReport } from "./report-files.ts";

export interface KeptRoleChange {
  readonly report: RoleChangeReport;
  /** Where the page is; absent when it could not be written. */
  readonly page?: string | undefined;
}

/**
 * Does a change of roles and keeps its evidence, also of a failure.
 * @param file of the page; the JSON has the same name and ends with `.json`.
 */
export async function withEvidence<Request extends RoleChangeRequest>(
  deps: Deps,
  request: Request,
  file: string | undefined,
  act: (request: Request) => Promise<RoleChangeReport>,
): Promise<KeptRoleChange> {
  const { clock, kind, region, run } = request;
  const startedAt = clock.now().toISOString();
  const steps: TimedStep[] = [];
  const keep = (mode: FailoverEvidence["mode"], outcome: FailoverEvidence["outcome"]) => {
    const about = { format: 1, region: region.region, mode, run, toolVersion: deps.toolVersion } as const;
    const evidence = { ...about, startedAt, endedAt: clock.now().toISOString(), steps, outcome };
    const page = failoverPage(evidence);
    return keepReport(deps, { file, about: `${mode}-${region.region}`, startedAt, page, evidence });
  };
  try {
    const report = await act({ ...request, onStep: (step: TimedStep) => steps.push(step) });
    return { report, page: await keep(report.mode, outcomeOf(report)) };
  } catch (error) {
    const { code, hint, message } = toDrError(error);
    await keep(kind, { isDone: false, code, message, hint });
    throw error;
  }
}

function outcomeOf(report: RoleChangeReport): FailoverEvidence["outcome"] {
  const { absent, dataLossSeconds, epoch, from, isExact, isVerified, isWarm, pauseSeconds, points, recoveryPoint } =
    report;
  return {
    isDone: true,
    from,
    epoch,
    recoveryPoint,
    dataLossSeconds,
    isExact,
    isWarm,
    absent,
    points,
    isVerified,
    pauseSeconds,
  };
}
