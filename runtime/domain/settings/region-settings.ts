/** The settings file of one region without Pulumi, `qdrant-dr.yaml`: a Qdrant at a URL, a store, and what is done when. */

import { z } from "zod";
import { DrError } from "../../errors.ts";
import { retentionSettingsSchema } from "../history/retention.ts";
import { otherKeys } from "../roles/gate.ts";
import { journalSettingsSchema } from "../roles/gate-journal.ts";
import { peerUrlsSchema, serverUrlSchema } from "../server-address.ts";
import { publicKeySchema } from "../trust/signing-key.ts";
import { trustedKeySchema, trustIdSchema } from "../trust/trust.ts";
import { folderSelectionSchema } from "./folder-selection.ts";
import { gateLimitsSchema, otherKeysDescription } from "./gate-limits.ts";
import { clusterOfFileSchema } from "./kubernetes-settings.ts";
import { mostLeaseSeconds, nameSchema, recipientsSchema } from "./primitives.ts";
import { cronSchema, longestGapMinutes } from "./schedule.ts";
import { secretReferenceSchema } from "./secret-reference.ts";
import { problemsInWords } from "./setting-problems.ts";
import { readStoreLocation, storeLocationSchema } from "./store-location.ts";

export const off = "off";

const scheduleSchema = z
  .string()
  .refine(
    (text) => text === off || cronSchema.safeParse(text).success,
    "a cron expression of five fields, in UTC, such as 0 2 * * *, or off",
  );

const qdrantSchema = z
  .strictObject({
    url: serverUrlSchema.optional().describe("URL of its REST API; either this or `peers`"),
    peers: peerUrlsSchema.optional().describe("of a cluster: the URL of each peer, never a load balancer's"),
    apiKey: secretReferenceSchema.optional().describe("a key that may write everything; left out when it has none"),
  })
  .refine(({ peers, url }) => (peers === undefined) !== (url === undefined), "either `url` or `peers`");

const s3Schema = z.strictObject({
  region: z.string().min(1).optional().describe("its S3 region; AWS_REGION or the profile's when left out"),
  endpoint: serverUrlSchema.optional().describe("its URL; AWS's own when left out"),
  credentials: z
    .strictObject({
      accessKeyId: secretReferenceSchema.describe("where the access key's id is kept"),
      secretAccessKey: secretReferenceSchema.describe("where the secret access key is kept"),
    })
    .optional()
    .describe(
      "when left out: AWS's usual chain, which is environment, profile, SSO, web identity, role of the container or instance",
    ),
});

const keysSchema = z.strictObject({
  recipients: recipientsSchema.describe(
    "age recipients that every data key is wrapped for: the operational one, then the offline recovery one",
  ),
  identity: secretReferenceSchema.describe("where the operational age identity is kept"),
  signing: secretReferenceSchema.describe("where the key is kept that this machine signs with"),
});

const trustOfFileSchema = z.strictObject({
  id: trustIdSchema.describe("made once for this region and its peer: what is signed for others means nothing here"),
  keys: z
    .array(trustedKeySchema.omit({ job: true, region: true }))
    .min(1)
    .describe("public keys that are believed: this machine's, and those of people who run commands elsewhere"),
});

const schedulesSchema = z.strictObject({
  full: scheduleSchema.default("0 2 * * *").describe("full captures"),
  incremental: scheduleSchema.default("0 */4 * * *").describe("incremental captures"),
  verify: scheduleSchema.default("0 4 * * *").describe("reads of every byte of the newest recovery point"),
  testRestore: scheduleSchema.default("0 5 * * 0").describe("test restores of the newest recovery point"),
  prune: scheduleSchema.default("30 5 * * *").describe("removal of what `retention` no longer keeps"),
  drill: scheduleSchema
    .default("0 6 1 * *")
    .describe(
      "rehearsals of a failover to this region, in the Qdrant that `testRestore` names; none without it, or without `peer`",
    ),
});

const webhookSchema = z.strictObject({
  url: secretReferenceSchema.describe("where its URL is kept, which lets everybody send there"),
  form: z.enum(["json", "slack", "teams"]).default("json").describe("how the message is written"),
});

const emailSchema = z.strictObject({
  host: z.string().min(1).describe("the SMTP server"),
  port: z.number().int().min(1).max(65_535).default(587).describe("its port"),
  security: z
    .enum(["starttls", "tls", "none"])
    .default("starttls")
    .describe("`starttls`: encrypted, or nothing is sent; `tls`: from the first byte (port 465); `none`: in the clear"),
  user: z.string().min(1).optional().describe("name to log in with; without one nobody logs in"),
  password: secretReferenceSchema.optional().describe("where the password is kept"),
  from: z.email().describe("sender"),
  to: z.array(z.email()).min(1).describe("receivers"),
});

const alertsSchema = z.strictObject({
  webhooks: z.array(webhookSchema).default([]).describe("told when a run fails, does not happen, or goes well again"),
  email: emailSchema.optional().describe("told of the same by e-mail"),
  heartbeat: secretReferenceSchema
    .optional()
    .describe("where a URL is kept that is called after each good run: whoever watches it notices a dead machine"),
});

/** Beside those of a Qdrant on the same machine. */
export const usualGatePorts = { rest: 6433, grpc: 6434, control: 6435 } as const;
const port = z.number().int().min(1).max(65_535);

const leaseSchema = z.strictObject({
  store: storeLocationSchema.describe(
    "where the lease is kept: a store that neither region's loss takes away, the same in both files",
  ),
  s3: s3Schema.optional().describe("more about a store at `s3://`"),
  seconds: z
    .number()
    .min(5)
    .max(mostLeaseSeconds)
    .default(15)
    .describe(
      "how long a gate that does not see the store goes on, and the other region waits; the same in both files",
    ),
});

const gateSchema = z
  .strictObject({
    url: serverUrlSchema.describe("its URL, as clients reach it"),
    host: z.string().min(1).default("127.0.0.1").describe("address that it listens on"),
    port: port.default(usualGatePorts.rest).describe("port that it listens on, for REST and gRPC"),
    grpcPort: port
      .default(usualGatePorts.grpc)
      .describe("another one, for clients that expect gRPC beside REST; the same as `port` for none"),
    tls: z
      .strictObject({
        certificate: z
          .string()
          .min(1)
          .describe("file with its certificate (PEM, with its chain); read again when it changes"),
        key: z.string().min(1).describe("file with the certificate's private key (PEM)"),
      })
      .optional()
      .describe("its certificate, for clients and its control"),
    plaintext: z
      .boolean()
      .default(false)
      .describe("whether it may speak HTTP in the clear on other addresses than this machine's own"),
    qdrantGrpc: serverUrlSchema
      .optional()
      .describe("URL of Qdrant's gRPC; when left out, the host of `qdrant.url` at port 6334"),
    clientKey: secretReferenceSchema.describe(
      "where the key is kept that clients show, to read and write points, collections, aliases and indexes: the same in both regions",
    ),
    readOnlyKey: secretReferenceSchema.optional().describe("where a key is kept that may only read"),
    administratorKey: secretReferenceSchema
      .optional()
      .describe("where a key is kept that may do everything, such as snapshots and changes of the cluster"),
    otherKeys: z.enum(otherKeys).default("refuse").describe(otherKeysDescription),
    limits: gateLimitsSchema.prefault({}).describe("what it takes of clients"),
    journal: journalSettingsSchema
      .optional()
      .describe(
        "keeps a journal of what clients change in the other region's store, which a standby follows; none when left out",
      ),
    controlHost: z.string().min(1).optional().describe("address that its control listens on; `host` when left out"),
    controlPort: port.default(usualGatePorts.control).describe("port of its control, which clients need not reach"),
    controlUrl: serverUrlSchema
      .optional()
      .describe("URL of its control, as commands reach it; when left out, the host of `url` at `controlPort`"),
    controlToken: secretReferenceSchema.describe("where the token is kept that commands show to its control"),
    lease: leaseSchema
      .optional()
      .describe(
        "in both regions' files: the gates work in mode `consistency` then, and let clients through only while they hold a lease in a third place",
      ),
  })
  .refine(({ host, plaintext, tls }) => plaintext || tls !== undefined || isThisMachine(host), {
    path: ["tls"],
    message: "a certificate, or `plaintext: true` where the network is private: clients and keys pass there",
  });

function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}

const peerSchema = z.strictObject({
  region: nameSchema.describe("how the other region is called"),
  qdrant: qdrantSchema.describe("its Qdrant"),
  store: storeLocationSchema.describe("where its recovery points and records are kept, as it is reached from here"),
  s3: s3Schema.optional().describe("more about a store at `s3://`"),
  gate: z
    .strictObject({
      url: serverUrlSchema.describe("its URL, as this machine reaches it"),
      controlUrl: serverUrlSchema
        .optional()
        .describe(
          `URL of its control, as this machine reaches it; when left out, the host of \`url\` at port ${usualGatePorts.control}`,
        ),
      controlToken: secretReferenceSchema.describe("where the token is kept that commands show to its control"),
    })
    .optional()
    .describe("its gate; without one nothing can stop its writes, and no switchover is done"),
  signingKey: publicKeySchema
    .optional()
    .describe("public key of its machine; left out when that is among `trust.keys`"),
});

const serveSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("address that metrics and health are served on"),
  port: z.number().int().min(0).max(65_535).default(9464).describe("port; 0 takes any that is free"),
});

export const regionSettingsSchema = z
  .strictObject({
    region: nameSchema.default("main").describe("how this region is called in recovery points and records"),
    qdrant: qdrantSchema.describe("the Qdrant that is protected"),
    store: storeLocationSchema.describe(
      "where recovery points and records are kept: a folder, or `s3://bucket/prefix`; relative to the settings file",
    ),
    s3: s3Schema.optional().describe("more about a store at `s3://`"),
    keys: keysSchema.describe("keys that recovery points are encrypted and signed with"),
    trust: trustOfFileSchema.describe("who is believed about what the store holds; `init` writes it"),
    exclude: z
      .array(z.string().min(1).max(255))
      .default([])
      .describe("collections that are not captured: names, or patterns such as `tmp_*`"),
    configuration: z.array(folderSelectionSchema).default([]).describe("folders of configuration to capture, too"),
    userData: z
      .array(folderSelectionSchema)
      .default([])
      .describe("folders of user data to capture, too; SQLite databases in them are copied consistently"),
    objectives: z
      .strictObject({
        rtoMinutes: z.number().positive().default(30).describe("longest time until clients are served again"),
        rpoMinutes: z
          .number()
          .positive()
          .optional()
          .describe(
            "most minutes of acknowledged writes that may be lost; when left out, the longest time between two captures and a quarter more",
          ),
      })
      .prefault({})
      .describe("what the region promises; a schedule that cannot reach it is refused"),
    schedules: schedulesSchema
      .prefault({})
      .describe("when `serve` does what: cron expressions of five fields, in UTC; `off` switches one off"),
    testRestore: z
      .strictObject({
        qdrant: serverUrlSchema.describe("its URL"),
        apiKey: secretReferenceSchema.optional().describe("where its key is kept"),
      })
      .optional()
      .describe("a Qdrant of its own for test restores; when left out, they use the protected one under scratch names"),
    retention: retentionSettingsSchema.prefault({}).describe("how long recovery points are kept"),
    alerts: alertsSchema.prefault({}).describe("who is told when something goes wrong"),
    gate: gateSchema.optional().describe("the gate in front of this Qdrant, which `qdrant-dr gate` runs"),
    peer: peerSchema.optional().describe("the other region of a pair; this one has no peer when left out"),
    kubernetes: clusterOfFileSchema
      .optional()
      .describe("a cluster in which the jobs run instead of `serve`: `export kubernetes` writes their manifests"),
    serve: serveSchema.prefault({}).describe("where `serve` shows metrics and its health"),
  })
  .superRefine(agrees);
export type RegionSettings = z.infer<typeof regionSettingsSchema>;

function agrees(
  { alerts, configuration, gate, objectives, peer, region, s3, schedules, store, userData }: RegionSettings,
  { addIssue }: z.RefinementCtx,
) {
  const refuse = (path: string[], message: string) => addIssue({ code: "custom", path, message });
  const location = readStoreLocation(store);
  if ("kind" in location && location.kind === "file" && s3 !== undefined) {
    refuse(["s3"], "for a store at s3:// only: leave it out");
  }
  if (peer?.region === region) refuse(["peer", "region"], "another name than this region's");
  if (peer !== undefined && peer.store === store && peer.s3?.endpoint === s3?.endpoint) {
    refuse(["peer", "store"], "another store than this region's: what is lost with one must be in the other");
  }
  if (gate?.journal !== undefined && peer === undefined) {
    refuse(["gate", "journal"], "a peer: the journal is kept in the other region's store");
  }
  if (gate?.lease !== undefined && [store, peer?.store].includes(gate.lease.store)) {
    refuse(["gate", "lease", "store"], "a third place: it must answer when a region is lost with its store");
  }
  const names = [...configuration, ...userData].map(({ name }) => name);
  if (new Set(names).size < names.length) refuse(["userData"], "folders of different names");
  const gap = captureGapMinutes(schedules);
  if (objectives.rpoMinutes !== undefined && gap !== undefined && objectives.rpoMinutes < gap) {
    refuse(["objectives", "rpoMinutes"], `${gap} or more, the longest time between two captures of schedules`);
  }
  const { email } = alerts;
  if (email !== undefined && (email.user === undefined) !== (email.password === undefined)) {
    refuse(["alerts", "email"], "user and password belong together");
  }
}

/** The longest time between two captures; undefined when no schedule makes any. */
export function captureGapMinutes({
  full,
  incremental,
}: Pick<RegionSettings["schedules"], "full" | "incremental">): number | undefined {
  const gaps = [full, incremental].filter((schedule) => schedule !== off).map(longestGapMinutes);
  return gaps.length === 0 ? undefined : Math.min(...gaps);
}

/** @throws SETTING_INVALID naming every setting that is wrong, and showing no secret. */
export function parseRegionSettings(file: string, given: unknown): RegionSettings {
  const result = regionSettingsSchema.safeParse(given);
  if (result.success) return result.data;
  throw new DrError(
    "SETTING_INVALID",
    `${file}: ${problemsInWords(result.error.issues, given, { showsGroups: false }).join("; ")}`,
    {
      hint: "correct it there; docs/reference/settings.md describes every setting",
    },
  );
}
