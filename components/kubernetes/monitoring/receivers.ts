import { chatMessage, grouping } from "../../../runtime/domain/monitoring/alertmanager.ts";
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
      groupBy: grouping.by,
      groupWait: grouping.wait,
      groupInterval: grouping.interval,
      repeatInterval: grouping.repeat,
    },
    receivers: [{ name, ...addressed(settings) }],
  };
}

function addressed(settings: ReceiverSettings): Omit<AlertmanagerSpec["receivers"][number], "name"> {
  const { secret } = settings;
  if (settings.kind === "webhook") return { webhookConfigs: [{ urlSecret: secret, sendResolved: true }] };
  if (settings.kind === "pagerduty") return { pagerdutyConfigs: [{ routingKey: secret, sendResolved: true }] };
  return { slackConfigs: [{ apiURL: secret, channel: settings.channel, sendResolved: true, ...chatMessage }] };
}
