/**
 * Names of the collections that a test restore makes beside live ones and removes again. They are nobody's data: no capture, no listing and
 * no status holds them.
 */
import { newId, timeOfId } from "../identifier.ts";

const prefix = "qdrant-dr-test-";

export function newScratchName(now: Date): string {
  return `${prefix}${newId(now)}`;
}

/** The one that is made to see a server's defaults: always the same, so that what a killed run left is removed by the next. */
export const defaultsScratchName = `${prefix}19700101T000000000Z-defa0175`;

export function isScratchName(collection: string): boolean {
  return collection.startsWith(prefix) && timeOfId(collection.slice(prefix.length)) !== undefined;
}
