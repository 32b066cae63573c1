/** Objects of the Prometheus operator, as far as they are declared here. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { RuleGroup } from "../../../runtime/domain/monitoring/rule-groups.ts";

type Metadata = k8s.types.input.meta.v1.ObjectMeta;

interface SecretKey {
  readonly name: string;
  readonly key: string;
}

interface Specs {
  PodMonitor: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly { port: string; interval: string; scrapeTimeout: string }[];
  };
  PrometheusRule: {
    readonly groups: readonly RuleGroup[];
  };
  AlertmanagerConfig: {
    readonly route: {
      readonly receiver: string;
      readonly groupBy: readonly string[];
      readonly groupWait: string;
      readonly groupInterval: string;
      readonly repeatInterval: string;
      readonly matchers: readonly { name: string; matchType: "=" | "=~"; value: string }[];
    };
    readonly receivers: readonly {
      readonly name: string;
      readonly webhookConfigs?: readonly { readonly urlSecret: SecretKey; readonly sendResolved: boolean }[];
      readonly slackConfigs?: readonly {
        readonly apiURL: SecretKey;
        readonly channel: string;
        readonly sendResolved: boolean;
        readonly title: string;
        readonly text: string;
      }[];
      readonly pagerdutyConfigs?: readonly { readonly routingKey: SecretKey; readonly sendResolved: boolean }[];
    }[];
  };
}

const versions = {
  PodMonitor: "monitoring.coreos.com/v1",
  PrometheusRule: "monitoring.coreos.com/v1",
  AlertmanagerConfig: "monitoring.coreos.com/v1alpha1",
} as const;

export function operatorObject<Kind extends keyof Specs>(
  kind: Kind,
  name: string,
  { metadata, spec }: { readonly metadata: Metadata; readonly spec: Specs[Kind] },
  opts: pulumi.CustomResourceOptions,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(name, { apiVersion: versions[kind], kind, metadata, spec }, opts);
}

export type AlertmanagerSpec = Specs["AlertmanagerConfig"];
