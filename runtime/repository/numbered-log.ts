/**
 * Records that are numbered from 1 without a gap. Each is created once, and asked for by its number: a listing may come back
 * short, an object that is asked for by its name is there or is not. What stands under a number and was not signed by who is trusted
 * with it is no record: readers step over it, writers take the next number, and many in a row are in nobody's way (`SignedStore`).
 */
import type { z } from "zod";
import { hasCode } from "../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports/object-store.ts";
import {
  createRecord,
  ignoreUnreadable,
  readOptionalRecord,
  readRecord,
  unlessMissing,
  unlessUnreadable,
} from "./record.ts";

/** So many objects in a row that are not believed are stepped over. */
const mostSteppedOver = 8;

export interface LogEntry<T> {
  readonly number: number;
  /** Undefined when the record is there and cannot be read. */
  readonly record: T | undefined;
}

export class NumberedLog<T> {
  readonly #store: ObjectStoreReader;
  readonly #keyOf: (number: number) => string;
  readonly #schema: z.ZodType<T>;

  constructor(store: ObjectStoreReader, keyOf: (number: number) => string, schema: z.ZodType<T>) {
    this.#store = store;
    this.#keyOf = keyOf;
    this.#schema = schema;
  }

  /** Undefined when there is no record of this number. */
  async entry(number: number): Promise<LogEntry<T> | undefined> {
    const found = await this.#look(number);
    return found === "not believed" ? undefined : found;
  }

  async #look(number: number): Promise<LogEntry<T> | "not believed" | undefined> {
    const key = this.#keyOf(number);
    try {
      const record = await unlessMissing(readRecord(this.#store, key, this.#schema));
      return record === undefined ? undefined : { number, record };
    } catch (error) {
      if (hasCode(error, "NOT_AUTHENTIC")) return "not believed";
      await unlessUnreadable(key, Promise.reject(error), ignoreUnreadable);
      return { number, record: undefined };
    }
  }

  /** The record of this number or, where something stands that is not believed, the next one behind that. */
  async from(number: number): Promise<LogEntry<T> | undefined> {
    for (let at = number; at <= number + mostSteppedOver; at += 1) {
      const found = await this.#look(at);
      if (found !== "not believed") return found;
    }
    return undefined;
  }

  /** The record before this number or, where something stands that is not believed, the one before that. */
  async before(number: number): Promise<LogEntry<T> | undefined> {
    for (let at = number - 1; at >= 1 && at >= number - 1 - mostSteppedOver; at -= 1) {
      const found = await this.#look(at);
      if (found !== "not believed") return found;
    }
    return undefined;
  }

  /**
   * The first number from this one on under which nothing stands that is not believed; after some of those the number itself, behind
   * what stands there. Who signed them may be somebody whom this region was not told of: he then meets us at the next number.
   */
  async free(number: number): Promise<number> {
    for (let at = number; at <= number + mostSteppedOver; at += 1) {
      if ((await this.#look(at)) !== "not believed") return at;
    }
    return number;
  }

  /** Undefined when there is no record of this number. Throws OBJECT_CORRUPT when it cannot be read. */
  read(number: number): Promise<T | undefined> {
    return readOptionalRecord(this.#store, this.#keyOf(number), this.#schema);
  }

  /** A record that is there already stays. */
  create(store: ObjectStore, number: number, record: T): Promise<"created" | "exists"> {
    return createRecord(store, this.#keyOf(number), this.#schema, record);
  }

  /**
   * Finds the newest entry by doubling and halving: some dozen requests in a log of a million records, one when nothing follows
   * `after`.
   * @param after an entry that is known; undefined is the answer when there is none.
   */
  async newest(after?: LogEntry<T>): Promise<LogEntry<T> | undefined> {
    let newest = after;
    let beyond: number;
    for (let step = 1; ; step *= 2) {
      const next = await this.from(numberOf(newest) + step);
      beyond = numberOf(newest) + step;
      if (next === undefined) break;
      newest = next;
    }
    while (beyond - numberOf(newest) > 1) {
      const middle = Math.floor((numberOf(newest) + beyond) / 2);
      const found = await this.from(middle);
      if (found === undefined) beyond = middle;
      else newest = found;
    }
    return newest;
  }
}

/** Entries are numbered from 1. */
function numberOf(entry: LogEntry<unknown> | undefined): number {
  return entry === undefined ? 0 : entry.number;
}
