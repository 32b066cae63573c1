/** Opens what a region's outputs name: its stores, its repository, its Qdrant, its folders, its traffic control. */
import { resolve } from "node:path";
import { selectorOf } from "../domain/estate/folder-selection.ts";
import type { Region } from "../domain/estate/region.ts";
import { DrError } from "../errors.ts";
import type { FolderSource, TrafficControl } from "../ports.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";
import { AgeKeyWrap } from "./age-key-wrap.ts";
import { EndpointControl } from "./embedded/endpoint-control.ts";
import { LocalFolder } from "./folders/local-folder.ts";
import { Qdrant } from "./qdrant/qdrant.ts";
import { openStore } from "./stores/open-store.ts";

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

  /** What of this machine belongs into recovery points. */
  folders(): { kind: "config" | "user-data"; name: string; path: string; source: FolderSource }[] {
    const { configuration, userData } = this.region;
    const foldersOf = (kind: "config" | "user-data", selections: Region["userData"]) =>
      selections.map((selection) => {
        this.#refuseStoreWithin(selection);
        return { kind, name: selection.name, path: selection.path, source: new LocalFolder(selection) };
      });
    return [...foldersOf("config", configuration), ...foldersOf("user-data", userData)];
  }

  /** What is stored would be captured, and stored again, without an end. */
  #refuseStoreWithin({ exclude, include, name, path }: Region["userData"][number]): void {
    for (const store of [this.region.repository, this.region.control]) {
      if (store.kind !== "file" || !`${resolve(store.folder)}/`.startsWith(`${resolve(path)}/`)) continue;
      const below = resolve(store.folder).slice(resolve(path).length + 1);
      if (below !== "" && selectorOf({ exclude, include }).isExcluded(below)) continue;
      throw new DrError("SETTING_INVALID", `the folder ${name} holds the store ${store.folder} of recovery points`, {
        hint: below === "" ? "capture another folder" : `leave it out: exclude ${JSON.stringify(below)}`,
      });
    }
  }

  traffic(): TrafficControl {
    const { endpoint, region } = this.region;
    if (endpoint !== undefined) return new EndpointControl(endpoint);
    throw new DrError("NOT_SUPPORTED", `region ${region} has no public endpoint that could be moved`, {
      hint: "declare an endpoint in the stack's settings",
    });
  }
}
