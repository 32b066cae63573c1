/**
 * Where a signed object goes when something stands under its name that nobody signed: names behind it, which follow from the id of the
 * pair. Who has a bucket's credentials alone does not know that, and cannot stand there before.
 */
import { createHmac } from "node:crypto";
import { identityOf, type StorePlace } from "./places.ts";

/** Who knows the id, too, can be in the way so often; then a person is needed. */
export const mostNamesBehind = 16;

const behind = /^(.+)~[1-9]\d?~[0-9a-f]{32}$/s;

/** @param turn from 1; a name is used when something stands under all before it. */
export function nameBehind(place: StorePlace, key: string, turn: number): string {
  const text = JSON.stringify([identityOf(place, key), key, turn]);
  const mac = createHmac("sha256", place.trustId).update(`qdrant-dr name behind ${text}`).digest("hex").slice(0, 32);
  return `${key}~${turn}~${mac}`;
}

/** The key of the object that stands under such a name; undefined for every other name. */
export function keyBefore(name: string): string | undefined {
  return behind.exec(name)?.[1];
}
