/**
 * How every record gets into a store and out of it. What its reader would refuse is not written: records are create-only, and
 * one that nobody can read would stand in the way for good. One that cannot be read all the same, because it was damaged
 * or is of a newer version, is named to who looks, and does not hide the others.
 */
import type { z } from "zod";
import { forEachConcurrently } from "../async/for-each-concurrently.ts";
import { exactText, parseExactly } from "../domain/exact-json.ts";
import { mostBytesOf } from "../domain/recovery-points/object-bounds.ts";
import { DrError, hasCode } from "../errors.ts";
import type { ObjectStore, ObjectStoreReader, StoredObject } from "../ports/object-store.ts";

/** Hears the key of a record that is there and cannot be read; it is not obeyed. */
export type ReportUnreadable = (key: string) => void;

/** Reports nothing: another reader of the same record reports that it cannot be read. */
export const ignoreUnreadable: ReportUnreadable = () => undefined;

/** Throws OBJECT_CORRUPT naming the object: it is not what this tool writes. */
export function parseRecord<T>(schema: z.ZodType<T>, key: string, bytes: Uint8Array): T {
  try {
    return schema.parse(parseExactly(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new DrError("OBJECT_CORRUPT", `${key} cannot be read: it does not have the form that this version writes`, {
      hint: "it was changed, or a newer version wrote it",
      cause,
    });
  }
}

/** The bytes of a record that its reader takes. Throws NOT_SUPPORTED naming the place and the field otherwise. */
export function serialiseRecord<T>(schema: z.ZodType<T>, key: string, value: T): Buffer {
  // As it is: numbers that JSON does not have would become null. And as it is read back.
  const bytes = Buffer.from(exactText(accepted(schema, key, value)));
  accepted(schema, key, parseExactly(bytes.toString("utf8")));
  return bytes;
}

/** Throws NOT_SUPPORTED when nobody would read an object of this size under this key. */
export function refuseIfTooLarge(key: string, bytes: Buffer): void {
  if (bytes.length <= mostBytesOf(key)) return;
  throw new DrError("NOT_SUPPORTED", `${key} cannot be written: it would have ${bytes.length} bytes`, {
    hint: `such a record may have ${mostBytesOf(key)} bytes; nothing of it was stored`,
  });
}

function accepted<T>(schema: z.ZodType<T>, key: string, value: unknown): T {
  const { data, error, success } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  const field = issue?.path.map(String).join(".") || "the whole";
  throw new DrError("NOT_SUPPORTED", `${key} cannot be written: ${field} could not be read back (${issue?.message})`, {
    hint: "nothing of it was stored; please report this with the message",
  });
}

/** What is there already stays. */
export async function createRecord<T>(
  store: ObjectStore,
  key: string,
  schema: z.ZodType<T>,
  value: T,
): Promise<"created" | "exists"> {
  const bytes = serialiseRecord(schema, key, value);
  refuseIfTooLarge(key, bytes);
  return store.create(key, bytes);
}

/** The record that stands there afterwards: ours, or that of whoever was first. */
export async function claimRecord<T>(store: ObjectStore, key: string, schema: z.ZodType<T>, value: T): Promise<T> {
  await createRecord(store, key, schema, value);
  return readRecord(store, key, schema);
}

export async function readRecord<T>(store: ObjectStoreReader, key: string, schema: z.ZodType<T>): Promise<T> {
  return parseRecord(schema, key, await getWhole(store, key));
}

/** All of an object that is no larger than its kind may be; throws OBJECT_CORRUPT otherwise. */
export function getWhole(store: ObjectStoreReader, key: string): Promise<Buffer> {
  return store.get(key, { mostBytes: mostBytesOf(key) });
}

/**
 * Undefined when there is no such record. What stands in its place and was not signed by who is trusted with it is told, and is none:
 * who writes the record is not in its way.
 */
export async function readOptionalRecord<T>(
  store: ObjectStoreReader,
  key: string,
  schema: z.ZodType<T>,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<T | undefined> {
  try {
    return await unlessMissing(readRecord(store, key, schema));
  } catch (error) {
    if (!hasCode(error, "NOT_AUTHENTIC")) throw error;
    reportUnreadable(key);
    return undefined;
  }
}

/** What is read; undefined when there is no such object. */
export async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** So many objects in a row that nobody signed who is trusted with them are stepped over, in a journal. */
export const mostSteppedOver = 256;

/** What is read, or that it is there and was not signed by who is trusted with it. */
export async function unlessNotBelieved<T>(reading: Promise<T>): Promise<T | "not believed"> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, "NOT_AUTHENTIC")) return "not believed";
    throw error;
  }
}

/** What is read; undefined when it is there and holds something else, is not believed, or does not open here, which is told. */
export async function unlessUnreadable<T>(
  key: string,
  reading: Promise<T>,
  reportUnreadable: ReportUnreadable,
): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "KEY_UNAVAILABLE")) throw error;
    reportUnreadable(key);
    return undefined;
  }
}

/** Those of these records that can be read, in the order of their keys; the others are told. One that went meanwhile is none. */
export async function readRecords<T>(
  store: ObjectStoreReader,
  keys: readonly string[],
  schema: z.ZodType<T>,
  reportUnreadable: ReportUnreadable,
): Promise<{ readonly key: string; readonly record: T }[]> {
  const read: (T | undefined)[] = [];
  await forEachConcurrently(readsAtOnce, keys.entries(), async ([place, key]) => {
    read[place] = await unlessUnreadable(
      key,
      readOptionalRecord(store, key, schema, reportUnreadable),
      reportUnreadable,
    );
  });
  return keys.flatMap((key, place) => {
    const record = read[place];
    return record === undefined ? [] : [{ key, record }];
  });
}

/** Those of these keys under which something is that is believed: the name of an object alone says nothing. */
export async function believedAmong(store: ObjectStoreReader, keys: readonly string[]): Promise<string[]> {
  const believed = new Set<string>();
  await forEachConcurrently(readsAtOnce, keys.values(), async (key) => {
    if (await isBelieved(store, key)) believed.add(key);
  });
  return keys.filter((key) => believed.has(key));
}

/** The first of these keys under which something is that is believed; undefined when it is none of the first few. */
export async function firstBelieved(store: ObjectStoreReader, keys: readonly string[]): Promise<string | undefined> {
  for (const [looked, key] of keys.entries()) {
    if (looked === mostDisbelieved) break;
    if (await isBelieved(store, key)) return key;
  }
  return undefined;
}

async function isBelieved(store: ObjectStoreReader, key: string): Promise<boolean> {
  try {
    return (await unlessMissing(getWhole(store, key))) !== undefined;
  } catch (error) {
    if (hasCode(error, "NOT_AUTHENTIC")) return false;
    if (hasCode(error, "OBJECT_CORRUPT")) return true;
    throw error;
  }
}

/** @param most throws STORE_REFUSED when there are more. */
export async function keysUnder(store: ObjectStoreReader, prefix: string, most = mostObjects): Promise<string[]> {
  return (await objectsUnder(store, prefix, most)).map(({ key }) => key);
}

export async function objectsUnder(
  store: ObjectStoreReader,
  prefix: string,
  most = mostObjects,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for await (const object of store.list(prefix)) {
    if (objects.length === most) {
      throw new DrError("STORE_REFUSED", `there are more than ${most} objects below ${prefix}`, {
        hint: "this tool does not make so many: see in the store's access log who does",
      });
    }
    objects.push(object);
  }
  return objects;
}

const readsAtOnce = 16;
/** So many objects that nobody signed are looked behind, for one that is believed. */
const mostDisbelieved = 64;
/** More are not held in memory; whoever may meet more goes through the listing itself. */
const mostObjects = 1_000_000;
