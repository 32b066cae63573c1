/**
 * Which objects of a repository store stand in for damaged ones. What is there can be locked, and is never replaced: the good bytes are
 * stored beside it, and a record says where. The record is in the control store, where only who heals may write: whoever can
 * write to the bucket alone makes nobody read another object.
 */
import { z } from "zod";
import { newId } from "../../domain/identifier.ts";
import { controlLayout, parseStoreKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, ignoreUnreadable, keysUnder, readRecords } from "../record.ts";

export const healedInRecord = 500;

const healRecordSchema = z.object({
  at: z.iso.datetime(),
  region: z.string(),
  objects: z
    .array(
      z.object({
        key: z.string(),
        /** The key itself when its object was missing. */
        place: z.string(),
        size: z.number().int().nonnegative(),
      }),
    )
    .max(healedInRecord),
});
export type HealedObject = z.infer<typeof healRecordSchema>["objects"][number];

export interface HealedPlace {
  readonly place: string;
  readonly size: number;
  readonly at: Date;
}

export async function recordHealed(
  control: ObjectStore,
  healed: { readonly at: Date; readonly region: string; readonly objects: readonly HealedObject[] },
): Promise<void> {
  const { at, objects, region } = healed;
  const record = { at: at.toISOString(), region, objects: [...objects] };
  await createRecord(control, controlLayout.heal(newId(at)), healRecordSchema, record);
}

/**
 * By the keys that they stand in for: of several the one with the highest number, for no clock says which was stored last. A record that
 * cannot be read stands in for nothing.
 */
export async function readHealed(control: ObjectStoreReader): Promise<ReadonlyMap<string, HealedPlace>> {
  const keys = (await keysUnder(control, controlLayout.heals)).sort();
  const healed = new Map<string, HealedPlace>();
  for (const { record } of await readRecords(control, keys, healRecordSchema, ignoreUnreadable)) {
    for (const { key, place, size } of record.objects) {
      const known = healed.get(key);
      if (known !== undefined && copyAt(known.place) > copyAt(place)) continue;
      healed.set(key, { place, size, at: new Date(record.at) });
    }
  }
  return healed;
}

/** 0 where the object itself is. */
export function copyAt(place: string): number {
  const parsed = parseStoreKey(place);
  return parsed?.kind === "healed" ? parsed.copy : 0;
}
