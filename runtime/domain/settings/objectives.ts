/** Which recovery point objective a region's settings reach. */
import type { KubernetesSettings, Schedules } from "./kubernetes-settings.ts";
import { longestGapMinutes } from "./schedule.ts";
import { Tiers } from "./tiers.ts";

/**
 * The minutes that may be lost when only the copied recovery points are left: a capture began just before the loss of the region, and
 * the one before it was copied last. The time that a capture and a copy take comes on top.
 */
export function bucketRpoMinutes({ copy, incremental }: Pick<Schedules, "copy" | "incremental">): number {
  return longestGapMinutes(incremental) + longestGapMinutes(copy);
}

/** The objective that is reachable: by the standby that follows, or else by copied recovery points. */
export function reachableRpoMinutes({
  replicate,
  schedules,
}: Pick<KubernetesSettings, "replicate" | "schedules">): number {
  return replicate === undefined ? bucketRpoMinutes(schedules) : new Tiers(replicate).longestSeconds / 60;
}
