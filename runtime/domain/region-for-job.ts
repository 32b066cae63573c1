/** Cuts the regions' outputs down to what one job needs: a stolen pod can give away nothing else. */
import type { Job } from "./job-names.ts";
import { definitionOf, type RegionSecret, type RegionUse, type StoreKind } from "./jobs.ts";
import type { Region, StoreAddress } from "./region.ts";

/** The gate is told what it needs by its environment. */
export type RegionJob = Exclude<Job, "gate">;

export function isRegionJob(job: Job): job is RegionJob {
  return job !== "gate";
}

/** @param signingKey the job's own: whatever the region's outputs have is an operator's. */
export function ownRegionFor(job: RegionJob, region: Region, signingKey: string): Region {
  return withOnly(region, definitionOf(job).own, signingKey);
}

/** Undefined when the job is not told of it. */
export function peerRegionFor(job: RegionJob, region: Region, signingKey: string): Region | undefined {
  const { peer } = definitionOf(job);
  return peer === undefined ? undefined : withOnly(region, peer, signingKey);
}

function withOnly(
  { endpoint: _, gate, replicate: _replicate, schedules: _schedules, ...region }: Region,
  { secrets, stores }: RegionUse,
  signingKey: string,
): Region {
  const createsNothing = Object.values(stores).every((prefixes) => prefixes.length === 0);
  const { keys, qdrant } = region;
  const told = <T>(secret: RegionSecret, value: T) => (secrets.includes(secret) ? value : undefined);
  const store = (kind: StoreKind) => (stores[kind] === undefined ? withoutCredentials(region[kind]) : region[kind]);
  return {
    ...region,
    qdrant: { ...qdrant, apiKey: told("apiKey", qdrant.apiKey) },
    repository: store("repository"),
    control: store("control"),
    keys: {
      recipients: keys.recipients,
      identity: told("identity", keys.identity),
      signing: createsNothing ? undefined : signingKey,
    },
    gate: told("gate", gate),
  };
}

function withoutCredentials(address: StoreAddress): StoreAddress {
  if (address.kind === "file") return address;
  const { credentials: _, ...rest } = address;
  return rest;
}
