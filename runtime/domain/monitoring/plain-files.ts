/** Everything that watches a region, as files for a Prometheus, an Alertmanager and a Grafana that nobody runs by an operator. */
import { stringify } from "yaml";
import { alertmanagerConfig, type Receivers, secretFilesOf } from "./alertmanager.ts";
import type { AlertSettings } from "./alerts.ts";
import { dashboardsOf } from "./dashboards.ts";
import { ruleGroupsOf } from "./rule-groups.ts";

export interface WatchedRegion {
  readonly alerts: AlertSettings;
  /** host:port at which Prometheus reaches its metrics. */
  readonly target: string;
  readonly receivers: Receivers;
}

/** Texts by the path of their file. */
export function monitoringFiles({ alerts, receivers, target }: WatchedRegion): ReadonlyMap<string, string> {
  const rules = `qdrant-dr-${alerts.region}.rules.yml`;
  const prometheus = {
    rule_files: [rules],
    scrape_configs: [{ job_name: `qdrant-dr-${alerts.region}`, static_configs: [{ targets: [target] }] }],
    alerting: { alertmanagers: [{ static_configs: [{ targets: ["127.0.0.1:9093"] }] }] },
  };
  return new Map([
    [
      "prometheus/prometheus.yml",
      yaml(
        prometheus,
        "For a Prometheus of its own. One that is there already takes these three blocks into its file.",
      ),
    ],
    [
      `prometheus/${rules}`,
      yaml({ groups: ruleGroupsOf(alerts) }, `Records and alerts of the region ${alerts.region}.`),
    ],
    [
      "alertmanager/alertmanager.yml",
      yaml(
        alertmanagerConfig(receivers),
        "Put your addresses in the place of those at example.com and of #qdrant. Secrets are files, readable for Alertmanager only:",
        ...secretFilesOf(receivers).map((file) => `  ${file}`),
      ),
    ],
    ...Object.entries(dashboardsOf(alerts.objectives)).map(([name, text]) => [`grafana/${name}`, `${text}\n`] as const),
  ]);
}

function yaml(value: object, ...comments: readonly string[]): string {
  const lines = ["Made by `qdrant-dr export monitoring`.", ...comments];
  return `${lines.map((line) => `# ${line}\n`).join("")}${stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
