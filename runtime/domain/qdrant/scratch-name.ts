/**
 * Names of the collections that a test restore makes beside live ones and removes again. They are nobody's data: no capture, no listing and
 * no status holds them.
 */
import { newId, timeOfId } from "../identifier.ts";

const prefix = "qdrant-dr-test-";

export function newScratchName(now: Date): string {
  return `${prefix}${newId(now)}`;
}

export function isScratchName(collection: string): boolean {
  return collection.startsWith(prefix) && timeOfId(collection.slice(prefix.length)) !== undefined;
}
