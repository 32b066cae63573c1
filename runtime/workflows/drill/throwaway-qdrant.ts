/**
 * The Qdrant of a throwaway region: empty before a drill, and after it. What a drill puts there is recorded beforehand in the control
 * store of the region that is rehearsed, so that the next drill removes what a killed one left, and nothing else.
 */
import { formatBytes } from "../../domain/format.ts";
import { newId } from "../../domain/identifier.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { Runner } from "../../ports/runner.ts";
import {
  type BegunRestore,
  type RestoreRecord,
  readRestores,
  recordRestoreEnd,
  recordRestoreStart,
} from "../../repository/control/restore-records.ts";
import { unreadableReporter } from "../name-unreadable.ts";

/** Whoever has not ended by then was killed on a machine that cannot be asked. */
const longestDrillMs = 24 * 60 * 60_000;

export interface ThrowawayQdrantTools {
  readonly target: VectorDatabase;
  readonly targetName: string;
  /** The control store of the region that is rehearsed. */
  readonly control: ObjectStore;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
}

export class ThrowawayQdrant {
  readonly target: VectorDatabase;
  readonly #tools: ThrowawayQdrantTools;
  readonly #record: RestoreRecord;

  private constructor(tools: ThrowawayQdrantTools, record: RestoreRecord) {
    this.target = tools.target;
    this.#tools = tools;
    this.#record = record;
  }

  /**
   * Removes what killed drills left there, and records what is about to come.
   * @param bytes of the recovery point's collections.
   * @throws TARGET_NOT_EMPTY when it holds anything else, and DISK_FULL when it cannot have the room; then nothing was changed.
   */
  static async take(
    tools: ThrowawayQdrantTools,
    recoveryPoint: RecoveryPoint,
    bytes: number,
  ): Promise<ThrowawayQdrant> {
    const { clock, control, runner, target, targetName } = tools;
    await removeLeftovers(tools);
    const present = await target.collections();
    if (present.length > 0) {
      throw new DrError(
        "TARGET_NOT_EMPTY",
        `${targetName} holds ${present.join(", ")}, and a drill needs an empty Qdrant`,
        {
          hint: "nothing was changed; name a Qdrant that holds nothing, or wait until the other drill has ended",
        },
      );
    }
    const { diskBytes } = await target.machine();
    if (diskBytes > 0 && bytes > diskBytes) {
      throw new DrError(
        "DISK_FULL",
        `a drill takes ${formatBytes(bytes)}, and the disk of ${targetName} has ${formatBytes(diskBytes)} in all; nothing was made`,
        { hint: "name a Qdrant with more room" },
      );
    }
    const at = clock.now();
    const record: RestoreRecord = {
      id: newId(at),
      recoveryPoint: recoveryPoint.id,
      collections: recoveryPoint.collections.map(({ name }) => name),
      target: targetName,
      processes: await target.processes(),
      at: at.toISOString(),
      ...(runner.mark === undefined ? {} : { runner: runner.mark }),
    };
    await recordRestoreStart(control, record);
    return new ThrowawayQdrant(tools, record);
  }

  /** Can be called at any time, and again. */
  async empty(): Promise<void> {
    await removeAmong(this.#tools, this.#record.collections);
  }

  /** To be called when it is empty again. */
  async end(isSuccess: boolean): Promise<void> {
    const { clock, control } = this.#tools;
    await recordRestoreEnd(control, this.#record, clock.now(), isSuccess ? {} : { outcome: "failed" });
  }
}

async function removeLeftovers(tools: ThrowawayQdrantTools): Promise<void> {
  const { clock, control, progress, runner, target, targetName } = tools;
  if ((await target.collections()).length === 0) return;
  const { begun, done } = await readRestores(control, targetName, unreadableReporter(progress));
  const mayBeInUse = ({ at, runner: mark }: BegunRestore) =>
    mark !== undefined &&
    mark !== runner.mark &&
    !runner.isDead(mark) &&
    clock.now().getTime() - Date.parse(at) < longestDrillMs;
  const cutOff = begun.filter((record) => !done.has(record.id) && !mayBeInUse(record));
  const removed = await removeAmong(
    tools,
    cutOff.flatMap(({ collections }) => collections),
  );
  if (removed.length > 0) progress({ step: "clean", detail: `${removed.join(", ")}, which an earlier drill left` });
  for (const record of cutOff) await recordRestoreEnd(control, record, clock.now(), { outcome: "failed" });
}

async function removeAmong({ target }: ThrowawayQdrantTools, names: readonly string[]): Promise<readonly string[]> {
  const ours = new Set(names);
  const present = (await target.collections()).filter((name) => ours.has(name));
  for (const name of present) await target.deleteCollection(name);
  return present;
}
