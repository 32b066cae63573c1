/**
 * How far a standby has followed the other region's journal: what was applied, never only read. A kill sets it back by some seconds, which
 * are then applied again.
 */
import { z } from "zod";
import { exactRecord } from "../../domain/exact-schemas.ts";
import { newId, timeOfId } from "../../domain/identifier.ts";
import { journalPositionSchema } from "../../domain/journal/position.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, ignoreUnreadable, keysUnder, type ReportUnreadable, readRecords } from "../record.ts";

const time = z.iso.datetime();

export const followedStateSchema = z.strictObject({
  format: z.literal(1),
  at: time,
  /** Whose journal it is, and the epoch in which it was followed. */
  region: z.string(),
  epoch: z.number().int().nonnegative(),
  /** What it began from. */
  recoveryPoint: z.string(),
  position: journalPositionSchema,
  /** Everything that was acknowledged before this is applied. */
  asOf: time,
  /** Collections of which the journal does not say what they hold, until a capture brings them. */
  unreconciled: z.array(z.strictObject({ collection: z.string(), reason: z.string() })),
  /** Those that the standby has. */
  collections: z.array(z.string()),
  /** Limits of the source that hold here from the moment on when clients write here. */
  strictModes: z.array(z.strictObject({ collection: z.string(), settings: exactRecord })),
});
export type FollowedState = z.infer<typeof followedStateSchema>;

export async function recordFollowed(control: ObjectStore, state: FollowedState): Promise<void> {
  const at = new Date(state.at);
  await createRecord(control, controlLayout.standbyFollowedAt(at, newId(at)), followedStateSchema, state);
}

/** The newest; undefined when the standby never followed a journal, which one request tells. */
export async function readFollowed(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<FollowedState | undefined> {
  const hours: string[] = [];
  for await (const hour of control.folders(controlLayout.standbyFollowed)) hours.push(hour);
  for (const hour of hours.sort().reverse()) {
    const state = await newestBelow(control, controlLayout.standbyFollowedOf(hour), reportUnreadable);
    if (state !== undefined) return state;
  }
  return undefined;
}

async function newestBelow(
  control: ObjectStoreReader,
  prefix: string,
  reportUnreadable: ReportUnreadable,
): Promise<FollowedState | undefined> {
  const found = (await keysUnder(control, prefix)).flatMap((key) => {
    const parsed = parseControlKey(key);
    return parsed?.kind === "followed-position" && timeOfId(parsed.id) !== undefined ? [{ key, id: parsed.id }] : [];
  });
  for (const { key } of found.sort((a, b) => (a.id < b.id ? 1 : -1))) {
    const [state] = await readRecords(control, [key], followedStateSchema, reportUnreadable);
    if (state !== undefined) return state.record;
  }
  return undefined;
}
