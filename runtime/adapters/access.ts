/** Opens what a region's outputs name: its stores, its repository, its Qdrant, its traffic control. */
import type { Region } from "../domain/region.ts";
import { DrError } from "../errors.ts";
import type { TrafficControl } from "../ports.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";
import { AgeKeyWrap } from "./age-key-wrap.ts";
import { EndpointControl } from "./endpoint-control.ts";
import { openStore } from "./open-store.ts";
import { Qdrant } from "./qdrant.ts";

export class RegionAccess {
  readonly region: Region;
  readonly stores: RegionStores;
  readonly wrap: AgeKeyWrap;
  readonly database: Qdrant;

  /** @param identity opens the keys instead of the region's own: the offline recovery identity. */
  constructor(region: Region, identity?: string) {
    this.region = region;
    this.stores = { repository: openStore(region.repository), control: openStore(region.control) };
    this.wrap = new AgeKeyWrap({ ...region.keys, ...(identity === undefined ? {} : { identity }) });
    this.database = new Qdrant(region.qdrant);
  }

  repository(): Promise<OpenRepository> {
    return OpenRepository.open(this.stores, this.wrap);
  }

  repositoryForWriting(): Promise<OpenRepository> {
    return OpenRepository.openOrCreate(this.stores, this.wrap);
  }

  traffic(): TrafficControl {
    const { endpoint, region } = this.region;
    if (endpoint !== undefined) return new EndpointControl(endpoint);
    throw new DrError("NOT_SUPPORTED", `region ${region} has no public endpoint that could be moved`, {
      hint: "declare an endpoint in the stack's settings",
    });
  }
}
