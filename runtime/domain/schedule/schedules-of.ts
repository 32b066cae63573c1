import { off, type RegionSettings } from "../settings/region-settings.ts";
import type { ScheduledKind } from "./scheduled-kinds.ts";

export interface Schedule {
  readonly run: ScheduledKind;
  readonly cron: string;
}

/** The schedules of a settings file that are not off. A drill needs another region to take over from, and a Qdrant of its own. */
export function schedulesOf({
  peer,
  schedules: { drill, full, incremental, prune, testRestore, verify },
  testRestore: ownQdrant,
}: Pick<RegionSettings, "peer" | "schedules" | "testRestore">): Schedule[] {
  const all = {
    ...{ full, incremental, verify },
    "test-restore": testRestore,
    prune,
    drill: peer === undefined || ownQdrant === undefined ? off : drill,
  } satisfies Record<ScheduledKind, string>;
  return Object.entries(all)
    .filter(([, cron]) => cron !== off)
    .map(([run, cron]) => ({ run: run as ScheduledKind, cron }));
}
