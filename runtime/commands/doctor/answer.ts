import { z } from "zod";
import { storeChecks } from "../../workflows/probe-store.ts";
import { bytes, count, listOf, recoveryPointId, seconds, time } from "../shared/fields.ts";

const hazard = z.strictObject({
  severity: z
    .enum(["danger", "warning", "note"])
    .describe(
      "danger: data or recovery points can be lost; warning: something is slow, or refused; note: good to know",
    ),
  what: z.string().describe("what was found"),
  mend: z.string().optional().describe("what to do about it"),
});

const qdrant = z.strictObject({
  urls: listOf(z.string()).describe("where it was asked"),
  version: z.string().describe("the newest of its peers"),
  rights: z.enum(["everything", "reads", "some"]).describe("what the key may do"),
  collections: count.describe("how many it has"),
  points: count.describe("in all collections"),
  loss: z
    .strictObject({
      newest: z
        .strictObject({
          id: recoveryPointId,
          time: time.describe("every write acknowledged before this is in it"),
          ageSeconds: seconds.describe("seconds since then: writes of that time would be lost"),
        })
        .optional()
        .describe("the newest recovery point that can be restored; absent: everything would be lost"),
      collections: listOf(z.string()).describe("collections that no recovery point holds that can be restored"),
      points: count.describe("points in those"),
    })
    .describe("what would be lost if it were gone now"),
  restore: z
    .strictObject({
      bytes: bytes.describe("bytes that a restore would read"),
      seconds: seconds.describe("predicted seconds of a restore into a Qdrant that stands ready"),
      calibratedBy: count.describe(
        "how many of the region's own restores, test restores too, it is predicted from; 0: rates of another machine",
      ),
      isGuessed: z.boolean().describe("true: from counts and sizes of vectors, because there is no recovery point"),
    })
    .describe("how long a disaster would take"),
  hazards: listOf(hazard).describe("what endangers it, the worst first"),
  next: z
    .strictObject({
      command: z.string().describe("the smallest next step"),
      because: z.string().describe("why"),
    })
    .describe("what to do now"),
});

const store = z.strictObject({
  passed: listOf(z.enum(Object.keys(storeChecks) as [keyof typeof storeChecks]))
    .optional()
    .describe("what was tried out and holds; absent where nothing was tried out"),
  objects: count.describe("how many objects are there"),
  bytes: bytes.describe("bytes in them"),
  foreign: z
    .strictObject({
      names: listOf(z.string()).describe("the first of them"),
      count: count.describe("how many there are"),
    })
    .describe("names that this tool did not make, and ignores"),
  protection: z
    .strictObject({
      keepsVersions: z
        .boolean()
        .optional()
        .describe("whether it keeps what is replaced or deleted; absent: it does not say"),
      lockedDays: z
        .number()
        .optional()
        .describe("days for which nobody can delete a new object; 0: no lock; absent: it does not say"),
      problem: z.string().optional().describe("why something is not known"),
    })
    .describe("what it says of versions and locks"),
  writer: z
    .strictObject({
      replaces: z.boolean().describe("put other bytes in its place"),
      deletes: z.boolean().describe("delete it; where versions are kept, this hides it"),
      destroys: z.boolean().describe("take away its bytes for good"),
      bypassesLock: z.boolean().describe("the lock is in governance mode, and these credentials go past it"),
    })
    .optional()
    .describe("what its credentials can do to an object that is there; absent where nothing was tried out"),
});

const part = z.strictObject({
  id: z.string().describe("name of the part"),
  purpose: z.string().describe("what it is for"),
  required: z.string().describe("the versions that fit"),
  state: z.enum(["ready", "missing", "unfit"]).describe("whether it can be used"),
  version: z.string().optional().describe("the version that was found"),
  source: z.enum(["path", "official download", "registry"]).optional().describe("where it came from"),
  location: z.string().optional().describe("where it is"),
  mend: z.string().optional().describe("how to get the part"),
});

export const doctorAnswer = z.strictObject({
  qdrant: qdrant.optional().describe("what was found of Qdrant"),
  store: store.optional().describe("what was found of the store"),
  parts: listOf(part).optional().describe("with --parts: each part that the quickstart needs"),
});
