/** Settings of a region whose workloads run in a Kubernetes cluster. */
import { z } from "zod";
import { qdrantPorts } from "../network/ports.ts";
import { otherKeys } from "../roles/gate.ts";
import { addressOf, peerUrlsSchema, serverUrlSchema, urlOf } from "../server-address.ts";
import { gateLimitsSchema } from "./gate-limits.ts";
import {
  absolutePathSchema,
  bucketSchema,
  gateShape,
  hasWitness,
  isDistinct,
  nameSchema,
  namespaceSchema,
  recipientsSchema,
} from "./primitives.ts";
import { cronSchema } from "./schedule.ts";
import { replicateSchema } from "./tiers.ts";

const cidr = z.union([z.cidrv4(), z.cidrv6()]);
const annotations = z.record(z.string(), z.string());

/** Which bytes run is decided here, never by a tag that moves. */
const image = z
  .string()
  .regex(/^[a-z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$/, "an image with its digest, such as registry/name@sha256:…");

const quantity = z.string().regex(/^\d+(\.\d+)?(m|[kMGT]i?)?$/, 'a quantity, such as "2", "500m" or "8Gi"');

const unitBytes: Readonly<Record<string, number>> = {
  ...{ "": 1, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ ki: 1024, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4 },
};

/** @param text a quantity. */
export function bytesOfQuantity(text: string): number {
  const [, number = "", unit = ""] = /^([\d.]+)(.*)$/.exec(text) ?? [];
  return Number(number) * (unitBytes[unit] ?? Number.NaN);
}

const resourcesSchema = z.strictObject({
  cpu: quantity.describe("processors that it asks for"),
  memory: quantity.describe("memory that it asks for, and no more"),
});
export type Resources = z.infer<typeof resourcesSchema>;

/** A Qdrant that is not this stack's to make. */
const existingQdrantSchema = z.strictObject({
  /** As pods of this cluster reach it: one URL a peer, and one of any peer that is ready. */
  urls: peerUrlsSchema,
  serviceUrl: serverUrlSchema,
  /** Of its gRPC; the host of `serviceUrl` at port 6334 when left out. */
  grpcUrl: serverUrlSchema.optional(),
  /** Where its pods are, and by what they are told from others. */
  namespace: namespaceSchema,
  podLabels: z
    .record(z.string().min(1), z.string())
    .refine((labels) => Object.keys(labels).length > 0, "a label at least, or any pod would be meant"),
});
export type ExistingQdrant = z.infer<typeof existingQdrantSchema>;

export function grpcUrlOf({ grpcUrl, serviceUrl }: ExistingQdrant): string {
  return grpcUrl ?? urlOf({ ...addressOf(serviceUrl), port: qdrantPorts.grpc, prefix: "" });
}

const storageGib = z
  .number()
  .int()
  .min(1)
  .max(64 * 1024);
const qdrantResources = resourcesSchema.default({ cpu: "2", memory: "8Gi" });

const qdrantSchema = z
  .strictObject({
    /** qdrant/qdrant in its unprivileged variant. */
    image,
    /** One that is here already, also Helm's: nothing of it is made or changed. Its key is `secrets.qdrantApiKey`. */
    existing: existingQdrantSchema.optional(),
    replicas: z.number().int().min(1).max(100).default(3),
    /** The cluster's default one when left out. */
    storageClass: nameSchema.optional(),
    /** Of each replica's data, and as much again for snapshots: as of the first `up`. Later, the claims are what grows. */
    storageGib,
    resources: qdrantResources,
    /** Raised by one for a new API key; the one before stays valid until the next time, from Qdrant 1.17 on. */
    keyGeneration: z.number().int().positive().default(1),
    /** A Secret with tls.crt, tls.key and ca.crt, which are valid for the pods' names: Qdrant then speaks TLS only. */
    tlsSecret: nameSchema.optional(),
    /** How the other region, and operators, reach each peer: private load balancers, or routed names. */
    outside: z
      .strictObject({
        /** One URL a replica, in their order. */
        urls: peerUrlsSchema,
        /** Who may come by them. */
        cidrs: z.array(cidr).min(1),
        /** Makes a LoadBalancer Service of each peer, with these annotations. Left out: the names lead to the pods already. */
        loadBalancers: z.strictObject({ annotations }).optional(),
      })
      .optional(),
  })
  .refine(
    ({ existing, outside, replicas }) =>
      outside === undefined || outside.urls.length === (existing?.urls.length ?? replicas),
    { path: ["outside", "urls"], message: "one URL for each replica" },
  )
  .refine(({ existing, outside }) => existing === undefined || outside?.loadBalancers === undefined, {
    path: ["outside", "loadBalancers"],
    message: "none for a Qdrant that is not this stack's",
  });
export type QdrantSettings = z.infer<typeof qdrantSchema>;

const gateSchema = z
  .strictObject({
    ...gateShape(bucketSchema),
    /** Pods that serve beside each other. */
    replicas: z.number().int().min(1).max(10).default(2),
    /** How clients outside the cluster reach it; by its name in the cluster when left out. */
    url: serverUrlSchema.optional(),
    /** A Secret with tls.crt and tls.key: clients are served over TLS only. A certificate that changes counts without a restart. */
    tlsSecret: nameSchema.optional(),
    /** Whether clients may come from outside the cluster in the clear. */
    plaintext: z.boolean().default(false),
    otherKeys: z.enum(otherKeys).default("refuse"),
    limits: gateLimitsSchema.prefault({}),
    /** How operators outside the cluster reach the control of each replica: private load balancers, routed names, or forwarded ports. */
    control: z
      .strictObject({
        /** One URL a replica, in their order. */
        urls: peerUrlsSchema,
        /** Who may come by them. */
        cidrs: z.array(cidr).default([]),
        /** Makes a LoadBalancer Service of each replica's control, with these annotations. */
        loadBalancers: z.strictObject({ annotations }).optional(),
      })
      .optional(),
    /** Its Service, such as one that external-dns gives a name. `/.qdrant-dr/open` answers 200 while it lets clients through. */
    service: z
      .strictObject({
        type: z.enum(["ClusterIP", "LoadBalancer"]).default("ClusterIP"),
        annotations: annotations.default({}),
      })
      .prefault({}),
  })
  .refine(...hasWitness)
  .refine(({ control, replicas }) => control === undefined || control.urls.length === replicas, {
    path: ["control", "urls"],
    message: "one URL for each replica",
  })
  .refine(({ control }) => control?.loadBalancers === undefined || control.cidrs.length > 0, {
    path: ["control", "cidrs"],
    message: "who may come by the load balancers",
  })
  .refine((gate) => gate.tlsSecret !== undefined || gate.plaintext || !leavesCluster(gate), {
    path: ["tlsSecret"],
    message: "a certificate, or `plaintext: true` where the network is private: clients and keys pass there",
  });

function leavesCluster({
  service,
  url,
}: {
  readonly service: { readonly type: string };
  readonly url?: string | undefined;
}) {
  return service.type === "LoadBalancer" ? !url?.startsWith("https:") : (url?.startsWith("http:") ?? false);
}

/** Pods that share a capture. */
const workersSchema = z.number().int().min(1).max(32).default(1);

const schedulesSchema = z.strictObject({
  full: cronSchema.default("0 2 * * *"),
  incremental: cronSchema.default("0 */4 * * *"),
  /** From the active region's bucket into the standby's. */
  copy: cronSchema.default("30 */4 * * *"),
  verify: cronSchema.default("0 4 * * *"),
  /** Of the newest recovery point, into a Qdrant that lives in the job alone. */
  testRestore: cronSchema.default("0 5 * * 0"),
  /** A failover to the region, rehearsed in a Qdrant that lives in the job alone. */
  drill: cronSchema.default("0 6 1 * *"),
  /** Of the history; the stream of replication is emptied all the time. */
  prune: cronSchema.default("30 3 * * *"),
  workers: workersSchema,
});
export type Schedules = z.infer<typeof schedulesSchema>;

const secretKeySchema = z.strictObject({ name: nameSchema, key: z.string().min(1) });

/** The receiver of alerts; its address is in a Secret that is there, in the namespace. */
const receiverSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("webhook"), secret: secretKeySchema }),
  z.strictObject({ kind: z.literal("slack"), secret: secretKeySchema, channel: z.string().min(1) }),
  z.strictObject({ kind: z.literal("pagerduty"), secret: secretKeySchema }),
]);
export type ReceiverSettings = z.infer<typeof receiverSchema>;

const monitoringSchema = z.strictObject({
  /** The Prometheus operator that the cluster has. */
  operator: z.strictObject({
    /** The namespace of the Prometheus that scrapes this region. */
    namespace: namespaceSchema,
    /** By these it finds monitors, rules and routes, such as `release`. */
    labels: annotations.default({}),
    /** Left out: alerts are led by what Alertmanager has already. */
    receiver: receiverSchema.optional(),
  }),
  /** Address of the folder with the runbooks; alerts lead to it. The path in this repository when left out. */
  runbooks: z.url({ protocol: /^https?$/ }).optional(),
  /** By these Grafana's sidecar finds dashboards. */
  dashboardLabels: annotations.default({ grafana_dashboard: "1" }),
});
export type MonitoringSettings = z.infer<typeof monitoringSchema>;

/** Never root: pods keep Pod Security's level `restricted`. */
const fileOwner = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const claimsSchema = z
  .array(
    z.strictObject({
      claim: nameSchema.describe("name of the claim"),
      path: absolutePathSchema.describe("path at which jobs see it"),
      user: fileOwner
        .optional()
        .describe("user of the application that owns its files: what is restored is that user's"),
      group: fileOwner
        .optional()
        .describe("group of its files: what captures them joins it, and what is restored is that group's"),
    }),
  )
  .refine((claims) => isDistinct(claims.map(({ claim }) => claim)), "each claim once")
  .default([]);

const egressCidrsSchema = z.array(cidr).min(1).default(["0.0.0.0/0"]);

/** A cluster in which the jobs of a settings file run: `export kubernetes` writes them. */
export const clusterOfFileSchema = z.strictObject({
  namespace: namespaceSchema.describe("namespace of the jobs"),
  createNamespace: z.boolean().default(true).describe("whether the manifests make it"),
  image: image.describe("image of the product, with its digest"),
  qdrant: z
    .strictObject({
      namespace: namespaceSchema.describe("namespace of its pods"),
      podLabels: existingQdrantSchema.shape.podLabels.describe("labels by which its pods are told from others"),
      tlsSecret: nameSchema
        .optional()
        .describe("a Secret in the namespace of the jobs whose ca.crt Qdrant's certificate is of"),
    })
    .describe("where the pods of the Qdrant at `qdrant` are: jobs reach no other"),
  throwaway: z
    .strictObject({
      image: image.describe(
        "image of Qdrant, with its digest: the unprivileged variant, in the version that is protected",
      ),
      storageGib: storageGib.describe("GiB of its data; its volume is twice as large"),
      storageClass: nameSchema
        .optional()
        .describe("storage class of its volume; the cluster's default one when left out"),
      resources: qdrantResources.describe("what it may use"),
    })
    .describe("the Qdrant of a test restore, which lives in the job's pod alone"),
  claims: claimsSchema.describe(
    "volumes that hold the folders of `configuration` and `userData`: claims of the namespace",
  ),
  workers: workersSchema.describe("pods that share a capture"),
  egressCidrs: egressCidrsSchema.describe("where the store may be reached"),
});
export type ClusterOfFile = z.infer<typeof clusterOfFileSchema>;

export const kubernetesSchema = z.strictObject({
  /** A kubeconfig file; otherwise KUBECONFIG, or the home folder's. */
  kubeconfig: absolutePathSchema.optional(),
  /** Context of the kubeconfig; the current one when left out. */
  context: z.string().min(1).optional(),
  /** What the cluster is known by: a kubeconfig that changed otherwise replaces nothing. */
  clusterIdentifier: z.string().min(1).optional(),
  namespace: namespaceSchema,
  /** Whether the namespace is this stack's to make. */
  createNamespace: z.boolean().default(true),
  /** The product. */
  image,
  qdrant: qdrantSchema,
  /** Volumes that hold the folders of `configuration` and `userData`: claims of the namespace, and where captures see them. */
  claims: claimsSchema,
  /** Namespaces whose pods are Qdrant's clients. */
  clientNamespaces: z.array(namespaceSchema).default([]),
  /** Where its clients outside the cluster are. */
  clientCidrs: z.array(cidr).default([]),
  gate: gateSchema.prefault({}),
  /** Left out: nothing tells of the region but its commands. */
  monitoring: monitoringSchema.optional(),
  /** Where stores, and the other region, may be reached. */
  egressCidrs: egressCidrsSchema,
  /** Where the cluster's API server is, as pods reach it and as it is behind its Service; anywhere when empty. */
  apiServerCidrs: z.array(cidr).default([]),
  schedules: schedulesSchema.prefault({}),
  /** While this region is the standby it follows the active one this often, folders more seldom; left out: by copied recovery points alone. */
  replicate: replicateSchema.optional(),
  recipients: recipientsSchema,
});
export type KubernetesSettings = z.infer<typeof kubernetesSchema>;
