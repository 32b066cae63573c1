/**
 * How Alertmanager leads the alerts of regions to people: by severity, with consequences held back while their cause is told. Every secret is a
 * file on Alertmanager's machine.
 */
export const receiverKinds = ["email", "slack", "pagerduty", "webhook"] as const;
export type ReceiverKind = (typeof receiverKinds)[number];

export interface EmailAddresses {
  /** host:port */
  readonly smarthost: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly user?: string | undefined;
}

/** Where secrets are expected. */
const secrets = "/etc/alertmanager/secrets";

/** Addresses of nobody, to be replaced. */
export const placeholderEmail: EmailAddresses = {
  smarthost: "smtp.example.com:587",
  from: "qdrant-dr@example.com",
  to: ["on-call@example.com"],
  user: "qdrant-dr@example.com",
};

/** A cause, and the alerts that tell nothing new while it is told. */
const consequences: readonly (readonly [cause: string, consequences: readonly string[]])[] = [
  // Whatever was found before it is older than it looks.
  ["QdrantDrExporterGone", ["QdrantDr.+"]],
  [
    "QdrantDrStoreDown",
    [
      "QdrantDrCannotTakeOver",
      "QdrantDrCaptureOverdue",
      "QdrantDrCopyOverdue",
      "QdrantDrFullCaptureOverdue",
      "QdrantDrNotReady",
      "QdrantDrNothingRestorable",
      "QdrantDrRpoMissed",
      "QdrantDrRunFailed",
      "QdrantDrStandbyBehind",
      "QdrantDrStandbyNotExact",
      "QdrantDrTestRestoreOverdue",
      "QdrantDrVerificationOverdue",
    ],
  ],
  [
    "QdrantDrQdrantDown",
    [
      "QdrantDrCannotTakeOver",
      "QdrantDrCaptureOverdue",
      "QdrantDrFullCaptureOverdue",
      "QdrantDrNotReady",
      "QdrantDrStandbyBehind",
      "QdrantDrStandbyNotExact",
    ],
  ],
  ["QdrantDrCaptureOverdue", ["QdrantDrFullCaptureOverdue"]],
  ["QdrantDrRpoMissed", ["QdrantDrCopyOverdue", "QdrantDrStandbyBehind", "QdrantDrStandbyNotExact"]],
  ["QdrantDrCannotTakeOver", ["QdrantDrNotReady"]],
];

/** What a message in a chat says. */
export const chatMessage = {
  title: "{{ .GroupLabels.region }}: {{ .Alerts.Firing | len }} alerts",
  text: "{{ range .Alerts.Firing }}{{ .Annotations.summary }}\n{{ .Annotations.runbook }}\n{{ end }}",
} as const;

/** All that is wrong with a region comes as one message. */
export const grouping = { by: ["region"], wait: "30s", interval: "5m", repeat: "4h" } as const;

export interface Receivers {
  readonly kinds: readonly ReceiverKind[];
  readonly email: EmailAddresses;
}

/** Alertmanager's configuration, as its file holds it. */
export function alertmanagerConfig({ email, kinds }: Receivers) {
  const quiet = kinds.filter((kind) => kind !== "pagerduty");
  return {
    route: {
      receiver: "qdrant-dr-warning",
      group_by: grouping.by,
      group_wait: grouping.wait,
      group_interval: grouping.interval,
      repeat_interval: grouping.repeat,
      routes: [{ matchers: ['severity="critical"'], receiver: "qdrant-dr-critical", repeat_interval: "1h" }],
    },
    inhibit_rules: consequences.map(([cause, follow]) => ({
      source_matchers: [`alertname="${cause}"`],
      target_matchers: [`alertname=~"${follow.join("|")}"`],
      equal: ["region"],
    })),
    receivers: [
      { name: "qdrant-dr-critical", ...receiverOf(kinds, email) },
      // A pager is for what cannot wait; where there is nothing else it gets warnings too.
      { name: "qdrant-dr-warning", ...receiverOf(quiet.length === 0 ? kinds : quiet, email) },
    ],
  };
}

function receiverOf(kinds: readonly ReceiverKind[], { from, smarthost, to, user }: EmailAddresses) {
  const login = user === undefined ? {} : { auth_username: user, auth_password_file: `${secrets}/smtp-password` };
  const told = { send_resolved: true };
  const configs = {
    email: { email_configs: [{ to: to.join(", "), from, smarthost, ...login, ...told }] },
    slack: { slack_configs: [{ api_url_file: `${secrets}/slack-url`, channel: "#qdrant", ...chatMessage, ...told }] },
    pagerduty: {
      pagerduty_configs: [
        { routing_key_file: `${secrets}/pagerduty-routing-key`, severity: "{{ .CommonLabels.severity }}", ...told },
      ],
    },
    webhook: { webhook_configs: [{ url_file: `${secrets}/webhook-url`, ...told }] },
  };
  return Object.assign({}, ...kinds.map((kind) => configs[kind]));
}

/** The files of secrets that the receivers read. */
export function secretFilesOf({ email, kinds }: Receivers): string[] {
  const files = {
    email: email.user === undefined ? [] : ["smtp-password"],
    slack: ["slack-url"],
    pagerduty: ["pagerduty-routing-key"],
    webhook: ["webhook-url"],
  };
  return kinds.flatMap((kind) => files[kind]).map((name) => `${secrets}/${name}`);
}
