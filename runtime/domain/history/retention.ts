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

/** The seed's retention for the region's own recovery points, and for those that are kept elsewhere. */
const localDays = 30;
const remoteDays = 365;

const usualHours = 48;

const retentionShape = {
  fourHourlyDays: tierDaysShape.fourHourlyDays.default(30),
  quarterHourlyDays: tierDaysShape.quarterHourlyDays.default(1),
  atLeast: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(3)
    .describe("so many of the newest restorable recovery points of each kind are kept, however old they are"),
  recordDays: days
    .default(730)
    .describe("days for which records of runs, restores and schedules are kept; the newest of each kind always is"),
  folders: overridesSchema.default({}).describe("other days for recovery points of configuration and user data"),
  infrastructure: overridesSchema.default({}).describe("other days for recovery points of infrastructure"),
};

const newestWithinHours = z
  .number()
  .positive()
  .max(8_760)
  .describe("nothing is dropped while the newest restorable recovery point is older: a dead schedule thins no history");

/** As people write it: what is left out depends on where the recovery points are, and how often they are made. */
export const retentionSettingsSchema = z.strictObject({
  days: tierDaysShape.days
    .optional()
    .describe(
      `${tierDaysShape.days.description}; ${localDays} when left out for a folder or the region that is active first, ${remoteDays} for a bucket or the standby`,
    ),
  newestWithinHours: newestWithinHours
    .optional()
    .describe(
      `${newestWithinHours.description}; ${usualHours} when left out, or twice the longest time between two captures`,
    ),
  ...retentionShape,
});
export type RetentionSettings = z.infer<typeof retentionSettingsSchema>;

/** Where nobody says whether a store is the region's own or the other's, the longer time counts. */
export const retentionSchema = z.strictObject({
  days: tierDaysShape.days.default(remoteDays),
  newestWithinHours: newestWithinHours.default(usualHours),
  ...retentionShape,
});
export type Retention = z.infer<typeof retentionSchema>;
export const usualRetention: Retention = retentionSchema.parse({});

/** @param gapMinutes the longest time between two captures; undefined where no schedule says. */
export function retentionOf(
  settings: RetentionSettings | undefined,
  { gapMinutes, isLocal }: { readonly isLocal: boolean; readonly gapMinutes?: number | undefined },
): Retention {
  const {
    days = isLocal ? localDays : remoteDays,
    newestWithinHours: hours,
    ...rest
  } = settings ?? retentionSettingsSchema.parse({});
  return { ...rest, days, newestWithinHours: hours ?? Math.max(usualHours, ((gapMinutes ?? 0) * 2) / 60) };
}

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
