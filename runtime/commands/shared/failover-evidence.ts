/** Keeps what a change of roles did, as a page and as JSON beside it; also when it did not end well. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Deps } from "../../composition/deps.ts";
import type { FailoverEvidence } from "../../domain/failover-evidence.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
import { toDrError } from "../../errors.ts";
import { failoverPage } from "../../report/failover-page.ts";
import type { RoleChangeReport } from "../../workflows/failover/fail-over.ts";
import type { RoleChangeRequest } from "../../workflows/failover/request.ts";

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
    return write(deps, evidence, resolve(file ?? defaultFile(deps, evidence)));
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

/** A page that cannot be written fails no change of roles. */
async function write(deps: Deps, evidence: FailoverEvidence, page: string): Promise<string | undefined> {
  try {
    await mkdir(dirname(page), { recursive: true });
    await writeFile(page, failoverPage(evidence));
    await writeFile(`${withoutEnding(page)}.json`, `${JSON.stringify(evidence, undefined, 2)}\n`);
    return page;
  } catch (error) {
    deps.progress({ step: "report", detail: `not written: ${toDrError(error).message}` });
    return undefined;
  }
}

/** Path of the page about the way back of a drill; undefined when none was named for the way there. */
export function returnReportPath(file: string | undefined): string | undefined {
  return file === undefined ? undefined : `${withoutEnding(file)}-back.html`;
}

function withoutEnding(file: string): string {
  return join(dirname(file), basename(file).replace(/\.html?$/i, ""));
}

function defaultFile({ reportsFolder }: Deps, { mode, region, startedAt }: FailoverEvidence): string {
  return join(reportsFolder, `${mode}-${region}-${startedAt.replaceAll(/[:.]/g, "-")}.html`);
}
