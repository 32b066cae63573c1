/** An active region and a standby: two real Qdrants, stores in memory, and replication from one to the other. */
import { isDeepStrictEqual } from "node:util";
import type { QdrantClient } from "@qdrant/js-client-rest";
import type { Qdrant } from "../../../runtime/adapters/qdrant/qdrant.ts";
import type { Clock } from "../../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import type { VectorDatabase } from "../../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../../runtime/repository/repository.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";
import { Replication, type ReplicationRequest } from "../../../runtime/workflows/replicate/replication.ts";
import { QdrantServer } from "../servers/qdrant-server.ts";
import { ageKeys, type MemoryStores, silently, storesWithEpoch, systemClock } from "./recovery-estate.ts";
import { clientOf, contentOf, databaseOf } from "./recovery-practice.ts";

export class StandbyPair {
  readonly sourceServer: QdrantServer;
  readonly standbyServer: QdrantServer;
  readonly source: Qdrant;
  readonly standby: Qdrant;
  readonly client: QdrantClient;
  readonly wrap: KeyWrap;
  east: MemoryStores = storesWithEpoch();
  west: MemoryStores = storesWithEpoch();

  private constructor(sourceServer: QdrantServer, standbyServer: QdrantServer, wrap: KeyWrap) {
    this.sourceServer = sourceServer;
    this.standbyServer = standbyServer;
    this.source = databaseOf(sourceServer);
    this.standby = databaseOf(standbyServer);
    this.client = clientOf(sourceServer);
    this.wrap = wrap;
  }

  static async start(): Promise<StandbyPair> {
    const [source, standby] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    return new StandbyPair(source, standby, (await ageKeys()).wrap);
  }

  async stop(): Promise<void> {
    await Promise.all([this.sourceServer.stop(), this.standbyServer.stop()]);
  }

  /** Both Qdrants empty, all stores new. */
  async empty(): Promise<void> {
    for (const database of [this.source, this.standby]) {
      for (const name of await database.collections()) await database.deleteCollection(name);
    }
    [this.east, this.west] = [storesWithEpoch(), storesWithEpoch()];
  }

  /** With its stream. */
  async repository(
    stores: { repository: ObjectStore; control: ObjectStore } = this.west,
    wrap: KeyWrap = this.wrap,
  ): Promise<OpenRepository> {
    return (await OpenRepository.openOrCreate(stores, wrap)).withStream();
  }

  async replication(
    options: Partial<Pick<ReplicationRequest, "existing">> & {
      readonly clock?: Clock;
      readonly standby?: VectorDatabase;
      readonly stores?: { repository: ObjectStore; control: ObjectStore };
    } = {},
  ): Promise<Replication> {
    return new Replication({
      source: { region: "east", database: this.source, control: this.east.control },
      standby: {
        region: "west",
        database: options.standby ?? this.standby,
        repository: await this.repository(options.stores),
      },
      existing: options.existing ?? "refuse",
      toolVersion: "test",
      clock: options.clock ?? systemClock,
      progress: silently,
    });
  }

  /** What the standby holds otherwise than the source, point by point and in settings; empty when it is the same. */
  async differences(collection: string): Promise<string[]> {
    const [wanted, found] = [await contentOf(this.source, collection), await contentOf(this.standby, collection)];
    const standing = new Map(found.map((point) => [point.id, JSON.stringify(point)]));
    const ids = new Set(wanted.map(({ id }) => id));
    const wrong = wanted.filter((point) => standing.get(point.id) !== JSON.stringify(point)).map(({ id }) => `${id}`);
    const extra = found.filter(({ id }) => !ids.has(id)).map(({ id }) => `${id} should be gone`);
    const [described, made] = [await this.source.describe(collection), await this.standby.describe(collection)];
    // Qdrant answers the fields in any order.
    const settings = isDeepStrictEqual(described.payloadIndexes, made.payloadIndexes) ? [] : ["payload indexes"];
    return [...wrong, ...extra, ...settings];
  }

  async untilQuiet(collection: string): Promise<void> {
    const wait = { what: `the optimizations of ${collection} to end`, withinMs: 120_000, everyMs: 50 };
    const isQuiet = async () => !["yellow", "grey"].includes(await this.source.health(collection));
    await waitUntil(systemClock, wait, isQuiet);
  }
}
