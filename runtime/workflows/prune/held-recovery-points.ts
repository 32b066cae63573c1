/** Who needs recovery points, whatever the schedule says: failovers, restores, standbys, and people who said so. */
import { isKeptAt, keptInWords } from "../../domain/history/kept-recovery-points.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { CapturedChain } from "../../repository/catalog/captured-records.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { readKept } from "../../repository/control/kept-records.ts";
import { restoresNotEnded } from "../../repository/control/restore-records.ts";
import { readStandbyKnowledge } from "../../repository/control/standby-records.ts";
import type { ReportUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** A restore that has not ended for so long was killed, and nobody goes on with it. */
const restoreLastsMs = 30 * 24 * 3_600_000;

export class HeldRecoveryPoints {
  readonly epochs: readonly EpochRecord[];
  /** Why, by the id of the recovery point. */
  readonly heldBy = new Map<string, string[]>();

  private constructor(epochs: readonly EpochRecord[]) {
    this.epochs = epochs;
  }

  /** @param now by the store's clock. */
  static async find(
    { stores: { control } }: OpenRepository,
    now: Date,
    reportUnreadable: ReportUnreadable,
  ): Promise<HeldRecoveryPoints> {
    const epochs = await readEpochs(control, reportUnreadable);
    const all = new HeldRecoveryPoints(epochs);
    const newest = newestEpoch(epochs);
    for (const { epoch, recoveryPoint } of epochs) {
      if (newest !== undefined && epoch >= newest.epoch - 1) all.hold(recoveryPoint, `epoch ${epoch} began with it`);
    }
    const { held } = await readStandbyKnowledge(control, now, reportUnreadable);
    all.hold(held?.recoveryPoint, "the standby holds it");
    if (newest !== undefined) {
      const captured = await (await CapturedChain.open(control, newest.epoch)).newest();
      all.hold(captured?.recoveryPoint, "it was captured for the standby last");
    }
    const since = new Date(now.getTime() - restoreLastsMs);
    for (const { id, recoveryPoint } of await restoresNotEnded(control, since, reportUnreadable)) {
      all.hold(recoveryPoint, `restore ${id} has not ended`);
    }
    for (const [id, said] of await readKept(control, reportUnreadable)) {
      if (isKeptAt(said, now)) all.hold(id, keptInWords(said));
    }
    return all;
  }

  hold(id: string | undefined, reason: string): void {
    if (id === undefined) return;
    const known = this.heldBy.get(id) ?? [];
    this.heldBy.set(id, known);
    known.push(reason);
  }
}
