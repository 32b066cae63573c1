/** `restore --test` beside live collections of a real Qdrant: while captures run, after kills, and where it must fail. */
import { Readable } from "node:stream";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { isScratchName, newScratchName } from "../../runtime/domain/qdrant/scratch-name.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { DrError } from "../../runtime/errors.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readFindings } from "../../runtime/repository/catalog/findings.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { type TestRestoreRequest, testRestore } from "../../runtime/workflows/test-restore.ts";
import {
  ageKeys,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const names = ["notes", "pictures"];
const told = { clock: systemClock, progress: silently, toolVersion: "test" };

describe("a test restore beside live collections", function () {
  this.timeout(120_000);
  let server: QdrantServer;
  let client: QdrantClient;
  let database: Qdrant;
  let stores: MemoryStores;
  let repository: OpenRepository;
  let recoveryPoint: RecoveryPoint;

  before(async () => {
    server = await QdrantServer.start();
    client = clientOf(server);
    database = databaseOf(server);
    stores = storesWithEpoch();
    repository = await OpenRepository.openOrCreate(stores, (await ageKeys()).wrap);
    for (const name of names) {
      await client.createCollection(name, { vectors: { size: 4, distance: "Euclid" }, shard_number: 2 });
      const points = Array.from({ length: 200 }, (_, id) => ({ id, vector: [id, 1, 2, id % 7], payload: { id } }));
      await client.upsert(name, { wait: true, points });
    }
    recoveryPoint = await capture("full");
  });

  after(async () => {
    await server?.stop();
  });

  async function capture(type: "full" | "incremental"): Promise<RecoveryPoint> {
    const report = await captureRecoveryPoint({ region: "east", type, database, repository, ...told });
    return repository.readRecoveryPoint(report.recoveryPoint);
  }

  const test = (options: Partial<TestRestoreRequest> = {}) =>
    testRestore({
      ...{ repository, region: "east", recoveryPoint, target: database, ...told },
      runner: { mark: "this run", isDead: () => true },
      ...options,
    });

  const scratchLeft = async () =>
    (await client.getCollections()).collections.map(({ name }) => name).filter(isScratchName);

  it("compares each collection, asks it by search, and leaves nothing", async () => {
    const { collections, removed } = await test();
    expect(collections.map(({ name, points }) => [name, points])).to.deep.equal(names.map((name) => [name, 200]));
    for (const { canaries, samples, searches } of collections) {
      expect(Math.min(canaries, samples, searches)).to.be.greaterThan(0);
    }
    expect(removed).to.deep.equal([]);
    expect(await scratchLeft()).to.deep.equal([]);
    expect(await database.collections()).to.have.members(names);
    const { attestations } = await readFindings(stores.repository);
    const [restored] = attestations.get(recoveryPoint.id) ?? [];
    expect(restored).to.include({ kind: "restored", region: "east" });
    // Of a part only nothing is said about the recovery point.
    await test({ only: ["notes"] });
    expect((await readFindings(stores.repository)).attestations.get(recoveryPoint.id)).to.have.length(1);
  });

  it("disturbs no capture: those meanwhile succeed without its collections, and the next one reads only what changed", async () => {
    await capture("incremental");
    let isDone = false;
    const testing = test().finally(() => {
      isDone = true;
    });
    for (let captures = 0; captures === 0 || !isDone; captures += 1) {
      await client.upsert("notes", { wait: true, points: [{ id: 1_000 + captures, vector: [1, 2, 3, 4] }] });
      const made = await capture(captures % 2 === 0 ? "incremental" : "full");
      expect(made.collections.map(({ name }) => name)).to.have.members(names);
    }
    await testing;
    const report = await captureRecoveryPoint({ region: "east", type: "incremental", database, repository, ...told });
    expect(report.readBytes).to.equal(0);
  });

  it("a restore of somebody else is told apart from its own", async () => {
    await capture("incremental");
    const [shard] = await database.shards("pictures");
    if (shard === undefined) throw new Error("the collection has shards");
    const archive = await database.captureShard("pictures", shard, {});
    await database.applyDifference("pictures", shard, archive ?? Readable.from([]));
    await test();
    const { readBytes } = await captureRecoveryPoint({
      ...{ region: "east", type: "incremental", database, repository },
      ...told,
    });
    expect(readBytes).to.be.greaterThan(0);
  });

  it("removes what a killed run left, and neither what is another's nor what a living run uses", async () => {
    let isDead = false;
    const dying = diesWhen(database, (method) => {
      isDead ||= method === "nearest";
      return isDead;
    });
    await test({ target: dying, runner: { mark: "killed", isDead: () => false } }).catch(() => undefined);
    const left = await scratchLeft();
    expect(left).to.have.length(1);
    const foreign = newScratchName(new Date());
    await client.createCollection(foreign, { vectors: { size: 2, distance: "Dot" } });

    const beside = await test({ runner: { mark: "another", isDead: () => false } });
    expect(beside.removed).to.deep.equal([]);
    const { removed } = await test({ runner: { mark: "another", isDead: () => true } });
    expect(removed).to.deep.equal(left);
    expect(await scratchLeft()).to.deep.equal([foreign]);
    await client.deleteCollection(foreign);
    expect((await capture("incremental")).collections).to.have.length(2);
  });

  it("is refused before anything is made where the disk is too small", async () => {
    const small = withMachine(database, { memoryBytes: 1e9, diskBytes: 1_000, cores: 2 });
    const error = await test({ target: small }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError).and.include({ code: "DISK_FULL" });
    expect(await scratchLeft()).to.deep.equal([]);
  });

  it("tries the other collections when one cannot be restored, and names it", async () => {
    const [pictures] = recoveryPoint.collections.filter(({ name }) => name === "pictures");
    const tree = await repository.readTree(pictures?.shards[0]?.tree.id ?? "", shardTreeSchema);
    const pack = storeLayout.pack(tree.packs[0]?.id ?? "");
    const whole = stores.repository.objects.get(pack) ?? Buffer.alloc(0);
    stores.repository.objects.set(pack, Buffer.alloc(whole.length, 7));
    const tried: string[] = [];
    const progress: TestRestoreRequest["progress"] = ({ detail = "", step }) => {
      if (step === "test") tried.push(detail);
    };
    const error = await test({ progress }).catch((thrown: unknown) => thrown);
    stores.repository.objects.set(pack, whole);
    expect(error)
      .to.be.instanceOf(DrError)
      .with.property("message")
      .that.contains("1 of 2 collections")
      .and.contains("pictures");
    expect(tried.some((detail) => detail.startsWith("notes is as captured"))).to.equal(true);
    expect(await scratchLeft()).to.deep.equal([]);
  });
});

/** The same database for a process that dies: from some call on, nothing is asked any more. */
function diesWhen(database: VectorDatabase, isDead: (method: string) => boolean): VectorDatabase {
  return new Proxy(database, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        if (isDead(String(method))) throw new Error("killed");
        return value.apply(target, given);
      };
    },
  });
}

function withMachine(
  database: VectorDatabase,
  machine: Awaited<ReturnType<VectorDatabase["machine"]>>,
): VectorDatabase {
  return new Proxy(database, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method);
      if (method === "machine") return async () => machine;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
