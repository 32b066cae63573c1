/** Collections that come, go and change while a capture runs, and captures of some collections; on a real Qdrant. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { Semaphore } from "../../runtime/async/semaphore.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { CollectionList, ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { forecastCapture } from "../../runtime/workflows/capture/forecast-capture.ts";
import { captureShard } from "../../runtime/workflows/capture/shard/capture-shard.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

/** Something happens once, while the first shard of a collection comes, and has happened when it is looked at again. */
class InterferedQdrant extends Qdrant {
  interfere: { readonly collection: string; act(): Promise<unknown> } | undefined;
  #happening: Promise<unknown> | undefined;

  override async captureShard(...request: Parameters<Qdrant["captureShard"]>) {
    const stream = await super.captureShard(...request);
    if (this.interfere?.collection === request[0]) {
      // Qdrant lets it wait for the capture; so it is not awaited here.
      this.#happening = this.interfere.act();
      this.interfere = undefined;
    }
    return stream;
  }

  override async listCollections(): Promise<CollectionList> {
    await this.#happening;
    return super.listCollections();
  }
}

describe("a capture", function () {
  // Longer than any patience of the product: what waits for ever is told apart from what waits long.
  this.timeout(180_000);
  let server: QdrantServer;
  let elsewhere: QdrantServer;
  let client: QdrantClient;
  let source: InterferedQdrant;
  let target: Qdrant;
  let practice: RecoveryPractice;

  before(async () => {
    [server, elsewhere] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    client = clientOf(server);
    source = new InterferedQdrant({ peers: [server.url], apiKey: server.apiKey });
    target = databaseOf(elsewhere);
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
    await Promise.all([emptied(source), emptied(target)]);
    for (const name of ["notes", "pages"]) await make(name, 50);
  });

  after(async () => {
    await Promise.all([server?.stop(), elsewhere?.stop()]);
  });

  async function make(name: string, count: number): Promise<void> {
    await client.createCollection(name, {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await write(name, 0, count);
  }

  async function write(name: string, from: number, to: number): Promise<void> {
    const points = Array.from({ length: to - from }, (_, n) => ({
      id: from + n,
      payload: { id: from + n },
      vector: [n, 1, 2, 3],
    }));
    await client.upsert(name, { wait: true, points });
  }

  /** 20 MB that do not compress to nothing. */
  async function makeLarge(): Promise<void> {
    const size = 1024;
    const random = seeded(1);
    await client.createCollection("large", { vectors: { size, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } });
    for (let from = 0; from < 5_000; from += 500) {
      const vectorOf = () => Array.from({ length: size }, () => Math.floor(random() * 65_536));
      const points = Array.from({ length: 500 }, (_, n) => ({ id: from + n, vector: vectorOf() }));
      await client.upsert("large", { wait: true, points });
    }
  }

  async function request(collections?: string[]) {
    const repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
    const told = { clock: systemClock, progress: silently, toolVersion: "test" };
    const some = collections === undefined ? {} : { collections };
    return { region: "east", type: "incremental", database: source, repository, ...some, ...told } as const;
  }

  it("leaves out a collection that is dropped meanwhile, and one that is made meanwhile", async () => {
    for (const moment of ["notes", "pages"]) {
      source.interfere = {
        collection: moment,
        act: async () => {
          await client.deleteCollection("pages");
          await make("later", 5);
        },
      };
      const recoveryPoint = await practice.capture(source);
      expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["notes"]);
      await practice.restore(recoveryPoint, target);
      expect(await target.collections()).to.deep.equal(["notes"]);
      await emptied(target);
      await client.deleteCollection("later");
      await make("pages", 50);
    }
    const next = await practice.capture(source, "incremental");
    expect(next.collections.map(({ name }) => name)).to.deep.equal(["notes", "pages"]);
  });

  it("goes on while Qdrant answers nothing else, because the collection is to be dropped once its capture ends", async () => {
    await makeLarge();
    source.interfere = { collection: "large", act: () => client.deleteCollection("large") };
    const recoveryPoint = await practice.capture(source);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["notes", "pages"]);
  });

  it("gives way to who waits for its end, when it cannot go on", async () => {
    await makeLarge();
    const { repository } = await request();
    const [shard] = (await source.shards("large")) as [ShardPlacement];
    let drop: Promise<unknown> | undefined;
    const capture = captureShard({
      database: source,
      repository,
      key: await repository.keys.make({ collection: "large" }),
      collection: "large",
      shard,
      lineage: "",
      isFull: true,
      // Called when the capture has begun, and nothing of it is read.
      storing: {
        begin: async () => undefined,
        orphanedPieces: async () => {
          drop ??= client.deleteCollection("large");
          await drop;
          return undefined;
        },
      },
      clock: systemClock,
      patience: { quietMs: 1_000, attempts: 1, usesSnapshot: false },
      permits: new Semaphore(1),
      heldUpMs: 2_000,
    });
    expect(await codeOf(capture)).to.equal("QDRANT_REFUSED");
    expect(await drop).to.equal(true);
  });

  it("ends in time when its server answers nothing more, names the collection, and says what to do", async () => {
    await makeLarge();
    const { repository } = await request();
    const [shard] = (await source.shards("large")) as [ShardPlacement];
    let pausedAt = 0;
    const capture = captureShard({
      database: source,
      repository,
      key: await repository.keys.make({ collection: "large" }),
      collection: "large",
      shard,
      lineage: "",
      isFull: true,
      // Called when the capture has begun, and nothing of it is read.
      storing: {
        begin: async () => undefined,
        orphanedPieces: async () => {
          pausedAt = performance.now();
          server.pause();
          return undefined;
        },
      },
      clock: systemClock,
      patience: { quietMs: 1_000, attempts: 1, usesSnapshot: false },
      permits: new Semaphore(1),
      heldUpMs: 200,
    });
    try {
      const error = await errorOf(capture);
      expect(error).to.include({ code: "UNREACHABLE" });
      expect(error?.message).to.contain("large shard 0").and.contain("does not answer within 2.4 s");
      expect(error?.hint).to.contain("QDRANT__SERVICE__MAX_WORKERS");
      expect(performance.now() - pausedAt, "not as long as a stream may be silent").to.be.below(30_000);
    } finally {
      server.resume();
    }
  });

  it("leaves out a collection that is configured otherwise meanwhile, and names it", async () => {
    const changes = [
      () => client.updateCollection("notes", { hnsw_config: { m: 24 } }),
      () => client.createPayloadIndex("notes", { field_name: "id", field_schema: "integer", wait: true }),
    ];
    for (const act of changes) {
      source.interfere = { collection: "notes", act };
      const { collections, missing } = await practice.capture(source);
      expect(collections.map(({ name }) => name)).to.deep.equal(["pages"]);
      expect(missing).to.have.lengthOf(1);
      expect(missing?.[0]).to.include({ kind: "qdrant", name: "notes", code: "CAPTURE_INCOMPLETE" });
    }
    const whole = await practice.capture(source);
    expect([whole.collections.length, whole.missing]).to.deep.equal([2, undefined]);
  });

  it("of some collections keeps the others as they were, and stands for the oldest of them", async () => {
    const whole = await practice.capture(source);
    await write("notes", 50, 80);
    await write("pages", 50, 80);

    const report = await captureRecoveryPoint(await request(["pages"]));

    const recoveryPoint = await (await request()).repository.readRecoveryPoint(report.recoveryPoint);
    expect(recoveryPoint.collections.map(({ name, pointsAfter }) => [name, pointsAfter])).to.deep.equal([
      ["notes", 50],
      ["pages", 80],
    ]);
    const oldest = whole.collections.flatMap(({ shards }) => shards).map(({ startedAt }) => Date.parse(startedAt));
    expect(Date.parse(recoveryPoint.time)).to.be.at.most(Math.min(...oldest));
    expect(Date.parse(recoveryPoint.startedAt)).to.be.greaterThan(Date.parse(whole.finishedAt));
    await practice.restore(recoveryPoint, target);
    expect(await contentOf(target, "pages")).to.deep.equal(await contentOf(source, "pages"));
    expect(await target.count("notes")).to.equal(50);
  });

  it("of some collections is refused for one that is not there, and where there is no point to put them beside", async () => {
    expect((await errorOf(captureRecoveryPoint(await request(["pages"]))))?.hint).to.contain("--type full");
    await practice.capture(source);
    expect((await errorOf(captureRecoveryPoint(await request(["pegas"]))))?.hint).to.contain("notes, pages");
  });

  it("says in a dry run what it would read, stores nothing and has Qdrant make no snapshot", async () => {
    const first = await forecastCapture(await request());
    expect(first.shards.map(({ because, reads }) => [reads, because])).to.deep.equal([
      ["everything", "it was never captured"],
      ["everything", "it was never captured"],
    ]);
    const { id } = await practice.capture(source);
    await write("pages", 50, 51);
    const objects = [...practice.stores.repository.objects.keys(), ...practice.stores.control.objects.keys()];

    source.captureShard = () => Promise.reject(new Error("a dry run makes no snapshot"));
    const planned = await forecastCapture(await request()).finally(() =>
      Reflect.deleteProperty(source, "captureShard"),
    );

    expect(planned.base).to.equal(id);
    expect(planned.shards.map(({ collection, reads }) => [collection, reads])).to.deep.equal([
      ["notes", "nothing"],
      ["pages", "what changed"],
    ]);
    const now = [...practice.stores.repository.objects.keys(), ...practice.stores.control.objects.keys()];
    expect(now).to.deep.equal(objects);
  });

  it("asks an unchanged shard once, stores nothing but the manifest, and stays exact", async () => {
    await practice.capture(source);
    const objects = new Set(practice.stores.repository.objects.keys());

    const recoveryPoint = await practice.capture(source, "incremental");

    const added = [...practice.stores.repository.objects.keys()].filter((key) => !objects.has(key));
    expect(added).to.deep.equal([storeLayout.manifest(recoveryPoint.id)]);
    expect(recoveryPoint.collections.flatMap(({ shards }) => shards).every(({ isExact }) => isExact)).to.equal(true);
  });
});
