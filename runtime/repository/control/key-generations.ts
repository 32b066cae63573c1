/** The generations of a repository's keys: a numbered log in the control store, where only operators may begin one. */
import { type KeyGeneration, keyGenerationSchema } from "../../domain/recovery-points/key-generation.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";

const logOf = (control: ObjectStoreReader) =>
  new NumberedLog<KeyGeneration>(control, controlLayout.keyGeneration, keyGenerationSchema);

/**
 * Undefined: the keys are those that the repository began with. Throws OBJECT_CORRUPT when the newest cannot be read: with the keys
 * before it nothing may be sealed.
 */
export async function newestKeyGeneration(control: ObjectStoreReader): Promise<LogEntry<KeyGeneration> | undefined> {
  const log = logOf(control);
  const newest = await log.newest();
  return newest && { ...newest, record: newest.record ?? (await log.read(newest.number)) };
}

/** @returns undefined when another one was begun meanwhile. */
export async function beginKeyGeneration(
  control: ObjectStore,
  after: number,
  generation: KeyGeneration,
): Promise<number | undefined> {
  const log = logOf(control);
  const number = await log.free(after + 1);
  return (await log.create(control, number, generation)) === "created" ? number : undefined;
}
