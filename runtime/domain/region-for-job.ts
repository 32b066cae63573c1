/** Cuts the regions' outputs down to what one job needs: a stolen pod can give away nothing else. */
import type { Job } from "./job-names.ts";
import { definitionOf, type RegionSecret, type RegionUse, type StoreKind } from "./jobs.ts";
import type { Region, StoreAddress } from "./region.ts";
import type { PeerRegion } from "./region-for-peer.ts";

/** The gate is told what it needs by its environment. */
export type RegionJob = Exclude<Job, "gate">;

export function isRegionJob(job: Job): job is RegionJob {
  return job !== "gate";
}

type Credentials = NonNullable<Extract<StoreAddress, { kind: "s3" }>["credentials"]>;

/** Keys of stores in which no role gives access. */
export interface StoreKeys {
  /** Of jobs that create or delete objects. */
  readonly write: Credentials;
  /** Of jobs that only read. */
  readonly read: Credentials;
  readonly jobs?: Readonly<Partial<Record<Job, Credentials | undefined>>> | undefined;
  /** Of what creates objects in the other region's stores. */
  readonly peerWrite?: Credentials | undefined;
}

/** The key of a job for the stores of its own region. */
export function storeKeyOf(job: Job, keys: StoreKeys): Credentials {
  return keys.jobs?.[job] ?? (changes(definitionOf(job).own) ? keys.write : keys.read);
}

/** What a job acts with. */
export interface JobKeys {
  /** The job's own: whatever the region's outputs have is an operator's. */
  readonly signing: string;
  /** Absent where a role gives access to the stores. */
  readonly store?: StoreKeys | undefined;
}

export function ownRegionFor(job: RegionJob, region: Region, { signing, store }: JobKeys): Region {
  const only = withOnly(region, definitionOf(job).own, signing);
  return store === undefined ? only : withStoreKey(only, storeKeyOf(job, store));
}

/**
 * Undefined when the job is not told of it.
 * @param own its identity opens the keys of both: the other region gives none away.
 */
export function peerRegionFor(
  job: RegionJob,
  { madeFor: _, ...peerRegion }: PeerRegion,
  own: Pick<Region, "keys">,
  { signing, store }: JobKeys,
): Region | undefined {
  const { peer } = definitionOf(job);
  if (peer === undefined) return undefined;
  const only = withOnly({ ...peerRegion, keys: { ...peerRegion.keys, identity: own.keys.identity } }, peer, signing);
  return changes(peer) && store?.peerWrite !== undefined ? withStoreKey(only, store.peerWrite) : only;
}

function changes({ deletes = [], stores }: RegionUse): boolean {
  return [deletes, ...Object.values(stores)].some((prefixes) => prefixes.length > 0);
}

/** In stores that the job knows how to reach at all. */
function withStoreKey(region: Region, credentials: Credentials): Region {
  const keyed = (address: StoreAddress) =>
    address.kind === "file" || address.credentials === undefined ? address : { ...address, credentials };
  return { ...region, repository: keyed(region.repository), control: keyed(region.control) };
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
