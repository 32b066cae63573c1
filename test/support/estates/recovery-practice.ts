/** Captures a Qdrant into a repository in memory, and restores it elsewhere, as the commands do. */
import { QdrantClient } from "@qdrant/js-client-rest";
import { Qdrant } from "../../../runtime/adapters/qdrant/qdrant.ts";
import type {
  CaptureType,
  CollectionWithFacts,
  RecoveryPoint,
} from "../../../runtime/domain/recovery-points/recovery-point.ts";
import type { Clock } from "../../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import type { StoredPoint, VectorDatabase } from "../../../runtime/ports/qdrant.ts";
import { withFacts } from "../../../runtime/repository/content/collection-facts.ts";
import { OpenRepository } from "../../../runtime/repository/repository.ts";
import type { RestoreReport } from "../../../runtime/workflows/apply/restore.ts";
import { captureRecoveryPoint } from "../../../runtime/workflows/capture/capture-recovery-point.ts";
import { allOf } from "../all-of.ts";
import {
  ageKeys,
  asSeenElsewhere,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "./recovery-estate.ts";
import { type PlannedRestoreRequest, restoreRecoveryPoint } from "./restore-recovery-point.ts";

export class RecoveryPractice {
  readonly stores: MemoryStores;
  readonly wrap: KeyWrap;

  private constructor(stores: MemoryStores, wrap: KeyWrap) {
    this.stores = stores;
    this.wrap = wrap;
  }

  static async start(): Promise<RecoveryPractice> {
    return new RecoveryPractice(storesWithEpoch(), (await ageKeys()).wrap);
  }

  async capture(
    database: VectorDatabase,
    type: CaptureType = "full",
    clock: Clock = systemClock,
  ): Promise<RecoveryPoint> {
    const repository = await OpenRepository.openOrCreate(this.stores, this.wrap);
    const told = { clock, progress: silently, toolVersion: "test" };
    const report = await captureRecoveryPoint({
      region: "east",
      type,
      database,
      repository,
      allowEmpty: true,
      ...told,
    });
    return repository.readRecoveryPoint(report.recoveryPoint);
  }

  async factsOf({ collections }: RecoveryPoint): Promise<CollectionWithFacts[]> {
    return withFacts(await OpenRepository.open(this.stores, this.wrap), collections);
  }

  /** Into a region of its own: no record of it is left beside the source. */
  async restore(
    recoveryPoint: RecoveryPoint,
    target: VectorDatabase,
    options: Partial<PlannedRestoreRequest> = {},
  ): Promise<RestoreReport> {
    const repository = await asSeenElsewhere(this.stores, this.wrap);
    return restoreRecoveryPoint({
      repository,
      recoveryPoint,
      target,
      clock: systemClock,
      progress: silently,
      ...options,
    });
  }
}

interface Server {
  readonly apiKey: string;
}

export function databaseOf(server: Server & ({ readonly url: string } | { readonly urls: readonly string[] })): Qdrant {
  return new Qdrant({ peers: "url" in server ? [server.url] : server.urls, apiKey: server.apiKey });
}

export function clientOf({ apiKey, url }: Server & { readonly url: string }): QdrantClient {
  return new QdrantClient({ url, headers: { "api-key": apiKey }, checkCompatibility: false });
}

/** Every point, in the order of the ids. */
export async function contentOf(database: VectorDatabase, collection: string): Promise<StoredPoint[]> {
  const points = await database.points(collection, await allOf(database.ids(collection)));
  return points.sort((a, b) => (a.id < b.id ? -1 : 1));
}

export async function emptied(database: VectorDatabase): Promise<void> {
  for (const name of await database.collections()) await database.deleteCollection(name);
}
