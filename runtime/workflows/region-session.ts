/** A region that its outputs have opened: what a workflow can ask of it. */
import type { Region } from "../domain/region.ts";
import type { WatchedFolder } from "../ports/folders.ts";
import type { Gate } from "../ports/gate.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { VectorDatabase } from "../ports/qdrant.ts";
import type { TrafficControl } from "../ports/traffic.ts";
import type { OpenRepository, RegionStores } from "../repository/repository.ts";

/** A folder of this machine that belongs into recovery points. */
export interface RegionFolder {
  readonly kind: "config" | "user-data";
  readonly name: string;
  readonly path: string;
  readonly source: WatchedFolder;
}

/** Where it was read what a region is: the outputs of its stack, a file with those, or a settings file. */
export type RegionOrigin = "stack" | "outputs" | "settings";

export interface RegionSession {
  readonly origin: RegionOrigin;
  readonly region: Region;
  readonly stores: RegionStores;
  readonly wrap: KeyWrap;
  readonly database: VectorDatabase;
  /** The same region, whose servers count as down when they are silent for this long. */
  withPatience(patienceMs: number): RegionSession;
  repository(): Promise<OpenRepository>;
  repositoryForWriting(): Promise<OpenRepository>;
  /** The same for a rehearsal: nothing that is written to it reaches the stores. */
  repositoryForRehearsal(): Promise<OpenRepository>;
  /**
   * The folders of this machine that belong into recovery points.
   * @param other whose stores are written to as well.
   */
  folders(other?: Region): RegionFolder[];
  /** Qdrant as clients reach it, by the public name; undefined where there is none. */
  publicDatabase(): VectorDatabase | undefined;
  /** Undefined when the region declares none. */
  gate(): Gate | undefined;
  /** The third place where the leases of the regions' gates are; undefined when they work without. */
  witness(): ObjectStore | undefined;
  /** Throws NOT_SUPPORTED where there is no public name that could be moved. */
  traffic(): TrafficControl;
}
