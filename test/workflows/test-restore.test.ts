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
import { withFacts } from "../../runtime/repository/content/collection-facts.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { compareWithObservation } from "../../runtime/workflows/observe-collection.ts";
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
    const points = Array.from({ length: 200 }, (_, id) => ({ id, vector: [id, 1, 2, id % 7], payload: { id } }));
    await client.createCollection("notes", { vectors: { size: 4, distance: "Euclid" }, shard_number: 2 });
    await client.upsert("notes", { wait: true, points });
    await client.createCollection("pictures", {
      vectors: {
        dense: { size: 4, distance: "Euclid" },
        many: { size: 2, distance: "Dot", multivector_config: { comparator: "max_sim" } },
      },
      sparse_vectors: { words: {}, weighed: { modifier: "idf" } },
      shard_number: 2,
    });
    await client.createPayloadIndex("pictures", { wait: true, field_name: "kind", field_schema: "keyword" });
    await client.upsert("pictures", {
      wait: true,
      points: points.map(({ id, vector: dense }) => {
        const words = { indices: [id % 5, 7 + (id % 3)], values: [1 + id / 100, 0.5] };
        const many = [
          [id, 1],
          [1, -id],
          [2, 2],
        ];
        return { id, vector: { dense, many, words, weighed: words }, payload: { kind: `k${id % 3}` } };
      }),
    });
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
    for (const { canaries, recall, samples, searches } of collections) {
      expect(Math.min(canaries, samples, searches)).to.be.greaterThan(0);
      // So few points are searched without a graph.
      expect(recall).to.equal(1);
    }
    const [pictures] = recoveryPoint.collections.filter(({ name }) => name === "pictures");
    if (pictures === undefined) throw new Error("the collection was captured");
    const { canaries } = await repository.readFacts(pictures);
    expect(new Set(canaries.map(({ using }) => using))).to.deep.equal(new Set(["dense", "many"]));
    const chosen = (isAmong: boolean) => canaries.filter(({ amongSamples = false }) => amongSamples === isAmong);
    expect([chosen(false).length, chosen(true).length]).to.deep.equal([12, 3]);
    expect(chosen(false).flatMap(({ filter }) => filter?.key ?? [])).to.deep.equal(["kind", "kind"]);
    expect(chosen(true).flatMap(({ filter }) => filter?.key ?? [])).to.deep.equal(["kind"]);
    const tested = collections.find(({ name }) => name === "pictures");
    expect(tested).to.deep.include({ canaries: canaries.length, skipped: [] });
    expect(removed).to.deep.equal([]);
    expect(await scratchLeft()).to.deep.equal([]);
    expect(await database.collections()).to.have.members(names);
    const { attestations } = await readFindings(stores.repository);
    const [restored] = attestations.get(recoveryPoint.id) ?? [];
    expect(restored).to.include({ kind: "restored", region: "east" });
    expect(restored?.detail).to.contain("the index finds at least 100 %");
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
    const small = withMethod(database, "machine", async () => ({ memoryBytes: 1e9, diskBytes: 1_000, cores: 2 }));
    const error = await test({ target: small }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError).and.include({ code: "DISK_FULL" });
    expect(await scratchLeft()).to.deep.equal([]);
  });

  it("finds one point more or less, and a search that answers otherwise, where nothing was written during the capture", async () => {
    const compare = async (captured: RecoveryPoint) => {
      const [notes] = await withFacts(repository, captured.collections);
      if (notes === undefined) throw new Error("the collection was captured");
      return compareWithObservation(database, notes, await repository.keys.key(notes.key));
    };
    const captured = await capture("full");
    expect(captured.collections.map(({ isUndisturbed }) => isUndisturbed)).to.deep.equal([true, true]);
    const whole = await compare(captured);
    expect(whole).to.deep.include({ differences: [], skipped: [] });
    // Beside every sample, and nearest to some of them.
    const points = Array.from({ length: 200 }, (_, id) => ({ id: 5_000 + id, vector: [id + 0.1, 1, 2, id % 7] }));
    await client.upsert("notes", { wait: true, points });
    const { differences } = await compare(captured);
    const { pointsAfter = 0 } = captured.collections.find(({ name }) => name === "notes") ?? {};
    expect(differences[0]).to.equal(`notes: ${pointsAfter + 200} points where ${pointsAfter} were captured`);
    expect(differences.slice(1)).to.have.length(5);
    expect(differences.slice(1).every((each) => each.endsWith("answers otherwise"))).to.equal(true);
    await client.delete("notes", { wait: true, points: points.map(({ id }) => id) });
  });

  it("asks a collection that is written to all the time as well, and says what it does not ask", async () => {
    const isDone = new AbortController();
    const writing = (async () => {
      for (let id = 10_000; !isDone.signal.aborted; id += 1) {
        await client.upsert("notes", { wait: true, points: [{ id, vector: [id % 200, 1, 2, 3] }] });
      }
    })();
    await client.getCollections();
    const captured = [await capture("full"), await capture("incremental"), await capture("incremental")];
    isDone.abort();
    await writing;
    for (const each of captured) {
      const { collections } = await test({ recoveryPoint: each });
      const [notes, pictures] = ["notes", "pictures"].map((name) => collections.find((tested) => tested.name === name));
      expect(notes?.canaries).to.be.greaterThan(0);
      expect(notes?.skipped.join()).to.match(/not asked: points (were written|near them have changed)/);
      expect(pictures?.skipped).to.deep.equal([]);
    }
  });

  it("is refused where the index finds too little of what the source found", async () => {
    const nearest: VectorDatabase["nearest"] = async (collection, queries) => {
      const answers = await database.nearest(collection, queries);
      const isByIndex = queries.some(({ isApproximate }) => isApproximate === true);
      return isByIndex ? answers?.map((found) => found.slice(-1)) : answers;
    };
    const error = await test({ target: withMethod(database, "nearest", nearest) }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError).and.include({ code: "VERIFICATION_FAILED" });
    expect((error as DrError).message)
      .to.contain("2 of 2 collections")
      .and.contain("% of the nearest points");
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

function withMethod<Name extends keyof VectorDatabase>(
  database: VectorDatabase,
  name: Name,
  replaced: VectorDatabase[Name],
): VectorDatabase {
  return new Proxy(database, {
    get(target, method) {
      if (method === name) return replaced;
      const value: unknown = Reflect.get(target, method);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
