import type { ReceiverSettings } from "../../../runtime/domain/settings/kubernetes-settings.ts";
import type { AlertmanagerSpec } from "./operator-objects.ts";

const name = "qdrant-dr";

/** Leads a region's alerts to one receiver, whose address is in a Secret that is there. */
export function alertRoute(region: string, settings: ReceiverSettings): AlertmanagerSpec {
  return {
    route: {
      receiver: name,
      matchers: [
        { name: "alertname", matchType: "=~", value: "QdrantDr.+" },
        { name: "region", matchType: "=", value: region },
      ],
      // All that is wrong with a region comes as one.
      groupBy: ["region"],
      groupWait: "30s",
      groupInterval: "5m",
      repeatInterval: "4h",
    },
    receivers: [{ name, ...addressed(settings) }],
  };
}

function addressed(settings: ReceiverSettings): Omit<AlertmanagerSpec["receivers"][number], "name"> {
  const { secret } = settings;
  if (settings.kind === "webhook") return { webhookConfigs: [{ urlSecret: secret, sendResolved: true }] };
  if (settings.kind === "pagerduty") return { pagerdutyConfigs: [{ routingKey: secret, sendResolved: true }] };
  const title = "{{ .GroupLabels.region }}: {{ .Alerts.Firing | len }} alerts";
  const text = "{{ range .Alerts.Firing }}{{ .Annotations.summary }}\n{{ .Annotations.runbook }}\n{{ end }}";
  return { slackConfigs: [{ apiURL: secret, channel: settings.channel, sendResolved: true, title, text }] };
}
