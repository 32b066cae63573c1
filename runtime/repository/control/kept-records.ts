/**
 * Which recovery points are kept whatever the schedule says: for each a numbered log of statements, of which the newest counts. They are
 * in the control store, where only operators may say so: who captures can neither keep what he made nor let go of what others keep.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type KeptRecord, keptRecordSchema } from "../../domain/history/kept-record.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";
import type { ReportUnreadable } from "../record.ts";

const readsAtOnce = 16;
const logOf = (control: ObjectStoreReader, recoveryPoint: string) =>
  new NumberedLog(control, (number) => controlLayout.keptStatement(recoveryPoint, number), keptRecordSchema);

export async function recordKept(control: ObjectStore, record: KeptRecord): Promise<void> {
  const log = logOf(control, record.recoveryPoint);
  // Others may say something about it at the same moment: what is said last counts.
  for (;;) {
    const number = await log.usable(((await log.newest())?.number ?? 0) + 1);
    if ((await log.create(control, number, record)) === "created") return;
  }
}

/** The newest statement about a recovery point, which is asked for by its name; undefined when there is none. */
export async function readKept(
  control: ObjectStoreReader,
  recoveryPoint: string,
  reportUnreadable: ReportUnreadable,
): Promise<KeptRecord | undefined> {
  const newest = await logOf(control, recoveryPoint).newest();
  if (newest === undefined) return undefined;
  if (newest.record?.recoveryPoint === recoveryPoint) return newest.record;
  reportUnreadable(controlLayout.keptStatement(recoveryPoint, newest.number));
  return undefined;
}

/** The newest statement about each recovery point that is listed with one. */
export async function readAllKept(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable,
): Promise<ReadonlyMap<string, KeptRecord>> {
  const ids = new Set<string>();
  for await (const { key } of control.list(controlLayout.kept)) {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "kept-statement") ids.add(parsed.recoveryPoint);
  }
  const kept = new Map<string, KeptRecord>();
  await forEachConcurrently(readsAtOnce, ids, async (id) => {
    const record = await readKept(control, id, reportUnreadable);
    if (record !== undefined) kept.set(id, record);
  });
  return kept;
}
