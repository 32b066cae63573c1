/** Compares what a target holds with what the source answered when it was captured. */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { withFacts } from "../../repository/content/collection-facts.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { waitUntil } from "../../time/wait-until.ts";
import { type Comparison, compareWithObservation } from "../observe-collection.ts";
import type { WantedCollection } from "./plan-apply.ts";

/** A replica that has just been brought up to date may leave again for a moment: what differs in a cluster is asked again. */
const settles = { withinMs: 5_000, everyMs: 250 };

export interface VerifyTools {
  readonly repository: OpenRepository;
  readonly target: VectorDatabase;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** What was compared with the source's own answers. */
export type Compared = Omit<Comparison, "differences">;

export const nothingCompared: Compared = { samples: 0, canaries: 0, skipped: [] };

export function withComparison(before: Compared, { canaries, samples, skipped }: Comparison): Compared {
  return {
    samples: before.samples + samples,
    canaries: before.canaries + canaries,
    skipped: [...before.skipped, ...skipped],
  };
}

/** Throws VERIFICATION_FAILED. */
export async function verifyApplied(
  tools: VerifyTools,
  { collections, recoveryPoint }: WantedCollections,
): Promise<Compared> {
  const differences: string[] = [];
  let compared = nothingCompared;
  for (const wanted of collections) {
    const comparison = await compareWithCaptured(tools, wanted);
    differences.push(...comparison.differences);
    compared = withComparison(compared, comparison);
  }
  if (differences.length > 0) throw notAsCaptured(recoveryPoint, differences);
  return compared;
}

/** Compares a collection with its capture. */
export async function compareWithCaptured(
  { clock, repository, signal, target }: VerifyTools,
  { captured, name }: WantedCollection,
): Promise<Comparison> {
  const key = await repository.keys.key(captured.key);
  const compare = () => {
    signal?.throwIfAborted();
    return compareWithObservation(target, { ...captured, name }, key);
  };
  let comparison = await compare();
  signal?.throwIfAborted();
  if (comparison.differences.length === 0 || !(await target.isClustered())) return comparison;
  const unsettled = new DrError("VERIFICATION_FAILED", `${name} stays different from what was captured`);
  try {
    await waitUntil(clock, { ...settles, signal, what: `${name} to settle`, expired: () => unsettled }, async () => {
      comparison = await compare();
      return comparison.differences.length === 0;
    });
  } catch (error) {
    if (error !== unsettled) throw error;
  }
  return comparison;
}

export function notAsCaptured({ id }: RecoveryPoint, differences: readonly string[]): DrError {
  const shown = differences.slice(0, 3).join("; ");
  return new DrError("VERIFICATION_FAILED", `${differences.length} things differ from ${id}: ${shown}`, {
    hint: "do not serve from it: look at the log of its Qdrant and do it again, or restore an earlier recovery point (`qdrant-dr recovery-points list`, then `restore --recovery-point`)",
  });
}

interface WantedCollections {
  readonly recoveryPoint: RecoveryPoint;
  readonly collections: readonly WantedCollection[];
}

/** All of a recovery point, under the names that it was captured by. */
export async function wholeRecoveryPoint(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
): Promise<WantedCollections> {
  const collections = await withFacts(repository, recoveryPoint.collections);
  return { recoveryPoint, collections: collections.map((captured) => ({ captured, name: captured.name })) };
}
