/** How far the bytes of a repository were read: each record is the whole, the newest counts. */
import { z } from "zod";
import { joinedRotations, newRotation, type Rotation, rotationSchema } from "../../domain/recovery-points/rotation.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";
import { createRecord, ignoreUnreadable, readOptionalRecord, unlessUnreadable } from "../record.ts";

/** Behind the newest record, for one that can be read. */
const mostPassedOver = 10;

export interface NumberedRotation {
  /** 0 before the first record. */
  readonly number: number;
  readonly rotation: Rotation;
}

const logOf = (control: ObjectStoreReader) => new NumberedLog(control, controlLayout.verification, rotationSchema);

/** Undefined when nothing was read of this repository. */
export async function readRotation(
  control: ObjectStoreReader,
  repository: string,
): Promise<NumberedRotation | undefined> {
  const log = logOf(control);
  const newest = await log.newest();
  if (newest === undefined) return undefined;
  for (let number = newest.number; number > Math.max(0, newest.number - mostPassedOver); number -= 1) {
    const rotation = (number === newest.number ? newest : await log.entry(number))?.record;
    if (rotation?.repository === repository) return { number: newest.number, rotation };
  }
  return undefined;
}

/** The repositories of which something was read, as far as the newest records tell. */
export async function repositoriesRead(control: ObjectStoreReader): Promise<ReadonlySet<string>> {
  const log = logOf(control);
  const last = (await log.newest())?.number ?? 0;
  const found = new Set<string>();
  for (let number = last; number > Math.max(0, last - mostPassedOver); number -= 1) {
    const id = (await log.entry(number))?.record?.repository;
    if (id !== undefined) found.add(id);
  }
  return found;
}

/** Where a rotation that is not begun begins; its records are numbered on after those of another repository. */
export async function rotationToGoOn(
  control: ObjectStoreReader,
  repository: string,
  now: Date,
): Promise<NumberedRotation> {
  const known = await readRotation(control, repository);
  if (known !== undefined) return known;
  const newest = await logOf(control).newest();
  return { number: newest?.number ?? 0, rotation: newRotation(repository, now) };
}

/** Another run's records meanwhile are joined with it. */
export async function recordRotation(
  control: ObjectStore,
  { number, rotation }: NumberedRotation,
): Promise<NumberedRotation> {
  const log = logOf(control);
  let joined = rotation;
  for (let next = number + 1; ; next += 1) {
    if ((await log.create(control, next, joined)) === "created") return { number: next, rotation: joined };
    const theirs = (await log.entry(next))?.record;
    if (theirs?.repository === joined.repository) joined = joinedRotations(joined, theirs);
  }
}

const verifiedSlotSchema = z.object({ recoveryPoints: z.array(z.string()) });

/** The recovery points of a slot that were there when it was read, in seconds since 1970; none where that is not known. */
export async function recoveryPointsThen(
  control: ObjectStoreReader,
  slot: number,
  seconds: number,
): Promise<readonly string[]> {
  const key = controlLayout.verifiedSlot(slot, seconds);
  const read = await unlessUnreadable(key, readOptionalRecord(control, key, verifiedSlotSchema), ignoreUnreadable);
  return read?.recoveryPoints ?? [];
}

export async function recordRecoveryPoints(
  control: ObjectStore,
  slot: number,
  seconds: number,
  recoveryPoints: readonly string[],
): Promise<void> {
  const key = controlLayout.verifiedSlot(slot, seconds);
  await createRecord(control, key, verifiedSlotSchema, { recoveryPoints: [...recoveryPoints] });
}
