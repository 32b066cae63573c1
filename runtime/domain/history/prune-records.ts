/** What a prune records, in the control store: a plan that anybody can read, and how far it was executed. Everything is create-only. */
import { z } from "zod";
import type { ContentKind } from "../recovery-points/store-layout.ts";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();

/** What is listed in the repository. */
const countsSchema = z.object({ recoveryPoints: count, trees: count, facts: count, packs: count });
export type RepositoryCounts = z.infer<typeof countsSchema>;

/** Where objects that are named by their content are counted. */
export const countedAs = { tree: "trees", facts: "facts", pack: "packs" } as const satisfies Record<
  ContentKind,
  keyof RepositoryCounts
>;

/** Drops of one part of a plan, so that neither writing nor reading it takes much memory. */
export const droppedInPart = 10_000;

/** Written last: what it names before there is a plan of this number is none. */
export const prunePlanSchema = z.object({
  format: z.literal(1),
  /** The run that made it; its parts carry the run's name. */
  run: z.string(),
  at: time,
  /** Of `repository.json`: a plan is of one repository. */
  repository: z.string(),
  /** What was listed when it was made. A later listing that shows less deletes nothing. */
  counted: countsSchema,
  /** Ids of the recovery points that stay; all of them must be listed again. */
  kept: z.array(z.string()),
  /** What was counted so that nothing needed is dropped: trees of the kept recovery points, and objects that they need. */
  references: z.object({ trees: count, objects: count }),
  /** `records`: of sessions that ended, and attestations without a recovery point. */
  dropped: countsSchema.extend({ records: count, bytes: count }),
  parts: z.object({ recoveryPoints: count, objects: count }),
});
export type PrunePlan = z.infer<typeof prunePlanSchema>;

/** How many objects beside the manifests it drops. */
export function droppedObjects({ dropped: { facts, packs, records, trees } }: PrunePlan): number {
  return facts + packs + records + trees;
}

export const droppedRecoveryPointsSchema = z.object({
  recoveryPoints: z
    .array(
      z.object({
        id: z.string(),
        reason: z.string(),
        /** An operator gave it up: it cannot be read, or restored. */
        isGivenUp: z.literal(true).optional(),
      }),
    )
    .max(droppedInPart),
});
export type DroppedRecoveryPoint = z.infer<typeof droppedRecoveryPointsSchema>["recoveryPoints"][number];

/** Why an object is dropped. */
export const objectReasons = {
  unneeded: "no recovery point that is kept needs it",
  session: "its capture ended, or gave no sign of life for days",
  attestation: "its recovery point is gone",
} as const;
export type ObjectReason = keyof typeof objectReasons;

export const droppedObjectsSchema = z.object({
  objects: z
    .array(z.object({ key: z.string(), size: count, reason: z.enum(["unneeded", "session", "attestation"]) }))
    .max(droppedInPart),
});
export type DroppedObject = z.infer<typeof droppedObjectsSchema>["objects"][number];

/** From here on objects of the plan may be gone. */
export const pruneBegunSchema = z.object({ run: z.string(), at: time });

/** One part of the plan was gone through. */
export const partDoneSchema = z.object({
  run: z.string(),
  at: time,
  deleted: count,
  bytes: count,
  /** Needed again, held, or gone already. */
  spared: count,
  /** Kept by the store: locked, until when it says. */
  locked: count,
});
export type PartDone = z.infer<typeof partDoneSchema>;

export const pruneDoneSchema = z.object({
  run: z.string(),
  at: time,
  /** What is listed afterwards, at least: a later listing that shows less deletes nothing. */
  counted: countsSchema,
  deleted: z.object({ recoveryPoints: count, objects: count, bytes: count }),
  spared: count,
  locked: count,
});
export type PruneDone = z.infer<typeof pruneDoneSchema>;

export const pruneTurnSchema = z.object({
  run: z.string(),
  at: time,
  /** The mark of the process that the run is of. */
  runner: z.string().optional(),
  /** The turn is given back: the next run need not wait. */
  hasEnded: z.literal(true).optional(),
});
export type PruneTurn = z.infer<typeof pruneTurnSchema>;
