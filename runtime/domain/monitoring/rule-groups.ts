/** Everything that Prometheus runs for a region, as its rule files and the operator's rules hold it. */
import { type Alert, type AlertSettings, alertsOf } from "./alerts.ts";
import { type Recording, recordingsOf } from "./recordings.ts";

export interface RuleGroup {
  readonly name: string;
  readonly interval: string;
  readonly rules: readonly (Alert | Recording)[];
}

export function ruleGroupsOf(settings: AlertSettings): RuleGroup[] {
  const name = `qdrant-dr-${settings.region}`;
  return [
    { name: `${name}-recordings`, interval: "30s", rules: recordingsOf(settings) },
    { name, interval: "30s", rules: alertsOf(settings) },
  ];
}
