/** Values that several settings hold, each with what is allowed. */
import { z } from "zod";
import { gateModes } from "../roles/gate.ts";
import { serverUrlSchema } from "../server-address.ts";

export const nameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, "a lower-case name of letters, digits and hyphens");

export const namespaceSchema = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "the name of a namespace");

export const absolutePathSchema = z.string().startsWith("/", "an absolute path");

export const bucketNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens",
  );

export const bucketSchema = z.strictObject({
  bucket: bucketNameSchema,
  region: z.string().min(1),
  /** AWS's own when left out. */
  endpoint: serverUrlSchema.optional(),
});

/** The age recipients that every data key is wrapped for. */
export const recipientsSchema = z
  .array(z.string().startsWith("age1"))
  .min(2, "the operational and the offline recovery recipient")
  .refine(isDistinct, "two different recipients");

/** Nobody holds a lease, or waits for one, for longer. */
export const mostLeaseSeconds = 300;

/** The settings of a gate, whatever its lease is kept in. */
export function gateShape<Witness extends z.ZodType>(witness: Witness) {
  return {
    /** What the gate does that cannot see the other region: docs/adr/0011-gates.md says the price of each. */
    mode: z.enum(gateModes).default("availability"),
    /** A place that is lost with neither region, for the lease of the mode `consistency`. */
    witness: witness.optional(),
    leaseSeconds: z.number().min(1).max(mostLeaseSeconds).default(15),
  };
}

interface GateLease {
  readonly mode: (typeof gateModes)[number];
  readonly witness?: unknown;
}

/** Arguments of `refine`: the mode `consistency` has a place for its lease. */
export const hasWitness: [(gate: GateLease) => boolean, { path: string[]; message: string }] = [
  ({ mode, witness }) => mode === "availability" || witness !== undefined,
  { path: ["witness"], message: "a third place, which the mode consistency needs" },
];

export function isDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

export function isWithin(path: string, folder: string): boolean {
  return `${path}/`.startsWith(`${folder.replace(/\/$/, "")}/`);
}
