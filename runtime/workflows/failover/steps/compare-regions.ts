import { formatCount } from "../../../domain/format.ts";
import { markOfSettings } from "../../../domain/qdrant/shard-mark.ts";
import { isExact, type RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../../errors.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import { withFacts } from "../../../repository/content/collection-facts.ts";
import { recordHeld } from "../../../repository/control/standby-records.ts";
import { verifyApplied, wholeRecoveryPoint } from "../../apply/verify-applied.ts";
import type { Step, SwitchoverContext } from "./step.ts";

export const compareRegions: Step<SwitchoverContext> = {
  name: "compare",
  title: "Compare both regions",
  repeat: "always",
  async run(context) {
    const { findings, request } = context;
    const { active, clock, database, repository } = request;
    const { recoveryPoint } = findings.serveFrom;
    const points = await compareCounts(active.database, database, recoveryPoint);
    const whole = await wholeRecoveryPoint(repository, recoveryPoint);
    const proof = await verifyApplied({ clock, repository, target: database }, whole);
    await recordAsStandby(context);
    findings.proof = proof;
    return `${formatCount(points)} points, ${proof.samples} samples and ${proof.canaries} canary queries are equal`;
  },
};

/** By the servers' own counts; throws VERIFICATION_FAILED. */
async function compareCounts(from: VectorDatabase, to: VectorDatabase, recoveryPoint: RecoveryPoint): Promise<number> {
  let points = 0;
  for (const { name } of recoveryPoint.collections) {
    const [there, here] = await Promise.all([from.count(name), to.count(name)]);
    if (there !== here) {
      throw new DrError("VERIFICATION_FAILED", `${name} has ${there} points there and ${here} here`);
    }
    points += here;
  }
  return points;
}

/**
 * From the epoch on, the region that steps down is a standby that holds the recovery point: replication may follow back and
 * replace it. The record is written before the epoch is claimed, and names it: it says nothing should that epoch be aborted.
 */
async function recordAsStandby({ findings, plan, request }: SwitchoverContext): Promise<void> {
  const { control, database, region } = request.active;
  const captured = await withFacts(request.repository, findings.serveFrom.recoveryPoint.collections);
  const { asOf, recoveryPoint } = findings.serveFrom;
  const collections = captured.map((collection) => {
    const mark = markOfSettings(collection, collection.shards);
    // Clients made what is in their shards, not replication.
    return { name: collection.name, made: mark, described: mark, shards: [] };
  });
  await recordHeld(control, {
    format: 1,
    at: request.clock.now().toISOString(),
    recoveryPoint: recoveryPoint.id,
    region,
    epoch: plan.epoch,
    asOf: asOf.toISOString(),
    isExact: isExact(recoveryPoint),
    processes: await database.processes(),
    fingerprints: {},
    collections,
  });
}
