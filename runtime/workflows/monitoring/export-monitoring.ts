/** Writes what watches a region as plain files: for a Prometheus, an Alertmanager and a Grafana that no operator runs. */
import { alertSettingsOf } from "../../domain/monitoring/alert-settings.ts";
import { placeholderEmail, type ReceiverKind } from "../../domain/monitoring/alertmanager.ts";
import { monitoringFiles } from "../../domain/monitoring/plain-files.ts";
import { exporterPort } from "../../domain/network/ports.ts";
import type { Region } from "../../domain/region.ts";
import { kubernetesSchema } from "../../domain/settings/kubernetes-settings.ts";
import type { RegionSettings } from "../../domain/settings/region-settings.ts";
import type { TextFiles } from "../../ports/text-files.ts";
import { type ExportedFiles, exportFiles } from "../export/export-files.ts";

export interface ExportMonitoringRequest {
  readonly region: Region;
  /** Of a region that a settings file describes. */
  readonly settings?: Pick<RegionSettings, "alerts" | "serve"> | undefined;
  readonly folder: TextFiles;
  readonly receivers: readonly ReceiverKind[];
  /** host:port; the port of the settings on this machine when left out. */
  readonly target?: string | undefined;
  readonly runbooks?: string | undefined;
}

export interface ExportedMonitoring extends ExportedFiles {
  /** Schedules are known: otherwise lateness is judged by the usual ones. */
  readonly knowsSchedules: boolean;
}

export async function exportMonitoring(request: ExportMonitoringRequest): Promise<ExportedMonitoring> {
  const { folder, receivers, region, runbooks, settings } = request;
  const { workers: _, ...usual } = kubernetesSchema.shape.schedules.parse({});
  const files = monitoringFiles({
    alerts: alertSettingsOf(region, usual, runbooks),
    target: request.target ?? `127.0.0.1:${settings?.serve.port ?? exporterPort}`,
    receivers: { kinds: receivers, email: emailOf(settings) },
  });
  return { ...(await exportFiles(folder, files)), knowsSchedules: region.schedules !== undefined };
}

function emailOf(settings: ExportMonitoringRequest["settings"]) {
  const email = settings?.alerts.email;
  if (email === undefined) return placeholderEmail;
  const { from, host, port, to, user } = email;
  return { smarthost: `${host}:${port}`, from, to, user };
}
