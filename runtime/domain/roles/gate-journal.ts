/** How a gate keeps its region's journal. */
import { z } from "zod";
import { recipientsSchema } from "../settings/primitives.ts";

/** `async`: a write is answered before it is in the other region's store; `sync`: after. */
const journalModes = ["async", "sync"] as const;

export const journalSettingsSchema = z.strictObject({
  mode: z
    .enum(journalModes)
    .default("async")
    .describe(
      "`async`: a write is answered before the other region's store holds it; `sync`: after, so that no loss of this region loses it",
    ),
  flushMilliseconds: z
    .number()
    .int()
    .min(10)
    .max(60_000)
    .default(250)
    .describe("how often what was written is sent to the other region's store, in the mode `async`"),
  bufferMegabytes: z
    .number()
    .int()
    .min(1)
    .max(16_384)
    .default(256)
    .describe("how much of it waits in memory while that store does not answer"),
  bufferSeconds: z.number().min(1).default(60).describe("how long it waits, at most"),
  onStoreDown: z
    .enum(["refuse", "serve"])
    .default("refuse")
    .describe(
      "what happens then: `refuse` writes until the store answers again, or `serve` them unprotected, and let captures bring their collections",
    ),
});

/** As the gate's process is told. */
export const gateJournalSchema = journalSettingsSchema.omit({ bufferMegabytes: true }).extend({
  bufferBytes: z.number().int().positive(),
  /** A folder on a disk that outlives the process. */
  spool: z.string().min(1),
  /** Who may read the journal. */
  recipients: recipientsSchema,
});
export type GateJournal = z.output<typeof gateJournalSchema>;

/** What operators and metrics are told of it. */
export const journalStateSchema = z.object({
  mode: z.enum(journalModes),
  /** Writes that were acknowledged and are in no object yet. */
  waiting: z.number(),
  bufferedBytes: z.number(),
  /** How long the oldest of them has waited. */
  lagSeconds: z.number(),
  /** Writes are let through that no journal tells of. */
  isUnprotected: z.boolean(),
  /** Writes that Qdrant did not answer and may still do: what they leave is looked at again. */
  lateWrites: z.number(),
  /** Why no writes are taken; absent: they are. */
  refusal: z.string().optional(),
});
export type JournalState = z.infer<typeof journalStateSchema>;

export type JournalSettings = Omit<GateJournal, "spool" | "recipients">;

/** What somebody must know, behind why the gate is open. */
export function journalInWords(journal: JournalState | undefined): string {
  if (journal === undefined) return "";
  if (journal.refusal !== undefined) return `; it takes no writes: ${journal.refusal}`;
  if (journal.isUnprotected) return "; its writes are unprotected: the journal tells nothing of them";
  const { bufferedBytes, lagSeconds, lateWrites } = journal;
  const late = lateWrites === 0 ? "" : `, ${lateWrites} writes without an answer that Qdrant may still do`;
  return `; its journal is ${lagSeconds.toFixed(1)} s behind, ${bufferedBytes} bytes wait${late}`;
}
