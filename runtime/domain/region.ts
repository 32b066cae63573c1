/**
 * What a region is to the runtime: the outputs that every stack gives, whatever platform and store it declares. Workflows
 * read nothing else about a region.
 */
import { z } from "zod";
import { DrError } from "../errors.ts";
import { headerKeySchema } from "./header-key.ts";
import { retentionSchema } from "./history/retention.ts";
import { infrastructureSchema } from "./infrastructure/infrastructure.ts";
import { roles } from "./roles/epoch.ts";
import { gateModes } from "./roles/gate.ts";
import { peerUrlsSchema, serverUrlSchema } from "./server-address.ts";
import { folderSelectionSchema } from "./settings/folder-selection.ts";
import { bucketNameSchema, recipientsSchema } from "./settings/primitives.ts";
import { scheduledRuns } from "./settings/schedule.ts";
import { replicateSchema } from "./settings/tiers.ts";
import { signingKeySchema } from "./trust/signing-key.ts";
import { trustSchema } from "./trust/trust.ts";

export const storeAddressSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("s3"),
    bucket: bucketNameSchema,
    /** Everything is below it; absent: the whole bucket is the store. */
    prefix: z.string().min(1).optional(),
    /** Absent: the environment's, or the profile's. */
    region: z.string().optional(),
    /** Absent: AWS's own endpoint. */
    endpoint: serverUrlSchema.optional(),
    /** Absent: the environment's credentials (a role). */
    credentials: z.object({ accessKeyId: headerKeySchema, secretAccessKey: headerKeySchema }).optional(),
  }),
  z.object({ kind: z.literal("file"), folder: z.string() }),
]);
export type StoreAddress = z.infer<typeof storeAddressSchema>;

export const regionSchema = z.object({
  contract: z.literal(1),
  /** Its name, and its stack's. */
  region: z.string(),
  /** The other region's name, and its stack's; absent: the region is alone. */
  peer: z.string().optional(),
  /** As of the last `up`; the epoch records decide. */
  role: z.enum(roles),
  epoch: z.number().int().positive(),
  /** How long recovery points are kept in its repository; when left out, as long as in the other region of a pair. */
  retention: retentionSchema.optional(),
  /** When its runs are due, and how its standby follows: what is late is judged by these. Absent: nobody said. */
  schedules: z.partialRecord(z.enum(scheduledRuns), z.string()).optional(),
  replicate: replicateSchema.pick({ everySeconds: true, tiers: true }).optional(),
  objectives: z.object({ rtoMinutes: z.number().positive(), rpoMinutes: z.number().positive() }),
  qdrant: z.object({
    /** One URL per peer, never a load balancer's. */
    peers: peerUrlsSchema,
    /** Left out where it has no use: see `region-for-job.ts`. */
    apiKey: headerKeySchema.min(1).optional(),
    /** What its peers may use together, where a stack bounds it: their servers tell of whole machines. */
    capacity: z.object({ memoryBytes: z.number().positive(), diskBytes: z.number().positive() }).optional(),
  }),
  repository: storeAddressSchema,
  control: storeAddressSchema,
  keys: z.object({
    /** age recipients that every data key is wrapped for: the operational one and the offline recovery one. */
    recipients: recipientsSchema,
    /** age identity that opens them in this region. Left out where nothing is opened. */
    identity: z.string().startsWith("AGE-SECRET-KEY-").optional(),
    /** Signs what is created here. Left out where nothing is, or where an operator gives an own one. */
    signing: signingKeySchema.optional(),
  }),
  /** Who is believed about what its stores hold. */
  trust: trustSchema,
  /** Names and patterns of collections that are not captured. */
  exclude: z.array(z.string()).optional(),
  /** Folders of configuration and of user data, on the machine that captures. */
  configuration: z.array(folderSelectionSchema).default([]),
  userData: z.array(folderSelectionSchema).default([]),
  /** Objects of a cluster and states of stacks, as seen by what captures. */
  infrastructure: infrastructureSchema.default({ stacks: [] }),
  /** Stands in front of Qdrant; clients reach the region through it. */
  gate: z
    .object({
      url: serverUrlSchema,
      /** Of the control of each of its replicas, which clients do not reach: all of them are asked. */
      controlUrls: peerUrlsSchema,
      controlToken: headerKeySchema,
      mode: z.enum(gateModes),
      /** The third place and the length of the lease, for the mode `consistency`. */
      lease: z.object({ witness: storeAddressSchema, seconds: z.number().positive() }).optional(),
    })
    .optional(),
  /** The public name that follows the active region. */
  endpoint: z
    .union([
      z.object({
        url: serverUrlSchema,
        clientKey: headerKeySchema,
        controlUrl: serverUrlSchema,
        controlToken: headerKeySchema,
      }),
      /** Weighted records of one name in a hosted zone, moved with the operator's credentials. */
      z.object({
        url: serverUrlSchema,
        clientKey: headerKeySchema,
        route53: z.object({ zoneId: z.string(), name: z.string() }),
      }),
    ])
    .optional(),
});
export type Region = z.infer<typeof regionSchema>;

/**
 * The name of the other region.
 * @throws NOT_SUPPORTED
 */
export function peerOf({ peer, region }: Pick<Region, "peer" | "region">): string {
  if (peer !== undefined) return peer;
  throw new DrError("NOT_SUPPORTED", `region ${region} is alone: this needs a second region`, {
    hint: "one Qdrant alone is brought back by `qdrant-dr restore`; docs/how-to/two-machines.md says what a second region takes",
  });
}
