/** The variables of the environment that deployments use: `.env.example` shows them, and the Compose file takes its defaults from them. */

export interface Variable {
  readonly name: string;
  readonly meaning: string;
  /** Absent: it has none. */
  readonly fallback?: string;
  /** Nothing starts without it. */
  readonly isRequired?: true;
}

interface Group {
  readonly title: string;
  readonly variables: readonly Variable[];
}

export const environment = {
  secrets: {
    title: "Secrets: nothing starts without them. `openssl rand -hex 32` makes one.",
    variables: [
      { name: "QDRANT_API_KEY", meaning: "key of Qdrant, for it and for qdrant-dr", isRequired: true },
      { name: "AWS_ACCESS_KEY_ID", meaning: "id of the access key of the S3 store", isRequired: true },
      { name: "AWS_SECRET_ACCESS_KEY", meaning: "secret access key of the S3 store", isRequired: true },
    ],
  },
  store: {
    title: "Where recovery points are kept. A store on the same machine is lost with it: name a bucket elsewhere.",
    variables: [
      { name: "QDRANT_DR_STORE", meaning: "bucket and prefix", fallback: "s3://recovery-points" },
      {
        name: "QDRANT_DR_S3_ENDPOINT",
        meaning: "URL of the S3 server; https://s3.REGION.amazonaws.com for AWS",
        fallback: "http://store:8333",
      },
      { name: "AWS_REGION", meaning: "region of the bucket", fallback: "us-east-1" },
    ],
  },
  alerts: {
    title: "Secrets of alerts, for the settings that name them: alerts.webhooks, alerts.email, alerts.heartbeat.",
    variables: [
      { name: "QDRANT_DR_WEBHOOK_URL", meaning: "webhook that is told when something goes wrong" },
      { name: "QDRANT_DR_SMTP_PASSWORD", meaning: "password of the mail account" },
      { name: "QDRANT_DR_HEARTBEAT_URL", meaning: "URL that is called after each good run" },
    ],
  },
  machine: {
    title: "This machine.",
    variables: [
      { name: "QDRANT_PORT", meaning: "port of 127.0.0.1 for Qdrant", fallback: "6333" },
      { name: "METRICS_PORT", meaning: "port of 127.0.0.1 for metrics and health", fallback: "9464" },
    ],
  },
  images: {
    title: "Images.",
    variables: [
      {
        name: "QDRANT_DR_IMAGE",
        meaning: "this product; built from the checkout when it is not there",
        fallback: "qdrant-dr",
      },
      { name: "QDRANT_IMAGE", meaning: "Qdrant", fallback: "qdrant/qdrant:v1.16.3" },
      { name: "STORE_IMAGE", meaning: "the S3 store", fallback: "chrislusf/seaweedfs:4.48" },
    ],
  },
} as const satisfies Readonly<Record<string, Group>>;

/** Read by the product itself, wherever it runs. */
const everywhere: Group = {
  title: "Read by qdrant-dr wherever it runs, also without Compose.",
  variables: [
    {
      name: "QDRANT_DR_SETTINGS",
      meaning: "the settings file, where no --settings names it; ./qdrant-dr.yaml when left out",
    },
    { name: "QDRANT_DR_DEBUG", meaning: "1 shows where in the program an error came up" },
    { name: "AWS_PROFILE", meaning: "profile of ~/.aws whose credentials are used, SSO too" },
    { name: "NODE_EXTRA_CA_CERTS", meaning: "file with the certificates of your own authority" },
  ],
};

export function environmentExample(): string {
  const groups: readonly Group[] = [...Object.values(environment), everywhere];
  const head = [
    "# Every variable of the environment, with its meaning. For Compose: `cp .env.example .env`, then fill in the secrets.",
    "# What is protected, when, and who is told is not set here but in qdrant-dr.yaml: see qdrant-dr.example.yaml.",
  ];
  return `${[head.join("\n"), ...groups.map(groupText)].join("\n\n")}\n`;
}

function groupText({ title, variables }: Group): string {
  return [`# ${title}`, ...variables.flatMap(variableLines)].join("\n");
}

/** What has to be filled in, or has a default, is set; the rest is shown. */
function variableLines({ fallback, isRequired, meaning, name }: Variable): string[] {
  const isSet = isRequired === true;
  return [`# ${meaning}`, `${isSet ? "" : "# "}${name}=${fallback ?? ""}`];
}
