/** Opens what a region's outputs name: its stores, its repository, its Qdrant, its folders, its traffic control. */
import { resolve } from "node:path";
import { AgeKeyWrap } from "../adapters/age-key-wrap.ts";
import { EndpointControl } from "../adapters/endpoint-control.ts";
import { LocalFolder } from "../adapters/folders/local-folder.ts";
import { GateControl } from "../adapters/gate-control.ts";
import { Qdrant } from "../adapters/qdrant/qdrant.ts";
import { Route53Traffic } from "../adapters/route53-traffic.ts";
import { usualRetention } from "../domain/history/retention.ts";
import type { Region } from "../domain/region.ts";
import { foldersByKind, selectorOf } from "../domain/settings/folder-selection.ts";
import { DrError } from "../errors.ts";
import type { Gate } from "../ports/gate.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { TrafficControl } from "../ports/traffic.ts";
import { RehearsalStore } from "../repository/rehearsal-store.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";
import { systemClock } from "../time/system-clock.ts";
import { openRepositoryForWriting } from "../workflows/open-repository.ts";
import type { RegionFolder, RegionOrigin, RegionSession } from "../workflows/region-session.ts";
import { openSignedStore } from "./open-signed-store.ts";

interface Opening {
  /** Opens the keys instead of the region's own: the offline recovery identity. */
  readonly identity?: string | undefined;
  /** Signs instead of the region's own: an operator's. */
  readonly signingKey?: string | undefined;
  /** How long its servers may be silent before they count as down. */
  readonly patienceMs?: number;
  readonly origin?: RegionOrigin;
}

export class RegionAccess implements RegionSession {
  readonly region: Region;
  readonly stores: RegionStores;
  readonly wrap: KeyWrap;
  readonly database: VectorDatabase;
  readonly origin: RegionOrigin;
  readonly #opening: Opening;
  readonly #patience: { readonly patienceMs?: number };

  constructor(given: Region, opening: Opening = {}) {
    const { identity, origin = "stack", patienceMs, signingKey = given.keys.signing } = opening;
    const region = { ...given, keys: { ...given.keys, signing: signingKey } };
    this.region = region;
    this.origin = origin;
    this.#opening = opening;
    const limits = patienceMs === undefined ? undefined : { idleMs: patienceMs, attempts: 1, busyMs: 0 };
    this.stores = {
      repository: openSignedStore(region, "repository", region.repository, limits),
      control: openSignedStore(region, "control", region.control, limits),
    };
    this.wrap = new AgeKeyWrap({ recipients: region.keys.recipients, identity: identity ?? region.keys.identity });
    this.#patience = patienceMs === undefined ? {} : { patienceMs };
    this.database = new Qdrant({ ...region.qdrant, ...this.#patience });
  }

  withPatience(patienceMs: number): RegionAccess {
    return new RegionAccess(this.region, { ...this.#opening, patienceMs });
  }

  async repository(): Promise<OpenRepository> {
    return lockedAs(this.region, await OpenRepository.open(this.stores, this.wrap));
  }

  async repositoryForWriting(): Promise<OpenRepository> {
    return lockedAs(this.region, await openRepositoryForWriting(this.stores, this.wrap, systemClock));
  }

  repositoryForRehearsal(): Promise<OpenRepository> {
    const { control, repository } = this.stores;
    const stores = { repository: new RehearsalStore(repository), control: new RehearsalStore(control) };
    return OpenRepository.openOrCreate(stores, this.wrap);
  }

  folders(other?: Region): RegionFolder[] {
    return foldersByKind(this.region).map(({ kind, selection }) => {
      this.#refuseStoreWithin(selection, other);
      return { kind, name: selection.name, path: selection.path, source: new LocalFolder(selection) };
    });
  }

  /** A store inside a captured folder would be captured, and stored again, without end. */
  #refuseStoreWithin({ exclude, include, name, path }: Region["userData"][number], other: Region | undefined): void {
    for (const store of [this.region, other].flatMap((region) => region && [region.repository, region.control])) {
      if (store?.kind !== "file" || !`${resolve(store.folder)}/`.startsWith(`${resolve(path)}/`)) continue;
      const below = resolve(store.folder).slice(resolve(path).length + 1);
      if (below !== "" && selectorOf({ exclude, include }).isExcluded(below)) continue;
      throw new DrError("SETTING_INVALID", `the folder ${name} holds the store ${store.folder} of recovery points`, {
        hint: below === "" ? "capture another folder" : `leave it out: exclude ${JSON.stringify(below)}`,
      });
    }
  }

  publicDatabase(): VectorDatabase | undefined {
    const { endpoint } = this.region;
    if (endpoint === undefined) return undefined;
    return new Qdrant({ peers: [endpoint.url], apiKey: endpoint.clientKey, ...this.#patience });
  }

  gate(): Gate | undefined {
    const { gate } = this.region;
    return gate === undefined ? undefined : new GateControl(gate);
  }

  witness(): ObjectStore | undefined {
    const { gate } = this.region;
    if (gate?.mode !== "consistency" || gate.lease === undefined) return undefined;
    return openSignedStore(this.region, "witness", gate.lease.witness);
  }

  traffic(): TrafficControl {
    const { endpoint, region } = this.region;
    if (endpoint !== undefined && "route53" in endpoint) return new Route53Traffic({ ...endpoint.route53, region });
    if (endpoint !== undefined) return new EndpointControl(endpoint);
    throw new DrError("NOT_SUPPORTED", `region ${region} has no public endpoint that could be moved`, {
      hint: "declare an endpoint in the stack's settings",
    });
  }
}

/** What is stored of recovery points is locked as the region keeps them, where its store keeps locks. */
function lockedAs({ retention = usualRetention }: Region, repository: OpenRepository): OpenRepository {
  return repository.lockedBy({ retention, clock: systemClock });
}
