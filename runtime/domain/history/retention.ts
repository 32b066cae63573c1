/** How long a region keeps its recovery points: the settings, and the tiers that follow from them. */
import { z } from "zod";

/** Kinds of data that may be kept differently: `folders` are configuration and user data. */
export const retainedKinds = ["qdrant", "folders", "infrastructure"] as const;
export type RetainedKind = (typeof retainedKinds)[number];

const days = z.number().int().min(1).max(36_500);

const tierDaysShape = {
  days: days.describe("days in which one recovery point a day is kept"),
  fourHourlyDays: days.describe("days in which one recovery point every four hours is kept"),
  quarterHourlyDays: days.describe("days in which one recovery point every 15 minutes is kept"),
};

const overridesSchema = z.strictObject({
  days: tierDaysShape.days.optional(),
  fourHourlyDays: tierDaysShape.fourHourlyDays.optional(),
  quarterHourlyDays: tierDaysShape.quarterHourlyDays.optional(),
});

/** The seed's retention for the region's own recovery points, and for those that are kept in the other region. */
export const localDays = 30;
export const remoteDays = 365;

/** @param defaultDays how long one recovery point a day is kept when nothing is said. */
export function retentionSchemaOf(defaultDays: number) {
  return z.strictObject({
    days: tierDaysShape.days.default(defaultDays),
    fourHourlyDays: tierDaysShape.fourHourlyDays.default(30),
    quarterHourlyDays: tierDaysShape.quarterHourlyDays.default(1),
    atLeast: z
      .number()
      .int()
      .min(1)
      .max(1_000)
      .default(3)
      .describe("so many of the newest restorable recovery points of each kind are kept, however old they are"),
    newestWithinHours: z
      .number()
      .positive()
      .max(8_760)
      .default(48)
      .describe(
        "nothing is dropped while the newest restorable recovery point is older: a dead schedule thins no history",
      ),
    folders: overridesSchema.default({}).describe("other days for recovery points of configuration and user data"),
    infrastructure: overridesSchema.default({}).describe("other days for recovery points of infrastructure"),
  });
}

/** Where nobody says whether a store is the region's own or the other's, the longer time counts. */
export const retentionSchema = retentionSchemaOf(remoteDays);
export type Retention = z.infer<typeof retentionSchema>;
export const usualRetention: Retention = retentionSchema.parse({});

/** One recovery point is kept for each slot of a tier, as long as it is not older than the tier reaches. */
export interface Tier {
  /** "day", as in "the newest of its day". */
  readonly slot: string;
  readonly slotMs: number;
  readonly reachMs: number;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/**
 * From the finest to the coarsest. Each slot of a coarse tier is made of whole slots of the finer ones, so that what a coarse tier
 * wants is never dropped by a finer one before.
 */
export function tiersOf(retention: Retention, kind: RetainedKind): Tier[] {
  const overrides = kind === "qdrant" ? {} : retention[kind];
  const reach = (field: "days" | "fourHourlyDays" | "quarterHourlyDays") =>
    (overrides[field] ?? retention[field]) * dayMs;
  return [
    { slot: "15 minutes", slotMs: 15 * minuteMs, reachMs: reach("quarterHourlyDays") },
    { slot: "4 hours", slotMs: 240 * minuteMs, reachMs: reach("fourHourlyDays") },
    { slot: "day", slotMs: dayMs, reachMs: reach("days") },
  ];
}
