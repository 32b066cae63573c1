/** `restore --test`: the newest recovery point proves that it can be restored. */
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { formatCount, formatSeconds } from "../../domain/format.ts";
import { missingAmong, missingInWords, partialityOf } from "../../domain/recovery-points/missing.ts";
import { findRecoveryPoint } from "../../workflows/find-recovery-point.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { testRestore } from "../../workflows/test-restore.ts";
import type { Answer } from "../shared/command.ts";
import { openTestTarget } from "../shared/named-qdrant.ts";
import type { RestoreAnswer } from "./answer.ts";

interface Options extends RegionOptions {
  readonly recoveryPoint: string;
  readonly collections?: readonly string[];
  readonly althoughQuarantined?: boolean;
}

export async function testAnswer(deps: Deps, session: RegionSession, options: Options): Promise<Answer<RestoreAnswer>> {
  const repository = await session.repository();
  const recoveryPoint = await findRecoveryPoint(
    repository,
    options.recoveryPoint,
    { collections: options.collections, althoughQuarantined: options.althoughQuarantined },
    deps,
  );
  const { clock, progress, runner } = deps;
  const missing = missingAmong(recoveryPoint, ["qdrant"], options.collections);
  const opened = await openTestTarget(deps, session, options);
  const report = await testRestore({
    ...opened,
    region: session.region.region,
    ...{ clock, progress, recoveryPoint, repository, runner },
    only: options.collections,
    onInterrupt: (clean) => deps.onInterrupt(clean),
  });
  const target = opened.targetName ?? session.region.region;
  const { collections, seconds } = report;
  const sum = (count: (typeof collections)[number]["points"][]) => count.reduce((all, each) => all + each, 0);
  const points = sum(collections.map((tested) => tested.points));
  const samples = sum(collections.map((tested) => tested.samples));
  const canaries = sum(collections.map((tested) => tested.canaries));
  const searches = sum(collections.map((tested) => tested.searches));
  const skipped = collections.flatMap((tested) => tested.skipped);
  const recalls = collections.flatMap(({ recall }) => recall ?? []);
  const text = [
    `${recoveryPoint.id} of ${recoveryPoint.time} can be restored: tried in ${target} in ${formatSeconds(seconds)}, and removed again`,
    `  ${formatCount(points)} points in ${formatCount(collections.length)} collections`,
    `  counts, ${formatCount(samples)} sampled points and ${formatCount(canaries)} canary queries are as captured; ${formatCount(searches)} searches by the index found points`,
    ...(recalls.length === 0
      ? []
      : [`  searches by the index find at least ${Math.floor(100 * Math.min(...recalls))} % of the nearest points`]),
    ...skipped.map((sentence) => `  ${sentence}`),
    ...missing.map((each) => `missing: ${missingInWords(each)}`),
  ].join("\n");
  const from = { recoveryPoint: recoveryPoint.id, time: recoveryPoint.time, missing };
  const json = { ...from, test: { target, collections, removed: report.removed, seconds } };
  return { json, text, shortcoming: partialityOf(recoveryPoint.id, missing) };
}
