/** Keeps what a change of roles did, as a page and as JSON beside it; also when it did not end well. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Deps } from "../../composition/deps.ts";
import type { FailoverEvidence } from "../../domain/failover-evidence.ts";
import { toDrError } from "../../errors.ts";
import { failoverPage } from "../../report/failover-page.ts";
import { type FailoverReport, failOver } from "../../workflows/failover/fail-over.ts";
import type { FailoverStep } from "../../workflows/failover/failover-run.ts";
import type { FailoverRequest } from "../../workflows/failover/request.ts";

export interface KeptFailover {
  readonly report: FailoverReport;
  /** Where the page is; absent when it could not be written. */
  readonly page?: string;
}

/** @param file of the page; the JSON has the same name and ends with `.json`. */
export async function failOverWithEvidence(
  deps: Deps,
  request: FailoverRequest,
  file: string | undefined,
): Promise<KeptFailover> {
  const { clock, handOver, region, run } = request;
  const startedAt = clock.now().toISOString();
  const steps: FailoverStep[] = [];
  const keep = (outcome: FailoverEvidence["outcome"]) => {
    const mode = handOver === undefined ? "failover" : "switchover";
    const about = { format: 1, region: region.region, mode, run, toolVersion: deps.toolVersion } as const;
    const evidence = { ...about, startedAt, endedAt: clock.now().toISOString(), steps, outcome };
    return write(deps, evidence, resolve(file ?? defaultFile(deps, evidence)));
  };
  try {
    const report = await failOver({ ...request, onStep: (step) => steps.push(step) });
    const page = await keep(outcomeOf(report));
    return page === undefined ? { report } : { report, page };
  } catch (error) {
    const { code, hint, message } = toDrError(error);
    await keep({ isDone: false, code, message, ...(hint === undefined ? {} : { hint }) });
    throw error;
  }
}

function outcomeOf(report: FailoverReport): FailoverEvidence["outcome"] {
  const { dataLossSeconds, epoch, from, isExact, isWarm, pauseSeconds, recoveryPoint, points } = report;
  const paused = pauseSeconds === undefined ? {} : { pauseSeconds };
  return { isDone: true, from, epoch, recoveryPoint, dataLossSeconds, isExact, isWarm, points, ...paused };
}

/** No failover fails because of what is written about it. */
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

/** Where the way back of a drill is reported. */
export function returnReportPath(file: string | undefined): string | undefined {
  return file === undefined ? undefined : `${withoutEnding(file)}-back.html`;
}

function withoutEnding(file: string): string {
  return join(dirname(file), basename(file).replace(/\.html?$/i, ""));
}

function defaultFile({ reportsFolder }: Deps, { mode, region, startedAt }: FailoverEvidence): string {
  return join(reportsFolder, `${mode}-${region}-${startedAt.replaceAll(/[:.]/g, "-")}.html`);
}
