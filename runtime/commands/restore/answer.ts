import { z } from "zod";
import { bytes, count, kind, listOf, missingPart, recoveryPointId, seconds, time } from "../shared/fields.ts";

const alias = z.strictObject({ alias: z.string(), collection: z.string() });
const swap = z.strictObject({
  alias: z.string(),
  from: z.string().optional().describe("the collection that it led to before; absent when it did not exist"),
  to: z.string(),
});

const plannedQdrant = z.strictObject({
  target: z.string().describe("the stack, or the URLs of the other Qdrant"),
  collections: listOf(
    z.strictObject({
      name: z.string().describe("its name in the target"),
      captured: z.string().describe("its name in the recovery point"),
      shards: count,
      points: count.describe("number of Qdrant points"),
      bytes,
      isExact: z.boolean(),
    }),
  ),
  discard: listOf(z.string()).describe("collections that an earlier restore left half-made: removed first"),
  aliases: listOf(alias).describe("aliases that are set last"),
  swap: swap.optional().describe("with --swap-alias: the alias that is moved"),
  defaults: listOf(
    z.strictObject({
      collection: z.string(),
      difference: z.string().describe("both values of a setting"),
      isRefused: z
        .boolean()
        .describe("it changes what the data are or what clients may ask: the restore would be refused"),
    }),
  )
    .optional()
    .describe("with --dry-run: settings that the target's own defaults would make otherwise than captured"),
  bytes: bytes.describe("what is read at most"),
  predictedSeconds: seconds,
  rates: z
    .strictObject({ bytesPerSecond: z.number(), secondsPerCollection: z.number(), secondsPerShard: z.number() })
    .describe("what the prediction is made from"),
  calibratedBy: count.describe(
    "of how many of the region's own restores, test restores too, these rates are; 0: of another machine",
  ),
});

const skipped = listOf(z.string()).describe("which canary queries were not asked, and why");

const restoredQdrant = z.strictObject({
  collections: count.describe("number of collections"),
  points: count.describe("number of Qdrant points"),
  samples: count.describe("points that were compared with the source's own answers"),
  canaries: count.describe("queries that were compared with the source's own answers"),
  skipped,
  swapped: swap.optional().describe("the alias that was moved"),
  seconds,
});

const folder = { kind, name: z.string(), path: z.string().describe("where it is restored to"), files: count, bytes };

const plannedFolder = z.strictObject({
  ...folder,
  isExact: z.boolean(),
  keepAs: z.string().optional().describe("where what stands there now will be kept"),
});

const restoredFolder = z.strictObject({
  ...folder,
  keptAs: z.string().optional().describe("where what stood there is kept"),
  notOwned: listOf(z.string()).describe("paths whose owner could not be set: that needs root"),
  inconsistent: listOf(z.string()).describe("files that changed while they were captured"),
  plainModes: listOf(z.string()).describe("paths that came without their set-user-id, set-group-id and sticky bits"),
});

const stacks = listOf(z.string()).describe("Pulumi stacks whose state is not imported");

const plannedInfrastructure = z.strictObject({
  cluster: z.string().optional().describe("absent when there are no objects to apply"),
  objects: listOf(
    z.strictObject({
      title: z.string(),
      change: z.enum(["created", "changed", "unchanged"]),
      fields: listOf(
        z.strictObject({
          field: z.string(),
          before: z.unknown().optional().describe("absent: there was none"),
          after: z.unknown().optional().describe("absent: there is none"),
        }),
      ),
      conflicts: listOf(z.strictObject({ field: z.string(), owner: z.string() })).describe(
        "fields that somebody else set to other values",
      ),
      refusal: z.string().optional().describe("why the cluster would not take it"),
    }),
  ).optional(),
  stacks,
});

const restoredInfrastructure = z.strictObject({
  cluster: z.string().optional().describe("absent when there were no objects to apply"),
  created: count.optional(),
  changed: count.optional(),
  unchanged: count.optional(),
  seconds: seconds.optional(),
  stacks,
});

const source = {
  recoveryPoint: recoveryPointId,
  time: time.describe("every write acknowledged before this is in it"),
  missing: listOf(missingPart).describe(
    "what the recovery point lacks of what is asked for, or the target cannot hold; the exit code is 15 then",
  ),
};

/** The fields of a kind of data are there when it is restored. */
const planned = z.strictObject({
  ...source,
  ...plannedQdrant.partial().shape,
  folders: listOf(plannedFolder).optional(),
  infrastructure: plannedInfrastructure.optional(),
});
const restored = z.strictObject({
  ...source,
  ...restoredQdrant.partial().shape,
  folders: listOf(restoredFolder).optional(),
  infrastructure: restoredInfrastructure.optional(),
  plan: planned.describe("what was planned before anything was touched"),
});

const tested = z.strictObject({
  ...source,
  test: z
    .strictObject({
      target: z.string().describe("the region, or the URL of the other Qdrant"),
      collections: listOf(
        z.strictObject({
          name: z.string().describe("its name in the recovery point"),
          points: count.describe("number of Qdrant points"),
          samples: count.describe("points that were compared with the source's own answers"),
          canaries: count.describe("queries that were compared with the source's own answers"),
          skipped,
          searches: count.describe("searches by the index that found points"),
          recall: z
            .number()
            .optional()
            .describe(
              "0 to 1: the share of the nearest points that searches by the index find; which those are was recorded at the source, and exact searches say it of points by chance. Absent where there is nothing to be searched for, and where exact searches are forbidden",
            ),
          seconds,
        }),
      ),
      removed: listOf(z.string()).describe("what earlier test restores had left, and this one removed"),
      seconds,
    })
    .describe("each collection was restored, compared, asked and removed again"),
});

export const restoreAnswer = z.union([restored, planned.describe("with --dry-run"), tested.describe("with --test")]);
export type RestoreAnswer = z.infer<typeof restoreAnswer>;

/** The parts of an answer: what one kind of data adds to it. */
export type PlannedPart = Omit<z.infer<typeof planned>, keyof typeof source>;
export type RestoredPart = Omit<z.infer<typeof restored>, keyof typeof source | "plan">;
