/** Captures a recovery point of a region: plan, read and store, commit. Each phase hands a value to the next. */
import { type CapturePhases, phasesOf } from "./capture-phases.ts";
import { type CaptureReport, reportOf } from "./capture-report.ts";
import type { CaptureRequest } from "./capture-request.ts";
import { joinParts } from "./commit/join-parts.ts";

export async function captureRecoveryPoint(request: CaptureRequest): Promise<CaptureReport> {
  const { clock, incremental } = request;
  const begunMs = clock.monotonic();
  const seconds = () => (clock.monotonic() - begunMs) / 1000;
  const phases = phasesOf(request);
  try {
    return await capture(phases, incremental, { seconds, now: () => clock.now() });
  } finally {
    phases.workers.close();
  }
}

async function capture(
  { bases, committer, planner, reader, unchanged, workers }: CapturePhases,
  incremental: CaptureRequest["incremental"],
  { now, seconds }: { readonly now: () => Date; readonly seconds: () => number },
): Promise<CaptureReport> {
  const base = await bases.find();
  const plan = await workers.agree(() => planner.plan(base));
  const before = await bases.recoveryPointOf(plan, base);
  const planned = { plan, base, before };

  const part = await workers.part(() => reader.read(planned));
  const parts = await workers.allParts(plan, part);
  if (parts === undefined) return reportOf(plan, part, undefined, seconds());

  const joined = joinParts(plan, parts, before);
  const same = await unchanged?.find(planned, joined);
  const recoveryPoint = same ?? (await workers.commit(plan, () => committer.commit(planned, joined)));
  incremental?.memory.remember(base, recoveryPoint, plan.restore, now());
  return reportOf(plan, part, { recoveryPoint, isUnchanged: same !== undefined }, seconds());
}
