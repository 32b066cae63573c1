/**
 * The settings of a stack: one schema, parsed once, refused before any resource with the setting's name, what was given
 * and what is allowed. `Pulumi.yaml` describes the same settings to people.
 */

import { z } from "zod";
import { DrError } from "../../errors.ts";
import { headerKeySchema } from "../header-key.ts";
import { retentionSettingsSchema } from "../history/retention.ts";
import { apiResourceOf } from "../infrastructure/api-resources.ts";
import { infrastructureSchema } from "../infrastructure/infrastructure.ts";
import { addressOf, serverUrlSchema } from "../server-address.ts";
import { signingKeySchema } from "../trust/signing-key.ts";
import { trustedKeySchema, trustIdSchema } from "../trust/trust.ts";
import { awsSettingsProblems, awsSettingsSchema, registryRegionOf } from "./aws-settings.ts";
import { folderSelectionSchema } from "./folder-selection.ts";
import { kubernetesSchema } from "./kubernetes-settings.ts";
import { reachableRpoMinutes } from "./objectives.ts";
import {
  absolutePathSchema,
  bucketSchema,
  gateShape,
  hasWitness,
  isWithin,
  nameSchema,
  recipientsSchema,
} from "./primitives.ts";
import { problemsInWords } from "./setting-problems.ts";

const port = z.number().int().min(1024).max(65_528);

const stackTrustSchema = z.strictObject({
  /** Of the pair: the same in both stacks. */
  id: trustIdSchema,
  /** Of operators; of jobs those that are no longer made, which signed what is still there. */
  keys: z.array(trustedKeySchema).min(1),
  /** Raised by one, each job gets another key. */
  keyGeneration: z.number().int().positive().default(1),
});
export type StackTrust = z.infer<typeof stackTrustSchema>;

const commonSchema = z.strictObject({
  /** Name of this region: the stack's. */
  region: nameSchema,
  /** Name of the other region, and of its stack. */
  peer: nameSchema,
  /** The role before any failover; afterwards the epoch records decide. */
  initialRole: z.enum(["active", "standby"]),
  objectives: z
    .strictObject({
      rtoMinutes: z
        .number()
        .positive()
        .max(7 * 24 * 60),
      rpoMinutes: z
        .number()
        .positive()
        .max(7 * 24 * 60),
    })
    .default({ rtoMinutes: 30, rpoMinutes: 15 }),
  /** Who is believed about what the stores hold. */
  trust: stackTrustSchema,
  /** How long recovery points are kept in this region's repository. */
  retention: retentionSettingsSchema.optional(),
  /** Folders that recovery points hold beside Qdrant's data: as seen by what captures. */
  configuration: z.array(folderSelectionSchema).default([]),
  userData: z.array(folderSelectionSchema).default([]),
  /** Objects of a cluster and states of stacks that recovery points hold. */
  infrastructure: infrastructureSchema.default({ stacks: [] }),
});

const processesSchema = commonSchema.extend({
  platform: z.literal("processes"),
  store: z.literal("s3"),
  processes: z.strictObject({
    /** The estate the processes belong to. */
    estate: nameSchema,
    /** The region's disk. */
    folder: absolutePathSchema,
    /** Where epoch records and wrapped keys are; must exist before the first `up`. */
    control: absolutePathSchema,
    /** The other region's, as far as this one can read it: its gate learns of a failover there. */
    peerControl: absolutePathSchema.optional(),
    ports: z.strictObject({
      gate: port,
      gateControl: port,
      qdrant: port,
      qdrantGrpc: port,
      /** The first of eight that the store uses. */
      store: port,
    }),
    gate: z
      .strictObject(gateShape(absolutePathSchema))
      .refine(...hasWitness)
      .prefault({}),
    endpoint: z.strictObject({
      port,
      /** The stack that runs the endpoint's process: never the one that is expected to fail. */
      runsHere: z.boolean(),
      upstreams: z.record(nameSchema, serverUrlSchema),
    }),
    recipients: recipientsSchema,
  }),
});

const clusterSchema = commonSchema.extend({
  platform: z.literal("kubernetes"),
  /** Both exist before the first `up`. */
  stores: z
    .strictObject({ repository: bucketSchema, control: bucketSchema })
    .refine(({ control, repository }) => control.bucket !== repository.bucket, {
      path: ["control", "bucket"],
      message: "another bucket than the repository's",
    }),
  kubernetes: kubernetesSchema,
});

const kubernetesStackSchema = z.discriminatedUnion("store", [
  clusterSchema.extend({ store: z.literal("s3") }),
  // Here pods have roles, and no credentials.
  clusterSchema.extend({ store: z.literal("aws"), aws: awsSettingsSchema }),
]);

export const stackSettingsSchema = z
  .discriminatedUnion("platform", [processesSchema, kubernetesStackSchema])
  .refine(({ peer, region }) => peer !== region, { path: ["peer"], message: "another region than this one" })
  .superRefine(({ configuration, userData }, { addIssue }) => {
    const names = new Set<string>();
    for (const [setting, folders] of Object.entries({ configuration, userData })) {
      for (const [index, { name }] of folders.entries()) {
        if (names.has(name)) {
          addIssue({ code: "custom", path: [setting, index, "name"], message: "a name that no other folder has" });
        }
        names.add(name);
      }
    }
  })
  .superRefine((settings, { addIssue }) => {
    if (settings.platform !== "kubernetes") return;
    for (const { message, path } of clusterProblems(settings)) addIssue({ code: "custom", path: [...path], message });
  });

export type StackSettings = z.infer<typeof stackSettingsSchema>;
export type ProcessesStackSettings = z.infer<typeof processesSchema>;
export type KubernetesStackSettings = z.infer<typeof kubernetesStackSchema>;

export const storeCredentialsSchema = z.strictObject({
  accessKeyId: headerKeySchema.min(8),
  secretAccessKey: headerKeySchema.min(16),
});
export const identitySchema = z.string().startsWith("AGE-SECRET-KEY-");

interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Settings of a cluster that are allowed by themselves, and not beside the others. */
function clusterProblems(settings: KubernetesStackSettings): Problem[] {
  const { infrastructure, kubernetes, objectives } = settings;
  const problems: Problem[] = [];
  const refuse = (path: Problem["path"], message: string) => problems.push({ path, message });
  if (settings.store === "aws") {
    problems.push(...awsSettingsProblems(settings.aws, settings.stores), ...cloudProblems(settings));
  }
  const minutes = reachableRpoMinutes(kubernetes);
  // A replication interval as long as the RPO leaves no time to capture and to apply.
  const isReached =
    kubernetes.replicate === undefined ? minutes <= objectives.rpoMinutes : minutes < objectives.rpoMinutes;
  if (!isReached) {
    const reached =
      kubernetes.replicate === undefined
        ? `the schedules of captures and copies reach ${minutes} minutes: let kubernetes.replicate follow, or run them more often`
        : `kubernetes.replicate reaches ${minutes} minutes and what a capture takes for the collections of its slowest tier: let it come round more often`;
    refuse(["objectives", "rpoMinutes"], reached);
  }
  for (const setting of ["configuration", "userData"] as const) {
    for (const [index, { path }] of settings[setting].entries()) {
      if (kubernetes.claims.some((claim) => isWithin(path, claim.path))) continue;
      refuse([setting, index, "path"], "a path within one of kubernetes.claims: a pod sees nothing else");
    }
  }
  if (kubernetes.gate.service.type === "LoadBalancer" && kubernetes.clientCidrs.length === 0)
    refuse(["kubernetes", "clientCidrs"], "who may come by the load balancer of kubernetes.gate.service");
  if (infrastructure.stacks.length > 0)
    refuse(["infrastructure", "stacks"], "none: a pod has no Pulumi to export them");
  for (const [index, kind] of (infrastructure.kubernetes?.kinds ?? []).entries()) {
    if (apiResourceOf(kind) !== undefined) continue;
    refuse(
      ["infrastructure", "kubernetes", "kinds", index],
      "a kind of Kubernetes itself, with its own `resource` and `scope` if with any, or another one with its `resource` and `scope` as `kubectl api-resources` lists them",
    );
  }
  for (const setting of ["kubeconfig", "context"] as const) {
    if (infrastructure.kubernetes?.[setting] === undefined) continue;
    refuse(["infrastructure", "kubernetes", setting], "nothing: captures read their own cluster, with their account");
  }
  return problems;
}

/** Settings of the cluster and of AWS that do not agree. */
function cloudProblems({ aws, kubernetes }: Extract<KubernetesStackSettings, { store: "aws" }>): Problem[] {
  const problems: Problem[] = [];
  const images = [
    [["kubernetes", "image"], kubernetes.image],
    [["kubernetes", "qdrant", "image"], kubernetes.qdrant.image],
  ] as const;
  for (const [path, image] of images) {
    if ((registryRegionOf(image) ?? aws.region) === aws.region) continue;
    problems.push({ path, message: `an image in a registry of ${aws.region}: this region starts without the other` });
  }
  const { url } = kubernetes.gate;
  if (aws.traffic !== undefined && (url === undefined || !isName(addressOf(url).host))) {
    problems.push({
      path: ["kubernetes", "gate", "url"],
      message: "the gate's name, to which aws.traffic leads clients",
    });
  }
  return problems;
}

function isName(host: string): boolean {
  return !/^[\d.]+$|^\[/.test(host);
}

/** Secrets of regions of processes: one secret setting, the same in each of their stacks. */
const processesSecretsSchema = z.strictObject({
  /** Every region's Qdrant has a key of its own. */
  qdrantApiKeys: z.record(nameSchema, headerKeySchema.min(16)),
  /** What is run in a region signs with it. */
  signing: signingKeySchema,
  store: storeCredentialsSchema,
  clientKey: headerKeySchema.min(16),
  controlToken: headerKeySchema.min(16),
  identity: identitySchema,
});
export type GivenProcessesSecrets = z.infer<typeof processesSecretsSchema>;

/** The secrets of one region of processes: of the keys its own Qdrant's alone. */
export type ProcessesSecrets = Omit<GivenProcessesSecrets, "qdrantApiKeys"> & { readonly qdrantApiKey: string };

/** @throws SETTING_INVALID naming every setting that is wrong. */
export function parseStackSettings(stack: string, given: Readonly<Record<string, unknown>>): StackSettings {
  const settings = { ...given, region: stack };
  const result = stackSettingsSchema.safeParse(settings);
  const isNamedTwice = "region" in given;
  if (result.success && !isNamedTwice) return result.data;
  const problems = problemsInWords(result.error?.issues ?? [], settings);
  if (isNamedTwice) problems.push("region: there is no such setting");
  throw new DrError("SETTING_INVALID", `stack ${stack}: ${problems.join("; ")}`, {
    hint: `correct it in Pulumi.${stack}.yaml; Pulumi.yaml describes every setting`,
  });
}

/** @throws SETTING_INVALID naming every secret that is wrong, and showing none. */
export function parseProcessesSecrets(stack: string, given: unknown): ProcessesSecrets {
  const ofRegion = processesSecretsSchema.transform(({ qdrantApiKeys, ...secrets }, { addIssue }) => {
    const qdrantApiKey = qdrantApiKeys[stack];
    if (qdrantApiKey !== undefined) return { ...secrets, qdrantApiKey };
    addIssue({ code: "custom", path: ["qdrantApiKeys", stack], message: "the key of this region's Qdrant is wanted" });
    return z.NEVER;
  });
  return parseSecrets(stack, ofRegion, given);
}

/** @throws SETTING_INVALID naming every secret that is wrong, and showing none. */
export function parseSecrets<S extends z.ZodType>(stack: string, schema: S, given: unknown): z.infer<S> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ message, path }) => `${["secrets", ...path].join(".")}: ${message}`);
  throw new DrError("SETTING_INVALID", `stack ${stack}: ${problems.join("; ")}`, {
    hint: `correct it with \`pulumi config set --secret secrets --stack ${stack}\`, the JSON on its standard input`,
  });
}
