/**
 * `backup` and `restore` as processes, killed while a request to the store or to Qdrant is under way: before the server
 * sees it, or when the server has done it and nobody knows. A proxy holds the request, so that every kill meets its moment.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { exitCodes } from "../../runtime/errors.ts";
import type { StoredPoint, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { allOf } from "../support/all-of.ts";
import { BucketRegion, type BucketState } from "../support/estates/bucket-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { signing, trust } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";
import { FaultProxy, type SeenRequest } from "../support/faults/fault-proxy.ts";
import { isProof } from "../support/how-many.ts";
import { Product } from "../support/product.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_122);
/** Kills at requests that change nothing: a few of many. */
const sampledReads = 3;
const collection = "notes";
const told = { clock: systemClock, progress: silently };

interface Kill {
  /** Among the run's requests, from 1; or the first that this is true of. */
  readonly request: number | ((seen: SeenRequest) => boolean);
  readonly isDone: boolean;
}

describe("backup and restore, killed and run again", function () {
  this.timeout(isProof ? 3_600_000 : 300_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-backup-killed-"));
  let store: SeaweedServer;
  let storeProxy: FaultProxy;
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let targetProxy: FaultProxy;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let wrap: AgeKeyWrap;
  let east: BucketRegion;
  let state: BucketState;
  let known: string;
  const contents = new Map<string, StoredPoint[]>();
  let now: StoredPoint[];
  const outputs = { source: join(folder, "source.json"), target: join(folder, "target.json") };

  before(async () => {
    [store, sourceServer, targetServer] = await Promise.all([
      SeaweedServer.start(),
      QdrantServer.start(),
      QdrantServer.start(),
    ]);
    storeProxy = await FaultProxy.start(store.endpoint);
    targetProxy = await FaultProxy.start(targetServer.url);
    east = await BucketRegion.make(store, "east");
    source = databaseOf(sourceServer);
    target = databaseOf(targetServer);
    client = clientOf(sourceServer);
    await writeOutputs();
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Euclid" },
      shard_number: 2,
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
    await client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: "current", collection_name: collection } }],
    });
    await write(1, 20);
    const repository = await OpenRepository.openOrCreate(east.stores, wrap);
    known = (await capture(repository)).recoveryPoint;
    contents.set(known, await contentOf(source));
    state = await east.state();
    // What the backups under test find changed.
    await write(15, 30);
    await client.delete(collection, { wait: true, points: [3, 25] });
    now = await contentOf(source);
  });

  after(async () => {
    await Promise.all([storeProxy?.stop(), targetProxy?.stop()]);
    await Promise.all([store?.stop(), sourceServer?.stop(), targetServer?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function writeOutputs(): Promise<void> {
    const identities = [await generateIdentity(), await generateIdentity()] as const;
    const recipients = [await identityToRecipient(identities[0]), await identityToRecipient(identities[1])];
    wrap = new AgeKeyWrap({ recipients, identity: identities[0] });
    const region = (qdrant: Region["qdrant"]) => ({
      contract: 1,
      region: "east",
      peer: "west",
      role: "active",
      epoch: 1,
      objectives: { rtoMinutes: 30, rpoMinutes: 15 },
      qdrant,
      repository: { ...east.addresses.repository, endpoint: storeProxy.url },
      control: { ...east.addresses.control, endpoint: storeProxy.url },
      keys: { recipients, identity: identities[0], signing },
      trust,
    });
    const { apiKey, url } = sourceServer;
    writeFileSync(outputs.source, JSON.stringify(region({ peers: [url], apiKey })));
    const throughProxy = { peers: [targetProxy.url], apiKey: targetServer.apiKey };
    writeFileSync(outputs.target, JSON.stringify(region(throughProxy)));
  }

  async function write(from: number, to: number): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { tag: `tag ${id % 3}`, to }, vector: [id, to, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points });
  }

  function capture(repository: OpenRepository) {
    return captureRecoveryPoint({
      region: "east",
      type: "incremental",
      database: source,
      repository,
      ...told,
      toolVersion: "test",
    });
  }

  async function contentOf(database: VectorDatabase): Promise<StoredPoint[]> {
    const found = await database.points(collection, await allOf(database.ids(collection)));
    return found.sort((a, b) => Number(a.id) - Number(b.id));
  }

  async function emptyTarget(): Promise<void> {
    for (const name of await target.collections()) await target.deleteCollection(name);
  }

  /** Ids of all points that are called complete; every byte of them can be read. */
  async function verifyComplete(): Promise<string[]> {
    const repository = await east.seenElsewhere(wrap);
    const complete = (await readCatalog(repository)).entries.filter((entry) => entry.state === "complete");
    for (const { recoveryPoint } of complete) {
      if (recoveryPoint !== undefined)
        await verifyRecoveryPoint(repository, recoveryPoint, { ...told, region: "east" });
    }
    return complete.map(({ id }) => id);
  }

  async function expectRestores(id: string, wanted: StoredPoint[], what: string): Promise<void> {
    const repository = await east.seenElsewhere(wrap);
    await emptyTarget();
    await restoreRecoveryPoint({ repository, recoveryPoint: await repository.readRecoveryPoint(id), target, ...told });
    expect(await contentOf(target), what).to.deep.equal(wanted);
  }

  const backup = (...more: string[]) =>
    Product.startDirect(["backup", "--stack", "east", "--outputs", outputs.source, "--json", ...more], folder);
  const restore = () =>
    Product.startDirect(["restore", "--stack", "east", "--outputs", outputs.target, "--json"], folder);

  /** Runs until the request of this number is before the server or done by it, and kills it there. */
  async function killedAt(
    proxy: FaultProxy,
    { isDone, request }: Kill,
    start: () => Product,
    whenDead = () => {},
  ): Promise<void> {
    proxy.reset();
    let reached = () => {};
    const met = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const isMeant = typeof request === "number" ? ({ number }: SeenRequest) => number === request : request;
    const hold = (seen: SeenRequest) => {
      if (!isMeant(seen)) return undefined;
      reached();
      return new Promise<undefined>(() => {});
    };
    if (isDone) proxy.onAnswer = async (seen) => hold(seen);
    else proxy.plan = hold;
    const run = start();
    await Promise.race([met, run.end()]);
    run.signal("SIGKILL");
    await run.end();
    whenDead();
    proxy.reset();
    expect(run.wasKilled, `${run.stdout}\n${run.stderr}`).to.equal(true);
  }

  /**
   * Before the first request that changes something, after each of them, and before some of the others: before the next one the
   * store holds what it held after the one before. A proof tries that all the same, and every other request.
   */
  function killsOf(log: readonly SeenRequest[], changes: (seen: SeenRequest) => boolean): Kill[] {
    const random = seeded(seed);
    const changing = log.filter(changes).map((seen) => seen.number);
    const reading = log.map((seen) => seen.number).filter((number) => !changing.includes(number));
    const sampled = isProof ? reading : reading.sort(() => random() - 0.5).slice(0, sampledReads);
    return [
      ...changing.flatMap((request, index) =>
        (isProof || index === 0 ? [false, true] : [true]).map((isDone) => ({ request, isDone })),
      ),
      ...sampled.map((request) => ({ request, isDone: false })),
    ];
  }

  const isPut = ({ method }: SeenRequest) => method === "PUT";

  it("backup: what is called complete verifies and restores, and the next backup is whole", async () => {
    await east.rewind(state);
    storeProxy.reset();
    const clean = backup();
    expect(await clean.end(), clean.stderr).to.equal(0);
    const kills = killsOf(storeProxy.log, isPut);
    expect(kills.length).to.be.greaterThan(6);

    let committed = 0;
    for (const kill of kills) {
      const what = JSON.stringify({ ...kill, of: storeProxy.log.length });
      await east.rewind(state);
      await killedAt(storeProxy, kill, () => backup());
      const complete = await verifyComplete();
      expect(complete, what).to.include(known);
      for (const id of complete.filter((each) => each !== known)) {
        committed += 1;
        await expectRestores(id, now, what);
      }

      const { recoveryPoint } = await capture(await OpenRepository.openOrCreate(east.stores, wrap));
      expect(await verifyComplete(), what).to.have.members([...complete, recoveryPoint]);
    }
    await expectRestores(known, contents.get(known) ?? [], "the point from before all kills");
    expect(committed, "kills after the manifest was written").to.be.greaterThan(0);
    expect(committed, "kills after the manifest was written").to.be.lessThan(kills.length);
  });

  it("the first backup of all: an empty bucket becomes a repository with a point that restores", async () => {
    const empty = {
      repository: new Map(),
      control: new Map([...state.control].filter(([key]) => /^epochs/.test(key))),
    };
    await east.rewind(empty);
    storeProxy.reset();
    const clean = backup("--type", "full");
    expect(await clean.end(), clean.stderr).to.equal(0);
    // Until there are packs: after them it is a backup like any other.
    const first = storeProxy.log.findIndex(({ method, path }) => method === "PUT" && path.includes("/packs/"));

    for (const kill of killsOf(storeProxy.log.slice(0, first + 1), isPut)) {
      const what = JSON.stringify(kill);
      await east.rewind(empty);
      await killedAt(storeProxy, kill, () => backup("--type", "full"));
      const { recoveryPoint } = await capture(await OpenRepository.openOrCreate(east.stores, wrap));
      expect(await verifyComplete(), what).to.deep.equal([recoveryPoint]);
    }
    await expectRestores((await verifyComplete())[0] ?? "", now, "after the last kill");
  });

  it("restore: run again it throws its half-made collection away and restores every point", async () => {
    await east.rewind(state);
    await emptyTarget();
    targetProxy.reset();
    const clean = restore();
    expect(await clean.end(), clean.stderr).to.equal(0);
    const kills = killsOf(targetProxy.log, ({ method, path }) => method !== "GET" && !/points/.test(path));
    expect(kills.length).to.be.greaterThan(6);

    for (const kill of kills) {
      const what = JSON.stringify(kill);
      await east.rewind(state);
      await emptyTarget();
      await killedAt(targetProxy, kill, () => restore());
      // Killed after its end was recorded, it was whole: what is there must not be replaced.
      const records = await allOf(east.stores.control.list(controlLayout.restores));
      const wasWhole = records.some(({ key }) => key.includes(".done."));
      const repository = await OpenRepository.open(east.stores, wrap);
      const recoveryPoint = await repository.readRecoveryPoint(known);
      const again = codeOf(
        restoreRecoveryPoint({ repository, recoveryPoint, target, discardUnfinished: true, ...told }),
      );
      expect(await again, what).to.equal(wasWhole ? "TARGET_NOT_EMPTY" : undefined);
      expect(await contentOf(target), what).to.deep.equal(contents.get(known));
      expect(await target.aliases(), what).to.deep.equal([{ alias: "current", collection }]);
      expect(await verifyComplete(), what).to.deep.equal([known]);
    }
  });

  describe("restore, interrupted", () => {
    /** Until all requests that `isMeant` tells are at the target or done by it; it goes on when the run knows of the signal. */
    async function interruptedAt(
      signal: NodeJS.Signals,
      count: number,
      isMeant: (seen: SeenRequest) => boolean,
      isDone: boolean,
    ): Promise<Product> {
      await east.rewind(state);
      await emptyTarget();
      targetProxy.reset();
      const met = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      let held = 0;
      const hold = async (seen: SeenRequest) => {
        if (!isMeant(seen)) return undefined;
        held += 1;
        if (held === count) met.resolve();
        await released.promise;
        return undefined;
      };
      if (isDone) targetProxy.onAnswer = async (seen) => void (await hold(seen));
      else targetProxy.plan = hold;
      const run = restore();
      await Promise.race([met.promise, run.end()]);
      run.signal(signal);
      await run.says(/: cleaning up$/);
      released.resolve();
      expect(await run.end(), `${run.stdout}\n${run.stderr}`).to.equal(130);
      targetProxy.reset();
      const records = await allOf(east.stores.control.list(controlLayout.restores));
      expect(records.filter(({ key }) => key.includes(".done."))).to.have.lengthOf(1);
      return run;
    }

    async function expectRestoredAgain(what: string): Promise<void> {
      const again = restore();
      expect(await again.end(), `${what}: ${again.stderr}`).to.equal(0);
      expect(await contentOf(target), what).to.deep.equal(contents.get(known));
    }

    it("takes away what it made before it ends, and run again it needs no word", async () => {
      const isCreation = ({ method, path }: SeenRequest) => method === "PUT" && /\/collections\/[^/]+$/.test(path);
      const isIndex = ({ method, path }: SeenRequest) => method === "PUT" && path.includes("/index");
      for (const [signal, isMeant, isDone] of [
        ["SIGINT", isCreation, true],
        ["SIGTERM", isIndex, false],
      ] as const) {
        await interruptedAt(signal, 1, isMeant, isDone);
        expect(await target.collections(), `${signal} ${isMeant.name} ${isDone}`).to.deep.equal([]);
      }
      await expectRestoredAgain("after the last");
    });

    it("leaves what was loaded meanwhile, where clients may write, and says so", async () => {
      const run = await interruptedAt("SIGINT", 2, ({ path }) => path.includes("/snapshots/upload"), false);
      expect(run.stderr).to.contain(`${collection} stays: it was loaded`);
      expect(await contentOf(target)).to.deep.equal(contents.get(known));
      const refused = restore();
      expect(await refused.end(), refused.stderr).to.equal(exitCodes.fenced);
      await emptyTarget();
      await expectRestoredAgain("once its collection is deleted");
    });
  });

  it("backup sends nothing twice: what a killed run stored, the next one finds", async () => {
    const large = "pictures";
    await client.createCollection(large, {
      vectors: { size: 4, distance: "Euclid" },
      wal_config: { wal_capacity_mb: 32 },
    });
    try {
      // More than two packs of what does not compress.
      for (let from = 0; from < 600; from += 100) {
        const points = Array.from({ length: 100 }, (_, n) => ({
          id: from + n,
          payload: { picture: randomBytes(75_000).toString("base64") },
          vector: [from, n, 1, 0.5],
        }));
        await client.upsert(large, { wait: true, points });
      }
      const packs = () => storeProxy.log.filter(({ method, path }) => method === "PUT" && path.includes("/packs/"));
      const sent = () => packs().reduce((sum, { bytes }) => sum + bytes, 0);
      const stored = () => packs().reduce((sum, { bytes, status }) => sum + (status === 200 ? bytes : 0), 0);
      await east.rewind(state);
      storeProxy.reset();
      const clean = backup();
      expect(await clean.end(), clean.stderr).to.equal(0);
      const whole = sent();
      const isLarge = ({ bytes, method, path }: SeenRequest) =>
        method === "PUT" && path.includes("/packs/") && bytes > 1_000_000;
      const largePacks = packs().filter(isLarge).length;
      expect(largePacks, "large packs").to.be.greaterThan(2);

      const kills = [
        { pack: 1, isDone: true },
        { pack: 2, isDone: false },
        { pack: largePacks - 1, isDone: true },
      ];
      for (const { isDone, pack } of isProof ? kills : kills.slice(1)) {
        await east.rewind(state);
        let before = { sent: 0, stored: 0 };
        // By what is sent: two requests that are under way at once come now in this order, now in that.
        let met = 0;
        const request = (seen: SeenRequest) => {
          met += isLarge(seen) ? 1 : 0;
          return isLarge(seen) && met > pack && stored() > 1_000_000;
        };
        await killedAt(
          storeProxy,
          { request, isDone },
          () => backup(),
          () => {
            before = { sent: sent(), stored: stored() };
          },
        );
        storeProxy.reset();
        const again = backup();
        expect(await again.end(), again.stderr).to.equal(0);
        const inFlight = before.sent - before.stored;
        console.log(
          `      killed at large pack ${pack + 1} of ${largePacks}: ${before.stored} bytes stored, ${inFlight} in flight, then ${sent()} of ${whole}`,
        );
        expect(before.stored, "stored by the killed run").to.be.greaterThan(1_000_000);
        expect(before.stored + sent(), "bytes of packs, both runs").to.be.lessThan(whole * 1.01);
        await verifyComplete();
      }
    } finally {
      await client.deleteCollection(large);
    }
  });
});
