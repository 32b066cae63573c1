import type { Region } from "../region.ts";
import type { RunSchedules } from "../settings/schedule.ts";
import type { AlertSettings } from "./alerts.ts";

type Watched = Pick<Region, "gate" | "objectives" | "peer" | "region" | "replicate" | "schedules">;

/** @param usual schedules where the region's outputs tell none. */
export function alertSettingsOf(region: Watched, usual: RunSchedules, runbooks: string | undefined): AlertSettings {
  return {
    region: region.region,
    peer: region.peer,
    isAlone: region.peer === undefined,
    hasGate: region.gate !== undefined,
    objectives: region.objectives,
    schedules: region.schedules ?? usual,
    replicate: region.replicate,
    runbooks,
  };
}
