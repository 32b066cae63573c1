/** A settings file with every setting, its meaning from the schema, and a value: what is not needed is behind a `#`. */
import { z } from "zod";
import { regionSettingsSchema } from "../../runtime/domain/settings/region-settings.ts";

/** Of nobody's: the bytes are zero. */
const examplePublicKey = `qdrant-dr-key-${"A".repeat(43)}`;

/** A value for each setting that has no default; `peers` stands for `url` where Qdrant is a cluster. */
export const exampleSettings = {
  qdrant: {
    url: "http://127.0.0.1:6333",
    peers: ["http://qdrant-0:6333", "http://qdrant-1:6333"],
    apiKey: { env: "QDRANT_API_KEY" },
  },
  store: "s3://recovery-points/search",
  s3: {
    region: "eu-central-1",
    endpoint: "https://s3.example.com",
    credentials: { accessKeyId: { env: "AWS_ACCESS_KEY_ID" }, secretAccessKey: { file: "secret-access-key" } },
  },
  keys: {
    recipients: [
      "age1operationalxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
      "age1offlinexxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
    identity: { file: "qdrant-dr.key" },
    signing: { file: "qdrant-dr.signing-key" },
  },
  trust: {
    id: "one-id-for-both-regions",
    keys: [{ name: "main", key: examplePublicKey, revoked: { epoch: 3, at: "2026-05-31T14:30:00.000Z" } }],
  },
  exclude: ["tmp_*"],
  configuration: [{ name: "application", path: "/etc/application", include: ["**"], exclude: ["*.bak"] }],
  userData: [{ name: "uploads", path: "/var/lib/application", include: ["uploads/**"], exclude: ["**/*.tmp"] }],
  objectives: { rpoMinutes: 300 },
  retention: {
    days: 30,
    newestWithinHours: 48,
    folders: { days: 90, fourHourlyDays: 14, quarterHourlyDays: 2 },
    infrastructure: { days: 365, fourHourlyDays: 7, quarterHourlyDays: 1 },
  },
  testRestore: { qdrant: "http://127.0.0.1:7333", apiKey: { env: "QDRANT_TEST_API_KEY" } },
  alerts: {
    webhooks: [{ url: { env: "QDRANT_DR_WEBHOOK_URL" }, form: "slack" }],
    email: {
      host: "smtp.example.com",
      user: "qdrant-dr@example.com",
      password: { env: "QDRANT_DR_SMTP_PASSWORD" },
      from: "qdrant-dr@example.com",
      to: ["on-call@example.com"],
    },
    heartbeat: { env: "QDRANT_DR_HEARTBEAT_URL" },
  },
  gate: {
    url: "https://main.example:6433",
    tls: { certificate: "/etc/qdrant-dr/tls.crt", key: "/etc/qdrant-dr/tls.key" },
    qdrantGrpc: "http://127.0.0.1:6334",
    clientKey: { file: "client-key" },
    readOnlyKey: { file: "read-only-key" },
    administratorKey: { file: "administrator-key" },
    limits: { answerWithinSeconds: 600 },
    controlHost: "10.0.0.1",
    controlUrl: "https://main.example:6435",
    controlToken: { file: "gate-token" },
    lease: {
      store: "s3://witness/search",
      s3: {
        region: "eu-north-1",
        endpoint: "https://s3.witness.example",
        credentials: {
          accessKeyId: { env: "WITNESS_ACCESS_KEY_ID" },
          secretAccessKey: { file: "witness-secret-access-key" },
        },
      },
    },
  },
  kubernetes: {
    namespace: "qdrant-dr",
    image: `registry.example/qdrant-dr@sha256:${"0".repeat(64)}`,
    qdrant: { namespace: "search", podLabels: { app: "qdrant" }, tlsSecret: "qdrant-tls" },
    throwaway: { image: `docker.io/qdrant/qdrant@sha256:${"0".repeat(64)}`, storageGib: 50, storageClass: "fast" },
    claims: [{ claim: "uploads", path: "/var/lib/application", user: 1000, group: 1000 }],
    egressCidrs: ["10.0.0.0/8"],
  },
  peer: {
    region: "standby",
    qdrant: {
      url: "http://standby.example:6333",
      peers: ["http://standby-0:6333", "http://standby-1:6333"],
      apiKey: { file: "standby-qdrant-key" },
    },
    store: "s3://standby-recovery-points/search",
    s3: {
      region: "eu-west-1",
      endpoint: "https://s3.standby.example",
      credentials: {
        accessKeyId: { env: "STANDBY_ACCESS_KEY_ID" },
        secretAccessKey: { file: "standby-secret-access-key" },
      },
    },
    gate: {
      url: "https://standby.example:6433",
      controlUrl: "https://standby.example:6435",
      controlToken: { file: "standby-gate-token" },
    },
    signingKey: examplePublicKey,
  },
} as const;

/** A test refuses it: a new setting without a default needs a value above. */
export const noExample = "…";

interface Node {
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly items?: Node | undefined;
}

const nodeSchema: z.ZodType<Node> = z.lazy(() =>
  z.looseObject({
    description: z.string().optional(),
    default: z.unknown().optional(),
    properties: z.record(z.string(), nodeSchema).optional(),
    required: z.array(z.string()).optional(),
    items: nodeSchema.optional(),
  }),
);

export function settingsExample(): string {
  const root = nodeSchema.parse(z.toJSONSchema(regionSettingsSchema, { io: "input", unrepresentable: "any" }));
  const head = [
    "# Every setting of qdrant-dr.yaml, with its default or an example. `qdrant-dr init` writes what you need of it.",
    "# A secret is never in it: { env: NAME } or { file: path } says where it is kept.",
  ];
  return `${[...head, ...settingsOf(root, exampleSettings, "")].join("\n")}\n`;
}

/** Of two that exclude each other these are chosen. */
const chosen: readonly string[] = ["qdrant.url", "peer.qdrant.url"];

function settingsOf({ properties = {}, required = [] }: Node, examples: object, group: string): string[] {
  return Object.entries(properties).flatMap(([name, node]) => {
    const example = (examples as Readonly<Record<string, unknown>>)[name];
    // An empty list shows nothing of what it may hold.
    const hasDefault = node.default !== undefined && !Array.isArray(node.default);
    const path = `${group}${name}`;
    const setting = settingOf(path, name, node, example ?? node.default);
    // A group of which nothing is set is nothing.
    const isEmpty = isGroup(node) && setting.slice(1).every((line) => line.trim().startsWith("#"));
    const isActive = !isEmpty && (required.includes(name) || hasDefault || chosen.includes(path));
    const lines = [...comment(node), ...setting];
    return isActive ? lines : lines.map((line) => (line.startsWith("# ") ? line : `# ${line}`));
  });
}

function comment({ description }: Node): string[] {
  return description === undefined ? [] : [`# ${description}`];
}

function settingOf(path: string, name: string, node: Node, value: unknown): string[] {
  if (isGroup(node)) {
    return [`${name}:`, ...indented(settingsOf(node, (value as object | undefined) ?? {}, `${path}.`))];
  }
  const { items } = node;
  if (items !== undefined && isGroup(items)) {
    return [`${name}:`, ...itemOf(items, (value as readonly object[])[0] ?? {})];
  }
  return [`${name}: ${value === undefined ? noExample : flow(value)}`];
}

/** One item of a list, the meanings behind its values. */
function itemOf({ properties = {} }: Node, example: object): string[] {
  const values = example as Readonly<Record<string, unknown>>;
  return Object.entries(properties).map(([name, { default: usual, description }], at) => {
    const value = values[name] ?? usual;
    return `${at === 0 ? "  - " : "    "}${name}: ${value === undefined ? noExample : flow(value)}${description === undefined ? "" : ` # ${description}`}`;
  });
}

/** References to secrets are written in one line. */
function isGroup({ properties = {} }: Node): boolean {
  const names = Object.keys(properties);
  return names.length > 0 && names.join() !== "env,file";
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, inner]) => `${name}: ${flow(inner)}`)
    .join(", ")} }`;
}
