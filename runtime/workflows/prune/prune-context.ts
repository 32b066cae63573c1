import type { Retention } from "../../domain/history/retention.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { PrunableStore } from "../../ports/prunable-store.ts";
import type { Runner } from "../../ports/runner.ts";
import type { OpenRepository } from "../../repository/repository.ts";

export interface PruneContext {
  readonly repository: OpenRepository;
  readonly retention: Retention;
  /** Recovery points that cannot be restored, which an operator gives up: what they need is not counted. */
  readonly giveUp: readonly string[];
  /** An operator says that what is missing since the last run was taken away on purpose. */
  readonly acceptsFewer: boolean;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface PruneRequest extends PruneContext {
  readonly prunable: PrunableStore;
  /** The right to delete in the control store. */
  readonly prunableControl: PrunableStore;
  /** Identifies this run. */
  readonly run: string;
  readonly runner: Runner;
}

/** Nothing was deleted. */
export function pruneRefused(message: string, hint: string): DrError {
  return new DrError("PRUNE_REFUSED", `${message}; nothing was deleted`, { hint });
}
