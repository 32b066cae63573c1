/**
 * One object of a journal as bytes: a line of JSON that says where it belongs, and the sealed text of its entries. The object of a
 * takeover has none, and brings the key of its term, wrapped for those who may read.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { JournalEntry } from "../../domain/journal/entry.ts";
import { decodeEntries } from "../../domain/journal/entry-text.ts";
import type { JournalPosition } from "../../domain/journal/position.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { largestEntries } from "../../domain/recovery-points/object-bounds.ts";
import { seal, unseal } from "../../domain/recovery-points/sealing.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";

const number = z.number().int().positive();
const time = z.iso.datetime();
const common = {
  format: z.literal(1),
  number,
  /** Digest of the object before it. */
  previous: z.string(),
  /** Number of the takeover under which it was written. */
  term: number,
  at: time,
};
const headerSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("takeover"),
    ...common,
    /** Who writes from here on, for people. */
    writer: z.string(),
    /** What seals the entries of the term, wrapped for the region's recipients. */
    key: z.base64(),
  }),
  z.strictObject({ kind: z.literal("entries"), ...common, entries: z.number().int().nonnegative() }),
]);
export type JournalHeader = z.infer<typeof headerSchema>;

/** Longer than the line of any takeover. */
const longestHeader = 64 * 1024;

export function digestOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

export function encodeObject(
  region: string,
  header: JournalHeader,
  body?: { readonly key: DataKey; readonly text: string },
): Buffer {
  const line = Buffer.from(`${JSON.stringify(headerSchema.parse(header))}\n`);
  if (body === undefined) return line;
  const sealed = seal(body.key, sealedName(region, header), Buffer.from(body.text));
  return Buffer.concat([line, sealed]);
}

/** Reads what stands under a number. Throws OBJECT_CORRUPT when that is not the journal's object of this number. */
export function decodeObject(region: string, of: number, content: Buffer): { header: JournalHeader; sealed: Buffer } {
  const end = content.subarray(0, longestHeader).indexOf("\n");
  try {
    const header = headerSchema.parse(JSON.parse(content.toString("utf8", 0, Math.max(end, 0))));
    if (header.number === of) return { header, sealed: content.subarray(end + 1) };
  } catch (cause) {
    throw corrupt(region, of, "does not begin as this version writes it", cause);
  }
  throw corrupt(region, of, "is of another number");
}

export function openEntries(region: string, header: JournalHeader, key: DataKey, sealed: Buffer): JournalEntry[] {
  const plain = unseal(key, sealedName(region, header), sealed, largestEntries);
  try {
    return decodeEntries(plain.toString("utf8"));
  } catch (cause) {
    throw corrupt(region, header.number, "holds what is no entry of this version", cause);
  }
}

export function refuseUnlessFollowing(region: string, header: JournalHeader, position: JournalPosition): void {
  if (header.previous === position.digest || position.digest === "") return;
  throw corrupt(region, header.number, `does not follow the object ${position.number} that was read before it`);
}

function sealedName(region: string, { number: of, previous }: JournalHeader): string {
  return `journal ${region} ${of} ${previous}`;
}

export function corrupt(region: string, of: number, what: string, cause?: unknown): DrError {
  return new DrError("OBJECT_CORRUPT", `${storeLayout.journalObject(region, of)} ${what}`, {
    hint: "the journal cannot be followed behind it: let a capture bring the collections; see in the store's access log who wrote it",
    cause,
  });
}
