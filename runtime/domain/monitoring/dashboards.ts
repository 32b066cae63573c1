/** Grafana dashboards, as the JSON that its sidecar loads: plain objects, the same each time. */
import type { MetricName } from "./metrics.ts";
import { series } from "./query.ts";
import { recorded } from "./recordings.ts";

export interface Panel {
  readonly title: string;
  readonly type: "stat" | "timeseries" | "bargauge" | "table";
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
  readonly unit: "s" | "short" | "percentunit" | "bool_yes_no" | "dateTimeFromNow";
  readonly width: number;
  /** Of a value that is worse the higher it is; without them nothing is coloured. */
  readonly limits?: { readonly warn: number; readonly bad: number } | undefined;
}

const region = "~$region";
const of = <Name extends MetricName>(name: Name, more: Parameters<typeof series<Name>>[1] = {}) =>
  series(name, { region, ...more } as Parameters<typeof series<Name>>[1]);
/** The share of the last 30 days in which this was so; a part of a day that nobody looked at does not count. */
const shareOf = (name: string) => `avg_over_time(${name}{region=~"$region"}[30d])`;
const ageOf = <Name extends MetricName>(name: Name, more: Parameters<typeof series<Name>>[1] = {}) =>
  `time() - ${of(name, more)}`;

/** Dashboards by the names of the files that the sidecar writes. */
export function dashboardsOf({ rpoMinutes }: { readonly rpoMinutes: number }): Readonly<Record<string, string>> {
  const rpo = { warn: (rpoMinutes * 60) / 3, bad: rpoMinutes * 60 };
  const dashboards = {
    "qdrant-dr-overview": dashboard("qdrant-dr-overview", "qdrant-dr: regions", [
      stat("Active region", of("qdrant_dr_role", { role: "active" }), "{{region}}", "bool_yes_no"),
      stat("Epoch", `max by (region) (${of("qdrant_dr_epoch")})`, "{{region}}", "short"),
      stat("Gate open", of("qdrant_dr_gate_open"), "{{region}}", "bool_yes_no"),
      stat("Readiness", of("qdrant_dr_readiness_score"), "{{region}}", "short"),
      {
        ...line("Age of what the region's bucket can restore", "s", 12, rpo),
        queries: [{ expr: ageOf("qdrant_dr_restorable_timestamp_seconds"), legend: "{{region}}" }],
      },
      {
        ...line("How far the standby is behind", "s", 12, rpo),
        queries: [
          { expr: ageOf("qdrant_dr_standby_timestamp_seconds"), legend: "{{region}}" },
          { expr: ageOf("qdrant_dr_standby_exact_timestamp_seconds"), legend: "{{region}}, exact" },
        ],
      },
      {
        ...line("Share of 30 days within the objective", "percentunit", 12),
        queries: [{ expr: shareOf(recorded.withinObjective), legend: "{{region}}" }],
      },
      {
        ...line("Share of 30 days in which the last run was well", "percentunit", 12),
        queries: [{ expr: shareOf(recorded.lastRunWell), legend: "{{region}} {{run}}" }],
      },
      {
        ...line("The gate's journal: how far it is behind", "s", 12),
        queries: [{ expr: of("qdrant_dr_journal_lag_seconds"), legend: "{{region}}" }],
      },
      {
        ...line("The gate's journal: what waits", "short", 12),
        queries: [
          { expr: of("qdrant_dr_journal_buffered_bytes"), legend: "{{region}}, bytes" },
          { expr: of("qdrant_dr_journal_late_writes"), legend: "{{region}}, writes without an answer" },
        ],
      },
      {
        ...line("The gate's journal: writes refused, or unprotected", "bool_yes_no", 12),
        queries: [
          { expr: of("qdrant_dr_journal_refuses_writes"), legend: "{{region}}, refused" },
          { expr: of("qdrant_dr_journal_unprotected"), legend: "{{region}}, unprotected" },
        ],
      },
      {
        ...line("Answers", "bool_yes_no", 12),
        queries: [{ expr: of("qdrant_dr_source_up"), legend: "{{region}} {{source}}" }],
      },
      {
        ...line("What the readiness lacks", "short", 12),
        queries: [{ expr: `${of("qdrant_dr_readiness_lost")} > 0`, legend: "{{region}} {{check}}" }],
      },
    ]),
    "qdrant-dr-points": dashboard("qdrant-dr-points", "qdrant-dr: recovery points and runs", [
      stat("Last verified point", ageOf("qdrant_dr_recovery_point_verified_timestamp_seconds"), "{{region}}", "s"),
      stat("Last restored point", ageOf("qdrant_dr_recovery_point_restored_timestamp_seconds"), "{{region}}", "s"),
      stat("Epoch since", ageOf("qdrant_dr_epoch_timestamp_seconds"), "{{region}}", "s"),
      stat("Exporter", of("qdrant_dr_exporter_info"), "{{region}} {{version}}", "short"),
      {
        ...line("Age of the newest complete recovery point", "s", 12),
        queries: [{ expr: ageOf("qdrant_dr_recovery_point_timestamp_seconds"), legend: "{{region}} {{type}}" }],
      },
      {
        ...line("Age of the newest exact point", "s", 12),
        queries: [{ expr: ageOf("qdrant_dr_recovery_point_exact_timestamp_seconds"), legend: "{{region}} {{type}}" }],
      },
      {
        ...line("Share of the repository that was read back within 30 days", "percentunit", 12),
        queries: [{ expr: of("qdrant_dr_repository_read_ratio"), legend: "{{region}}" }],
      },
      {
        ...line("Last run: exit code", "short", 12),
        queries: [{ expr: of("qdrant_dr_run_exit_code"), legend: "{{region}} {{run}}" }],
      },
      {
        ...line("Last run: duration", "s", 12),
        queries: [{ expr: of("qdrant_dr_run_seconds"), legend: "{{region}} {{run}}" }],
      },
      {
        ...line("Since the last success", "s", 12),
        queries: [{ expr: ageOf("qdrant_dr_run_success_timestamp_seconds"), legend: "{{region}} {{run}}" }],
      },
      {
        ...line("Since the last failure", "s", 12),
        queries: [{ expr: ageOf("qdrant_dr_run_failure_timestamp_seconds"), legend: "{{region}} {{run}}" }],
      },
      {
        ...line("How long a look takes", "s", 12),
        queries: [{ expr: of("qdrant_dr_source_look_seconds"), legend: "{{region}} {{source}}" }],
      },
      {
        ...line("Since the last answer", "s", 12),
        queries: [{ expr: ageOf("qdrant_dr_source_answer_timestamp_seconds"), legend: "{{region}} {{source}}" }],
      },
    ]),
  };
  return Object.fromEntries(
    Object.entries(dashboards).map(([name, model]) => [`${name}.json`, JSON.stringify(model, null, 2)]),
  );
}

function stat(title: string, expr: string, legend: string, unit: Panel["unit"]): Panel {
  return { title, type: "stat", unit, width: 6, queries: [{ expr, legend }] };
}

function line(title: string, unit: Panel["unit"], width: number, limits?: Panel["limits"]): Omit<Panel, "queries"> {
  return { title, type: "timeseries", unit, width, limits };
}

const gridWidth = 24;
const height = 7;
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts the chosen data source there
const datasource = { type: "prometheus", uid: "${datasource}" };

function dashboard(uid: string, title: string, panels: readonly Panel[]) {
  let [x, y] = [0, 0];
  return {
    uid,
    title,
    tags: ["qdrant-dr"],
    schemaVersion: 39,
    timezone: "utc",
    refresh: "30s",
    time: { from: "now-24h", to: "now" },
    editable: false,
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
        {
          name: "region",
          label: "Region",
          type: "query",
          datasource,
          refresh: 2,
          includeAll: true,
          multi: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
          query: "label_values(qdrant_dr_exporter_info, region)",
        },
      ],
    },
    panels: panels.map((panel, index) => {
      if (x + panel.width > gridWidth) [x, y] = [0, y + height];
      const gridPos = { x, y, w: panel.width, h: height };
      x += panel.width;
      return { id: index + 1, ...modelOf(panel), gridPos };
    }),
  };
}

function modelOf({ limits, queries, title, type, unit }: Panel) {
  const steps =
    limits === undefined
      ? [{ color: "green", value: null }]
      : [
          { color: "green", value: null },
          { color: "orange", value: limits.warn },
          { color: "red", value: limits.bad },
        ];
  return {
    title,
    type,
    datasource,
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: "absolute", steps } }, overrides: [] },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      legendFormat: legend,
      instant: type === "stat" ? true : undefined,
    })),
  };
}
