/** Settings of what a region uses of AWS, and of the program that makes, once, what both regions keep there. */
import { z } from "zod";
import { DrError } from "../../errors.ts";
import { serverUrlSchema } from "../server-address.ts";
import { bucketNameSchema, type bucketSchema, nameSchema } from "./primitives.ts";

const account = z.string().regex(/^\d{12}$/, "the twelve digits of an account, in quotes");
const awsRegion = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region, such as eu-central-1");
const keyArn = z.string().regex(/^arn:aws:kms:[a-z0-9-]+:\d{12}:key\/[0-9a-z-]+$/, "the ARN of a KMS key");
/** Plain settings reach a program as text. */
const wholeNumber = (schema: z.ZodNumber) => z.preprocess((given) => (isDigits(given) ? Number(given) : given), schema);
const yesOrNo = z.preprocess((given) => ({ true: true, false: false })[String(given)] ?? given, z.boolean());
const tags = z.record(z.string().min(1), z.string()).default({});

/** How pods come by their roles. */
const clusterSchema = z.union([
  z.strictObject({ podIdentity: z.strictObject({ name: z.string().min(1) }) }),
  /** The cluster's OIDC issuer without `https://`, for which the account has a provider. */
  z.strictObject({ irsa: z.strictObject({ issuer: z.string().regex(/^[a-z0-9.-]+(\/[A-Za-z0-9./_-]+)?$/) }) }),
]);

/** The public name that follows the active region, in a hosted zone that is there. The same in both stacks. */
const trafficSchema = z.strictObject({
  zoneId: z.string().regex(/^Z[A-Z0-9]{3,31}$/, "the id of a hosted zone"),
  /** What clients use, such as https://search.example.org. */
  url: serverUrlSchema,
  ttlSeconds: z.number().int().min(1).max(3600).default(30),
  /** Whether Route 53 asks the gates which is open, and leads clients past one that is not. It asks from the internet. */
  healthCheck: z.boolean().default(true),
});
export type TrafficSettings = z.infer<typeof trafficSchema>;

export const awsSettingsSchema = z.strictObject({
  /** The account and the AWS region this region's resources are made in: others are refused. */
  account,
  region: awsRegion,
  /** The key that this region's buckets are encrypted with. */
  keyArn,
  /** What this region reads of the other one. */
  peer: z.strictObject({ repository: bucketNameSchema, control: bucketNameSchema, keyArn }),
  cluster: clusterSchema,
  /** Clients have to find the active region otherwise when left out. */
  traffic: trafficSchema.optional(),
  /** A policy that bounds what any role can be given. */
  permissionsBoundaryArn: z.string().startsWith("arn:aws:iam::").optional(),
  tags,
});
export type AwsSettings = z.infer<typeof awsSettingsSchema>;

type GivenStores = Readonly<Record<"repository" | "control", z.infer<typeof bucketSchema>>>;

/** Settings that do not fit together, each by the one that is to be corrected. */
export function awsSettingsProblems(aws: AwsSettings, stores: GivenStores): { path: string[]; message: string }[] {
  const problems: { path: string[]; message: string }[] = [];
  for (const kind of ["repository", "control"] as const) {
    const store = stores[kind];
    if (store.region !== aws.region) {
      problems.push({ path: ["stores", kind, "region"], message: `${aws.region}, as aws.region says` });
    }
    if (store.endpoint !== undefined) {
      problems.push({ path: ["stores", kind, "endpoint"], message: "left out: the store is AWS's own" });
    }
    if (Object.values(stores).some((own) => own.bucket === aws.peer[kind])) {
      problems.push({ path: ["aws", "peer", kind], message: "a bucket of the other region" });
    }
  }
  if (regionOf(aws.keyArn) !== aws.region) {
    problems.push({ path: ["aws", "keyArn"], message: `a key in ${aws.region}: this region works without the other` });
  }
  if (regionOf(aws.peer.keyArn) === aws.region) {
    problems.push({ path: ["aws", "peer", "keyArn"], message: "a key in the other region" });
  }
  return problems;
}

/** The AWS region of a private registry that an image is in; undefined for any other registry. */
export function registryRegionOf(image: string): string | undefined {
  return /^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\//.exec(image)?.[1];
}

function regionOf(arn: string): string | undefined {
  return arn.split(":")[3];
}

const lockDays = z
  .number()
  .int()
  .min(1)
  .max(10 * 365);

const bootstrapRegionSchema = z.strictObject({
  region: awsRegion,
  /** Nothing in the repository can be locked for more days: as many as its `retention` keeps anything. */
  longestLockDays: lockDays,
});

export const bootstrapSettingsSchema = z
  .strictObject({
    account,
    /** What the names of buckets, keys and roles begin with. */
    prefix: z.string().regex(/^[a-z][a-z0-9-]{1,17}[a-z0-9]$/, "3 to 19 lower-case letters, digits and hyphens"),
    /** The two regions by the names of their stacks. */
    regions: z
      .record(nameSchema, bootstrapRegionSchema)
      .refine((regions) => Object.keys(regions).length === 2, "two regions"),
    /** The one that serves first; the first epoch record says so. */
    initialActive: nameSchema,
    /** Who alone can end the keys, or change who can: a role that nobody takes in daily work. The account's root user when left out. */
    breakGlassArn: z
      .string()
      .regex(/^arn:aws:iam::\d{12}:(root|role\/[\w+=,.@/-]+)$/, "the ARN of a role, or of an account's root user")
      .optional(),
    /** `compliance`: nobody can delete what is locked, the account's root included. */
    lockMode: z.enum(["compliance", "governance"]).default("compliance"),
    auditLockDays: wholeNumber(lockDays).default(730),
    /** Days for which replaced and deleted versions are kept where no lock keeps them. */
    noncurrentDays: wholeNumber(z.number().int().min(1).max(3650)).default(30),
    /** S3 replicates packs, trees and facts both ways; `qdrant-dr copy` completes recovery points. */
    replication: yesOrNo.default(false),
    /** Repositories for the images in both regions, each copied into the other; these rules become the account's only ones there. */
    images: yesOrNo.default(false),
    tags,
  })
  .superRefine(({ account, breakGlassArn, initialActive, regions }, { addIssue }) => {
    if (breakGlassArn !== undefined && breakGlassArn.split(":")[4] !== account) {
      addIssue({ code: "custom", path: ["breakGlassArn"], message: `of the account ${account}` });
    }
    const [first, second] = Object.values(regions);
    if (!(initialActive in regions)) {
      addIssue({ code: "custom", path: ["initialActive"], message: `one of ${Object.keys(regions).join(", ")}` });
    }
    if (first === undefined || second === undefined) return;
    if (first.region === second.region) {
      addIssue({ code: "custom", path: ["regions"], message: "two AWS regions: one may be lost whole" });
    }
  });
export type BootstrapSettings = z.infer<typeof bootstrapSettingsSchema>;

export interface BootstrapRegion extends z.infer<typeof bootstrapRegionSchema> {
  readonly name: string;
}

/** The two regions, in the order of the settings. Keys are made in the first, and their replicas are in the second. */
export function bootstrapRegionsOf({ regions }: Pick<BootstrapSettings, "regions">): {
  readonly first: BootstrapRegion;
  readonly second: BootstrapRegion;
} {
  const [first, second] = Object.entries(regions).map(([name, region]) => ({ name, ...region }));
  // The schema takes two.
  if (first === undefined || second === undefined) throw new Error("the settings have no two regions");
  return { first, second };
}

function isDigits(given: unknown): boolean {
  return typeof given === "string" && /^\d+$/.test(given);
}

/** @throws SETTING_INVALID naming every setting that is wrong. */
export function parseBootstrapSettings(stack: string, given: unknown): BootstrapSettings {
  const result = bootstrapSettingsSchema.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ message, path }) => `${path.join(".")}: ${message}`);
  throw new DrError("SETTING_INVALID", `stack ${stack}: ${problems.join("; ")}`, {
    hint: `correct it in bootstrap/Pulumi.${stack}.yaml; bootstrap/Pulumi.yaml describes every setting`,
  });
}
