/** What of the regions' outputs each job is told: what it has no use for it cannot give away. */
import type { Job } from "./jobs.ts";
import type { Region, StoreAddress } from "./region.ts";

/** The gate has its own settings. */
export type RegionJob = Exclude<Job, "gate">;

type Secret = "apiKey" | "identity" | "gate";

interface Known {
  readonly own: readonly Secret[];
  /** Absent: the job knows nothing of the other region. */
  readonly peer?: { readonly secrets: readonly Secret[]; readonly stores: readonly ("repository" | "control")[] };
}

const knownTo: Readonly<Record<RegionJob, Known>> = {
  capture: { own: ["apiKey", "identity"] },
  copy: { own: ["identity"], peer: { secrets: ["identity"], stores: ["repository", "control"] } },
  verify: { own: ["identity"] },
  // It asks this region's Qdrant to be sure that its target is another one.
  "test-restore": { own: ["apiKey", "identity"] },
  replicate: { own: ["apiKey", "identity"], peer: { secrets: ["apiKey"], stores: ["control"] } },
  // It makes recovery points in the other region's bucket, with that region's keys, and asks no Qdrant.
  "replicate-folders": { own: [], peer: { secrets: ["identity"], stores: ["repository", "control"] } },
  exporter: { own: ["apiKey", "identity", "gate"], peer: { secrets: [], stores: ["control"] } },
};

export function ownRegionFor(job: RegionJob, region: Region): Region {
  return withOnly(region, knownTo[job].own);
}

/** Undefined when the job is not told of it. */
export function peerRegionFor(job: RegionJob, region: Region): Region | undefined {
  const { peer } = knownTo[job];
  if (peer === undefined) return undefined;
  const store = (kind: "repository" | "control") =>
    peer.stores.includes(kind) ? region[kind] : withoutCredentials(region[kind]);
  return { ...withOnly(region, peer.secrets), repository: store("repository"), control: store("control") };
}

function withOnly({ endpoint: _, gate, ...region }: Region, secrets: readonly Secret[]): Region {
  const { keys, qdrant } = region;
  return {
    ...region,
    qdrant: { ...qdrant, apiKey: secrets.includes("apiKey") ? qdrant.apiKey : "" },
    keys: { ...keys, identity: secrets.includes("identity") ? keys.identity : "" },
    ...(gate !== undefined && secrets.includes("gate") ? { gate } : {}),
  };
}

function withoutCredentials(address: StoreAddress): StoreAddress {
  if (address.kind === "file") return address;
  const { credentials: _, ...rest } = address;
  return rest;
}
