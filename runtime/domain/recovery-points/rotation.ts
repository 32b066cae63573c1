/**
 * How `verify` comes round to every byte of a repository. Objects are spread evenly over 256 slots by the first byte of their names; a
 * round goes through the slots one after another, at a pace that follows the clock, however often it is run. So what was read needs no
 * list, packs may come and go, and each is read once however many recovery points name it.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { parseStoreKey } from "./store-layout.ts";

const dayMs = 24 * 3_600_000;
export const slotsInRound = 256;
/** Every byte is to be read within so long. */
export const readWithinMs = 30 * dayMs;
/** Leaves a week for runs that did not happen, or happen once a week. */
const roundMs = 22 * dayMs;
const stepMs = roundMs / slotsInRound;
/** The most damaged objects that are kept by name. */
const mostDamagedKept = 1_000;

const count = z.number().int().nonnegative();
const time = z.iso.datetime();

const damageSchema = z.object({
  key: z.string(),
  because: z.string(),
  /** The slot in which it was found: when that is read again, it is found again or was healed. */
  slot: count.max(slotsInRound - 1),
});
export type FoundDamage = z.infer<typeof damageSchema>;

/** The last reading of a slot: when (seconds since 1970), how many objects and bytes. */
const slotReadingSchema = z.tuple([z.number(), count, count]);

/** How far the bytes of a repository were read; each record is the whole. */
export const rotationSchema = z.object({
  /** Of `repository.json`: what was read of a bucket that was lost and filled again counts for nothing. */
  repository: z.string(),
  at: time,
  begunAt: time,
  /** The round is as far as it should be at this time. */
  pacedUntil: time,
  slots: z.array(slotReadingSchema.nullable()).length(slotsInRound),
  damaged: z.array(damageSchema).max(mostDamagedKept),
});
export type Rotation = z.infer<typeof rotationSchema>;

export interface SlotReading {
  readonly slot: number;
  /** In whole seconds since 1970. */
  readonly readAt: number;
  readonly objects: number;
  readonly bytes: number;
  readonly damaged: readonly Omit<FoundDamage, "slot">[];
}

export function newRotation(repository: string, now: Date): Rotation {
  const at = now.toISOString();
  // The first run does what a run each day does.
  const pacedUntil = new Date(now.getTime() - dayMs).toISOString();
  return {
    repository,
    at,
    begunAt: at,
    pacedUntil,
    slots: Array.from({ length: slotsInRound }, () => null),
    damaged: [],
  };
}

/** The slots that are to be read now, those first that were not read for longest. */
export function dueSlots({ pacedUntil, slots }: Rotation, now: Date): number[] {
  const due = Math.floor((now.getTime() - Date.parse(pacedUntil)) / stepMs);
  const readAt = (slot: number) => slots[slot]?.[0] ?? Number.NEGATIVE_INFINITY;
  const order = slots.map((_, slot) => slot).sort((a, b) => readAt(a) - readAt(b) || a - b);
  return order.slice(0, Math.max(0, due));
}

export function withReading(
  rotation: Rotation,
  { bytes, damaged, objects, readAt, slot }: SlotReading,
  now: Date,
): Rotation {
  const paced = Date.parse(rotation.pacedUntil) + stepMs;
  // What lies more than a round back is done with in one.
  const pacedUntil = new Date(Math.min(now.getTime(), Math.max(paced, now.getTime() - roundMs)));
  const found = damaged.map((damage) => ({ ...damage, slot }));
  return {
    ...rotation,
    at: now.toISOString(),
    pacedUntil: pacedUntil.toISOString(),
    slots: rotation.slots.with(slot, [readAt, objects, bytes]),
    damaged: [...rotation.damaged.filter((known) => known.slot !== slot), ...found].slice(0, mostDamagedKept),
  };
}

/** Damage that was found otherwise than by reading its slot: it counts until that is read, or it was healed. */
export function withDamage(rotation: Rotation, found: readonly Omit<FoundDamage, "slot">[], now: Date): Rotation {
  const added = found.map((damage) => ({ ...damage, slot: slotOf(damage.key) }));
  return {
    ...rotation,
    at: now.toISOString(),
    damaged: [...rotation.damaged, ...added].slice(0, mostDamagedKept),
  };
}

/** Of two that went on from one record: what either has read. */
export function joinedRotations(a: Rotation, b: Rotation): Rotation {
  const [older, newer] = Date.parse(a.at) <= Date.parse(b.at) ? [a, b] : [b, a];
  const isOfOlder = (slot: number) => (older.slots[slot]?.[0] ?? 0) > (newer.slots[slot]?.[0] ?? 0);
  return {
    ...newer,
    begunAt: [older.begunAt, newer.begunAt].toSorted()[0] ?? newer.begunAt,
    pacedUntil: [older.pacedUntil, newer.pacedUntil].toSorted()[1] ?? newer.pacedUntil,
    slots: newer.slots.map((reading, slot) => (isOfOlder(slot) ? (older.slots[slot] ?? null) : reading)),
    damaged: [
      ...newer.damaged.filter(({ slot }) => !isOfOlder(slot)),
      ...older.damaged.filter(({ slot }) => isOfOlder(slot)),
    ].slice(0, mostDamagedKept),
  };
}

export interface Coverage {
  /** The share of all bytes that were read within the last 30 days. A slot that was never read counts as one of middle size. */
  readonly share: number;
  /** All that was stored before this was read since; or, until the first round is through, when it began. */
  readonly readSince: Date;
  readonly damaged: number;
}

export function coverageOf({ begunAt, damaged, slots }: Rotation, now: Date): Coverage {
  const known = slots.filter((reading) => reading !== null);
  const bytesOf = (readings: typeof known) => readings.reduce((sum, [, , bytes]) => sum + bytes, 0);
  const isFresh = ([seconds]: (typeof known)[number]) => now.getTime() - seconds * 1000 <= readWithinMs;
  const fresh = known.filter(isFresh);
  const unknown = slots.length - known.length;
  const all = known.length === 0 ? 0 : bytesOf(known) + (unknown * bytesOf(known)) / known.length;
  // Where there are no bytes, the slots that were looked at tell.
  const share = all === 0 ? fresh.length / slots.length : bytesOf(fresh) / all;
  const oldest = known.reduce((least, [seconds]) => Math.min(least, seconds * 1000), Number.POSITIVE_INFINITY);
  const readSince = new Date(unknown > 0 ? Math.min(oldest, Date.parse(begunAt)) : oldest);
  return { share, readSince, damaged: damaged.length };
}

/** Content is named by hashes; whatever else has a name is spread by a hash of it. */
export function slotOf(key: string): number {
  const parsed = parseStoreKey(key);
  const id =
    parsed?.kind === "manifest" ? parsed.recoveryPointId : parsed !== undefined && "id" in parsed ? parsed.id : key;
  const hash = /^[0-9a-f]{64}$/.test(id) ? id : createHash("sha256").update(id).digest("hex");
  return Number.parseInt(hash.slice(0, 2), 16);
}

/** The two hex digits of a slot, as keys of content have them. */
export function digitsOf(slot: number): string {
  return slot.toString(16).padStart(2, "0");
}
