/** The Secret in which a job finds the regions, as `<region>.json`. */
import type * as pulumi from "@pulumi/pulumi";
import type { Region } from "../../runtime/domain/region.ts";
import { secretDigest } from "./secret-digest.ts";

export interface RegionSecret {
  readonly name: pulumi.Input<string>;
  /**
   * Changes with the content, except for roles: a pod that has it among its annotations starts again then. Roles change without
   * `up`, and a promotion waits for no pod that would only hear of it.
   */
  readonly digest: pulumi.Input<string>;
}

export function regionFiles(regions: readonly Pick<Region, "region">[]): Record<string, string> {
  return Object.fromEntries(regions.map((region) => [`${region.region}.json`, JSON.stringify(region)]));
}

export function regionsDigest(regions: readonly Region[]): string {
  return secretDigest(regionFiles(regions.map(withoutRole)));
}

/** Who serves is read from the epoch records. */
function withoutRole({ epoch: _epoch, role: _role, ...region }: Region): Omit<Region, "epoch" | "role"> {
  return region;
}
