/** The regions that a settings file describes, each with its repository and its records in one store. */
import { join } from "node:path";
import { retentionOf } from "./history/retention.ts";
import type { Region, StoreAddress } from "./region.ts";
import { gateControlPath } from "./roles/gate.ts";
import { addressOf, urlOf } from "./server-address.ts";
import { captureGapMinutes, off, type RegionSettings, usualGatePorts } from "./settings/region-settings.ts";
import { type RunSchedules, scheduledRuns } from "./settings/schedule.ts";
import { readStoreLocation } from "./settings/store-location.ts";
import { joinTrust, type Trust } from "./trust/trust.ts";

/** The secrets that the settings refer to, as far as they are needed. */
export interface SettingsSecrets {
  /** Absent: Qdrant asks for none. */
  readonly apiKey?: string | undefined;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly identity?: string | undefined;
  /** Absent: nothing can be created that is signed. */
  readonly signing?: string | undefined;
  /** Of its gate. */
  readonly controlToken?: string | undefined;
  /** Of the store that the lease is kept in. */
  readonly leaseCredentials?: SettingsSecrets["credentials"];
}

/** Objectives of a region without a schedule: whoever captures keeps them. */
const usualRpoMinutes = 15;
/** A capture begins by its schedule and takes its time. */
const gapShare = 1.25;

/** @param folder that relative paths begin at: the settings file's. */
export function regionOfSettings(settings: RegionSettings, folder: string, secrets: SettingsSecrets): Region {
  const { configuration, exclude, keys, objectives, peer, qdrant, region, schedules, userData } = settings;
  const gap = captureGapMinutes(schedules);
  const rpoMinutes = objectives.rpoMinutes ?? (gap === undefined ? usualRpoMinutes : gap * gapShare);
  const stores = storesOfSettings(settings, folder, secrets.credentials);
  return {
    contract: 1,
    region,
    ...(peer === undefined ? {} : { peer: peer.region }),
    role: "active",
    epoch: 1,
    objectives: { rtoMinutes: objectives.rtoMinutes, rpoMinutes },
    retention: retentionOf(settings.retention, { isLocal: stores.repository.kind === "file", gapMinutes: gap }),
    schedules: schedulesInUse(schedules),
    qdrant: { peers: qdrant.peers ?? [qdrant.url ?? ""], apiKey: secrets.apiKey ?? "" },
    ...stores,
    keys: { recipients: keys.recipients, identity: secrets.identity, signing: secrets.signing },
    trust: trustOfSettings(settings),
    ...(exclude.length === 0 ? {} : { exclude }),
    configuration,
    userData,
    infrastructure: { stacks: [] },
    ...gateOf(settings.gate, secrets, leaseOf(settings, folder, secrets)),
  };
}

/** The other region, as this machine knows it: its folders are not here, and who captures them there is its own file. */
export function peerOfSettings(settings: RegionSettings, folder: string, secrets: SettingsSecrets): Region | undefined {
  const { peer, region } = settings;
  if (peer === undefined) return undefined;
  const own = regionOfSettings(settings, folder, secrets);
  return {
    ...own,
    region: peer.region,
    peer: region,
    role: "standby",
    qdrant: { peers: peer.qdrant.peers ?? [peer.qdrant.url ?? ""], apiKey: secrets.apiKey ?? "" },
    ...storesOfSettings(peer, folder, secrets.credentials),
    keys: own.keys,
    configuration: [],
    userData: [],
    // Both gates hold the same lease, in turn.
    gate: gateOf(peer.gate, secrets, leaseOf(settings, folder, secrets)).gate,
  };
}

/** The same for both regions: whose records are believed in one are believed in the other. */
function trustOfSettings({ peer, trust }: RegionSettings): Trust {
  const ofPeer = peer?.signingKey === undefined ? [] : [{ name: peer.region, key: peer.signingKey }];
  return joinTrust({ id: trust.id, keys: trust.keys }, { id: trust.id, keys: ofPeer });
}

interface DescribedGate {
  readonly url: string;
  readonly controlUrl?: string | undefined;
  readonly controlPort?: number;
}

type GateOfRegion = NonNullable<Region["gate"]>;

function gateOf(
  gate: DescribedGate | undefined,
  { controlToken }: SettingsSecrets,
  lease: GateOfRegion["lease"],
): Pick<Region, "gate"> {
  if (gate === undefined || controlToken === undefined) return {};
  const { controlPort: port = usualGatePorts.control, url } = gate;
  const controlUrl = gate.controlUrl ?? urlOf({ ...addressOf(url), port, prefix: "" });
  const controlUrls = [controlUrl.replace(/\/$/, "") + gateControlPath];
  const mode = lease === undefined ? "availability" : "consistency";
  return { gate: { url, controlUrls, controlToken, mode, ...(lease === undefined ? {} : { lease }) } };
}

function leaseOf(
  { gate }: RegionSettings,
  folder: string,
  { leaseCredentials }: SettingsSecrets,
): GateOfRegion["lease"] {
  if (gate?.lease === undefined) return undefined;
  const { seconds } = gate.lease;
  return { witness: storesOfSettings(gate.lease, folder, leaseCredentials).control, seconds };
}

/** The repository and the control store, side by side in the one store of the settings. */
function storesOfSettings(
  { s3, store }: Pick<RegionSettings, "s3" | "store">,
  folder: string,
  credentials: SettingsSecrets["credentials"],
): { readonly repository: StoreAddress; readonly control: StoreAddress } {
  const location = readStoreLocation(store);
  if ("problem" in location) throw new Error(`not a store's location: ${location.problem}`);
  const at = (name: string): StoreAddress => {
    if (location.kind === "file") {
      const absolute = location.folder.startsWith("/") ? location.folder : join(folder, location.folder);
      return { kind: "file", folder: join(absolute, name) };
    }
    const { bucket, prefix } = location;
    const { endpoint, region } = s3 ?? {};
    return {
      kind: "s3",
      bucket,
      prefix: prefix === undefined ? name : `${prefix}/${name}`,
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    };
  };
  return { repository: at("repository"), control: at("control") };
}

function schedulesInUse(schedules: RegionSettings["schedules"]): RunSchedules {
  const inUse = scheduledRuns.flatMap((run) => {
    const schedule = run === "copy" ? off : schedules[run];
    return schedule === off ? [] : [[run, schedule] as const];
  });
  return Object.fromEntries(inUse);
}
