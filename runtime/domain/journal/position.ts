/** A place in a region's journal: everything up to the object of this number. */
import { z } from "zod";

export const journalPositionSchema = z.strictObject({
  /** 0: nothing of the journal. */
  number: z.number().int().nonnegative(),
  /** SHA-256 in hex of what the object holds, which the next one names: nobody can put another before it. */
  digest: z.string(),
});
export type JournalPosition = z.infer<typeof journalPositionSchema>;

export const beginOfJournal: JournalPosition = { number: 0, digest: "" };
