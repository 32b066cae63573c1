import { off, type RegionSettings } from "../settings/region-settings.ts";
import type { ScheduledKind } from "./scheduled-kinds.ts";

export interface Schedule {
  readonly run: ScheduledKind;
  readonly cron: string;
}

/** The schedules of a settings file that are not off. */
export function schedulesOf({
  full,
  incremental,
  prune,
  testRestore,
  verify,
}: RegionSettings["schedules"]): Schedule[] {
  const all = { full, incremental, verify, "test-restore": testRestore, prune } satisfies Record<ScheduledKind, string>;
  return Object.entries(all)
    .filter(([, cron]) => cron !== off)
    .map(([run, cron]) => ({ run: run as ScheduledKind, cron }));
}
