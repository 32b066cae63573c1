/** How long a region keeps its recovery points: the settings, and the tiers that follow from them. */
import { z } from "zod";
import { matcherOf } from "../settings/name-patterns.ts";

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
  collections: z
    .record(z.string().min(1), overridesSchema)
    .default({})
    .describe(
      "other days for collections, by name or pattern (`audit-*`): a recovery point is kept as long as any collection that it holds wants it; what is said last counts",
    ),
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
  /** "day", as in "the first of its day". */
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
function tiersOf(retention: Retention, kind: RetainedKind): Tier[] {
  return tiersWith(retention, kind === "qdrant" ? {} : retention[kind]);
}

function tiersWith(retention: Retention, overrides: z.infer<typeof overridesSchema>): Tier[] {
  const reach = (field: "days" | "fourHourlyDays" | "quarterHourlyDays") =>
    (overrides[field] ?? retention[field]) * dayMs;
  return [
    { slot: "15 minutes", slotMs: 15 * minuteMs, reachMs: reach("quarterHourlyDays") },
    { slot: "4 hours", slotMs: 240 * minuteMs, reachMs: reach("fourHourlyDays") },
    { slot: "day", slotMs: dayMs, reachMs: reach("days") },
  ];
}

/** Parts of what a recovery point holds of a kind that are kept equally long. */
export interface TierGroup {
  /** From the finest to the coarsest. */
  readonly tiers: readonly Tier[];
  /** What of a holding it is about; nothing: then the recovery point is none of the group's. */
  partsOf(holding: Holding): Holding;
}

/** What a recovery point holds of one kind: the kinds of data, collections and folders, each by a name of its own. */
export type Holding = readonly string[];

/** What a collection is called in a holding. */
export function partOfCollection(name: string): string {
  return `${collectionPart}${name}`;
}

const collectionPart = "the collection ";

/** Of what is kept differently each is a group; all that nobody says otherwise of is the first. */
export function tierGroupsOf(retention: Retention, kind: RetainedKind): TierGroup[] {
  const overrides = kind === "qdrant" ? Object.entries(retention.collections) : [];
  const usual = tiersOf(retention, kind);
  if (overrides.length === 0) return [{ tiers: usual, partsOf: (holding) => holding }];
  const matchers = overrides.map(([pattern]) => matcherOf(pattern));
  /** The place of the last override that names the part; -1: none does. */
  const ruleOf = (part: string) => {
    const name = part.startsWith(collectionPart) ? part.slice(collectionPart.length) : undefined;
    return name === undefined ? undefined : matchers.findLastIndex((matches) => matches(name));
  };
  const group = (rule: number, tiers: readonly Tier[]): TierGroup => {
    // Equal holdings stay one object.
    const known = new WeakMap<Holding, Holding>();
    const partsOf = (holding: Holding) => {
      const parts = known.get(holding) ?? holding.filter((part) => ruleOf(part) === rule);
      known.set(holding, parts);
      return parts;
    };
    // A recovery point of an empty Qdrant is kept as usual.
    const isEmpty = (holding: Holding) => !holding.some((part) => ruleOf(part) !== undefined);
    return { tiers, partsOf: rule < 0 ? (holding) => (isEmpty(holding) ? holding : partsOf(holding)) : partsOf };
  };
  return [group(-1, usual), ...overrides.map(([, days], rule) => group(rule, tiersWith(retention, days)))];
}

/** Every recovery point is kept for so long. */
export function shortestReachOf(retention: Retention): number {
  const tiers = retainedKinds.flatMap((kind) => tierGroupsOf(retention, kind).flatMap((group) => group.tiers[0] ?? []));
  return Math.max(...tiers.map(({ reachMs }) => reachMs));
}

/** None is kept by the schedule for longer. */
export function longestReachOf(retention: Retention): number {
  const tiers = retainedKinds.flatMap((kind) => tierGroupsOf(retention, kind).flatMap((group) => group.tiers));
  return Math.max(...tiers.map(({ reachMs }) => reachMs));
}
