/** Plans how a region's Qdrant comes to hold exactly one recovery point of its own bucket, whatever it holds. */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { StandbyKnowledge } from "../../repository/control/standby-records.ts";
import { aliasesAmong } from "../apply/aliases.ts";
import { optimizes } from "../apply/describe-collection.ts";
import { type ApplyPlan, type ApplyRequest, type KnownTarget, planApply } from "../apply/plan-apply.ts";
import { wholeRecoveryPoint } from "../apply/verify-applied.ts";
import { StandbyRestoreDetector } from "./standby-restore-detector.ts";
import { readKnowledge, type StandbyTurn, type TurnRequest } from "./standby-turn.ts";

export interface StandbyPlanRequest extends Omit<TurnRequest, "failover">, Pick<ApplyRequest, "compare" | "existing"> {
  readonly recoveryPoint: RecoveryPoint;
  /** The region's own Qdrant. */
  readonly target: VectorDatabase;
  /** The epoch that a failover to this region makes; absent for replication. */
  readonly failover?: number | undefined;
  /** Whose plan it is; without it, the plan only tells what would be refused or done now. */
  readonly turn?: StandbyTurn | undefined;
}

/** Throws when the recovery point must not or cannot be put there; changes nothing. */
export async function planStandby(request: StandbyPlanRequest): Promise<ApplyPlan> {
  const { clock, compare, existing, recoveryPoint, repository, target, turn } = request;
  const knowledge = turn?.knowledge ?? (await readKnowledge(request)).knowledge;
  const names = recoveryPoint.collections.map(({ name }) => name);
  return planApply({
    ...(await wholeRecoveryPoint(repository, recoveryPoint)),
    target,
    existing,
    // An alias of a collection that was not captured may lead nowhere here.
    aliases: { wanted: aliasesAmong(recoveryPoint, names), standing: "replace" },
    known: knownByReplication(request, knowledge),
    compare,
    optimizes: false,
    onFailure: "leave",
    clock,
  });
}

function knownByReplication(
  { clock, repository, target }: Pick<StandbyPlanRequest, "clock" | "repository" | "target">,
  knowledge: StandbyKnowledge,
): KnownTarget {
  const detector = new StandbyRestoreDetector(target, knowledge, clock, repository.stores.control);
  const held = knowledge.held?.collections ?? [];
  const making = new Set(knowledge.making.map(({ name }) => name));
  for (const { name } of held) making.delete(name);
  return {
    standing: { held, isAsRecorded: (shard) => detector.isAsRecorded(shard) },
    unfinishedAmong: async (present) => {
      const unfinished: string[] = [];
      for (const name of making) if (present.has(name) && (await isOwnWork(target, name))) unfinished.push(name);
      return unfinished;
    },
    refusalOf: (taken) =>
      new DrError("TARGET_NOT_EMPTY", `${taken.join(", ")} is there already, and replication did not make it`, {
        hint: "nothing was changed. A region that was lost in a failover may hold the last writes of its clients (`qdrant-dr divergence` lists them). If they may be lost, repeat with --replace-existing, or delete the collections yourself",
      }),
  };
}

/**
 * Whether what stands under a name that replication set out to make is what it made. Somebody else may have made it first:
 * theirs optimizes, and replication's never does from its first moment on. Throws when Qdrant does not tell for another reason
 * than that it is half-made.
 */
async function isOwnWork(target: VectorDatabase, name: string): Promise<boolean> {
  return (await target.isHalfMade(name)) || !optimizes(await target.describe(name));
}
