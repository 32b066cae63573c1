import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { jobTable, objectNameOf } from "../../../runtime/domain/jobs.ts";
import type { AlertSettings } from "../../../runtime/domain/monitoring/alerts.ts";
import { dashboardsOf } from "../../../runtime/domain/monitoring/dashboards.ts";
import { ruleGroupsOf } from "../../../runtime/domain/monitoring/rule-groups.ts";
import { exporterPort } from "../../../runtime/domain/network/ports.ts";
import type { MonitoringSettings } from "../../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf, selectorOf } from "../labels.ts";
import { type ProductPodBase, productPod } from "../product-pod.ts";
import { operatorObject } from "./operator-objects.ts";
import { alertRoute } from "./receivers.ts";

export interface MonitoringArgs extends ProductPodBase {
  readonly namespace: pulumi.Input<string>;
  readonly monitoring: MonitoringSettings;
  readonly alerts: AlertSettings;
}

const exporterName = objectNameOf("exporter");

/**
 * The monitoring of a region: the exporter; for the operator's Prometheus what is scraped and the alerts, for its Alertmanager their
 * route, for its Grafana dashboards. Nothing in it depends on the region's role: the alerts ask for it.
 */
export class Monitoring extends pulumi.ComponentResource {
  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Monitoring", name, {}, opts);
    const { alerts, monitoring, namespace, ...base } = args;
    const { dashboardLabels, operator } = monitoring;
    const child = { parent: this };
    const metadata = { name: exporterName, namespace, labels: labelsOf(exporterName) };
    const forOperator = { ...metadata, labels: { ...labelsOf(exporterName), ...operator.labels } };

    new k8s.apps.v1.Deployment(`${name}-exporter`, { metadata, spec: exporter(base) }, child);
    operatorObject(
      "PodMonitor",
      `${name}-scrape`,
      {
        metadata: forOperator,
        spec: {
          selector: { matchLabels: selectorOf(exporterName) },
          podMetricsEndpoints: [{ port: "metrics", interval: "30s", scrapeTimeout: "10s" }],
        },
      },
      child,
    );
    operatorObject(
      "PrometheusRule",
      `${name}-alerts`,
      {
        metadata: forOperator,
        spec: { groups: ruleGroupsOf(alerts) },
      },
      child,
    );
    if (operator.receiver !== undefined) {
      const spec = alertRoute(alerts.region, operator.receiver);
      operatorObject("AlertmanagerConfig", `${name}-route`, { metadata: forOperator, spec }, child);
    }
    for (const [file, json] of Object.entries(dashboardsOf(alerts.objectives))) {
      const dashboard = file.replace(".json", "");
      new k8s.core.v1.ConfigMap(
        `${name}-${dashboard}`,
        {
          metadata: { name: dashboard, namespace, labels: { ...labelsOf(exporterName), ...dashboardLabels } },
          data: { [file]: json },
        },
        child,
      );
    }
    this.registerOutputs();
  }
}

function exporter(base: ProductPodBase): k8s.types.input.apps.v1.DeploymentSpec {
  const health = { httpGet: { path: "/healthz", port: "metrics" } };
  return {
    replicas: 1,
    // Two of them would tell everything twice.
    strategy: { type: "Recreate" },
    selector: { matchLabels: selectorOf(exporterName) },
    template: productPod({
      ...base,
      job: "exporter",
      command: jobTable.exporter.runs.command(base.settings),
      container: {
        ports: [{ name: "metrics", containerPort: exporterPort }],
        readinessProbe: { ...health, periodSeconds: 10 },
        livenessProbe: { ...health, periodSeconds: 30, failureThreshold: 5 },
      },
    }),
  };
}
