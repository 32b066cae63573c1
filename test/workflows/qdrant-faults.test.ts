/**
 * Captures and restores through a Qdrant whose answers break off, end early, lie or stop, and one that is killed in the
 * middle of them. No capture is reported that does not restore exactly; what Qdrant sends no checksum of is found when
 * the point is restored and compared.
 */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { canonicalJson } from "../../runtime/domain/exact-json.ts";
import { readSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import { toDrError } from "../../runtime/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { StoredPoint } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { allOf } from "../support/all-of.ts";
import {
  ageKeys,
  asSeenElsewhere,
  copyOf,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { codeOf } from "../support/expect-code.ts";
import { type FaultKind, FaultProxy, type SeenRequest } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";
/** What is asked again is asked again soon. */
const hasty: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) };
const told = { clock: systemClock, progress: silently };
const isCapture = ({ path }: SeenRequest) => path.endsWith("/snapshot/partial/create");
const isUpload = ({ path }: SeenRequest) => path.includes("/snapshots/upload");
const faults: readonly FaultKind[] = [
  "500",
  "503",
  "500 after it acted",
  "cut in the request",
  "cut before the answer",
  "cut in the answer",
  "half an answer that ends well",
  "a flipped byte in the answer",
  "an empty answer",
  "a slow answer",
];

describe("workflows over a Qdrant that fails", function () {
  this.timeout(180_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let sourceProxy: FaultProxy;
  let targetProxy: FaultProxy;
  let source: Qdrant;
  let target: Qdrant;
  let direct: Qdrant;
  let client: QdrantClient;
  let wrap: KeyWrap;
  let stores: MemoryStores;
  let first: string;
  const contents = new Map<string, StoredPoint[]>();
  let now: StoredPoint[];

  before(async () => {
    ({ wrap } = await ageKeys());
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    sourceProxy = await FaultProxy.start(sourceServer.url);
    targetProxy = await FaultProxy.start(targetServer.url);
    source = new Qdrant({ peers: [sourceProxy.url], apiKey: sourceServer.apiKey }, hasty);
    target = new Qdrant({ peers: [targetProxy.url], apiKey: targetServer.apiKey }, hasty);
    direct = databaseOf(targetServer);
    client = clientOf(sourceServer);
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Euclid" },
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await write(1, 20);
    stores = storesWithEpoch();
    first = (await capture(stores, "full")).recoveryPoint;
    contents.set(first, await contentOf(source));
    await write(15, 30);
    await client.delete(collection, { wait: true, points: [3, 25] });
    now = await contentOf(source);
  });

  after(async () => {
    await Promise.all([sourceProxy?.stop(), targetProxy?.stop()]);
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  afterEach(() => {
    sourceProxy.reset();
    targetProxy.reset();
  });

  async function write(from: number, to: number): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { to }, vector: [id, to, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points });
  }

  async function capture(into: MemoryStores, type: "full" | "incremental") {
    const repository = await OpenRepository.openOrCreate(into, wrap);
    return captureRecoveryPoint({ region: "east", type, database: source, repository, ...told, toolVersion: "test" });
  }

  async function contentOf(database: Qdrant): Promise<StoredPoint[]> {
    const found = await database.points(collection, await allOf(database.ids(collection)));
    return found.sort((a, b) => Number(a.id) - Number(b.id));
  }

  /** Restores a point elsewhere; a code says that it was found not to be right. */
  async function restored(from: MemoryStores, id: string): Promise<string | undefined> {
    const repository = await asSeenElsewhere(from, wrap);
    await direct.deleteCollection(collection);
    return codeOf(
      restoreRecoveryPoint({
        repository,
        recoveryPoint: await repository.readRecoveryPoint(id),
        target: direct,
        ...told,
      }),
    );
  }

  /** False when the restore says that it is not; "not found" when it says nothing, and points are not what they were. */
  async function isRestoredRight(from: MemoryStores, id: string): Promise<boolean | "not found"> {
    if ((await restored(from, id)) !== undefined) return false;
    const found = await contentOf(direct).catch(() => []);
    return canonicalJson(found) === canonicalJson(now) ? true : "not found";
  }

  async function completeRecoveryPoints(of: MemoryStores): Promise<string[]> {
    const repository = await asSeenElsewhere(of, wrap);
    const complete = (await readCatalog(repository)).entries.filter(({ state }) => state === "complete");
    for (const { recoveryPoint } of complete)
      if (recoveryPoint !== undefined)
        await verifyRecoveryPoint(repository, recoveryPoint, { ...told, region: "east" });
    return complete.map(({ id }) => id);
  }

  for (const type of ["full", "incremental"] as const) {
    it(`${type} capture: what is reported restores exactly, or is found not to`, async () => {
      const codes: Record<string, number> = {};
      for (const fault of faults) {
        const mine = { repository: copyOf(stores.repository), control: copyOf(stores.control) };
        let spoilt = 0;
        sourceProxy.plan = (seen) => {
          if (!isCapture(seen)) return undefined;
          spoilt += 1;
          return fault;
        };
        const outcome = await capture(mine, type).then(
          ({ recoveryPoint }) => ({ recoveryPoint, error: undefined }),
          (error: unknown) => ({ recoveryPoint: undefined, error: toDrError(error) }),
        );
        sourceProxy.reset();
        expect(spoilt, fault).to.be.greaterThan(0);
        const complete = await completeRecoveryPoints(mine);
        expect(complete, fault).to.include(first);
        if (outcome.error === undefined) {
          const isRight = await isRestoredRight(mine, outcome.recoveryPoint);
          if (fault !== "a flipped byte in the answer") expect(isRight, fault).to.equal(true);
          if (isRight === "not found") {
            // Nobody sends a checksum of the bytes in a tar: the next full capture compares them.
            await capture(mine, "full");
            expect(await completeRecoveryPoints(mine), fault).to.not.include(outcome.recoveryPoint);
          }
        } else {
          codes[outcome.error.code] = (codes[outcome.error.code] ?? 0) + 1;
          expect(outcome.error.code, `${fault}: ${outcome.error.stack}`).not.to.equal("INTERNAL");
          expect(complete, fault).to.deep.equal([first]);
        }
        const again = await capture(mine, type);
        expect(await restored(mine, again.recoveryPoint), `after ${fault}`).to.equal(undefined);
        expect(await contentOf(direct), `after ${fault}`).to.deep.equal(now);
      }
      console.log(`      ${JSON.stringify(codes)}`);
      expect(Object.values(codes).reduce((sum, count) => sum + count, 0)).to.be.greaterThan(faults.length / 2);
    });
  }

  it("a tar that ends well after any of its entries is refused, unless nothing is missing that a restore needs", async () => {
    const [shard] = await source.shards(collection);
    if (shard === undefined) throw new Error("the collection has no shard");
    const pieces: Buffer[] = [];
    for await (const piece of (await source.captureShard(collection, shard, {})) ?? []) pieces.push(piece as Buffer);
    const tar = Buffer.concat(pieces);
    const ends: number[] = [];
    let taken = 0;
    const counted = async function* () {
      for (; taken < tar.length; taken += 512) yield tar.subarray(taken, taken + 512);
    };
    const names: string[] = [];
    for await (const { content, path } of readSparseTar(counted())) {
      for await (const _read of content);
      // The block that is being read is the entry's last one.
      ends.push(taken + 512);
      names.push(path);
    }
    ends.pop();
    expect(names.length).to.be.greaterThan(10);

    const whole: string[] = [];
    for (const [at, end] of ends.entries()) {
      const mine = { repository: copyOf(stores.repository), control: copyOf(stores.control) };
      const short = Buffer.concat([tar.subarray(0, end), Buffer.alloc(1024)]);
      sourceProxy.instead = (seen) => (isCapture(seen) ? short : undefined);
      const code = await codeOf(capture(mine, "full"));
      sourceProxy.reset();
      const complete = await completeRecoveryPoints(mine);
      if (code === undefined) {
        whole.push(names[at] ?? "");
        expect(await isRestoredRight(mine, complete.at(-1) ?? ""), `ends after ${names[at]}`).to.equal(true);
      } else {
        expect(code, `ends after ${names[at]}`).to.equal("CAPTURE_INCOMPLETE");
        expect(complete).to.deep.equal([first]);
      }
    }
    // What comes after is of the configuration, and restores have their own.
    expect(
      whole.every((name) => name.endsWith("replica_state.json")),
      whole.join(),
    ).to.equal(true);
  });

  it("restore: every point is there, or it is refused and the next run puts every point there", async () => {
    for (const fault of faults.filter((each) => each !== "an empty answer")) {
      const mine = { repository: copyOf(stores.repository), control: copyOf(stores.control) };
      const repository = await OpenRepository.open(mine, wrap);
      const recoveryPoint = await repository.readRecoveryPoint(first);
      await direct.deleteCollection(collection);
      targetProxy.plan = (seen) => (isUpload(seen) ? fault : undefined);
      const code = await codeOf(restoreRecoveryPoint({ repository, recoveryPoint, target, ...told }));
      targetProxy.reset();
      if (code !== undefined) {
        expect(code, fault).not.to.equal("INTERNAL");
        expect(await direct.collections(), `${fault}: what was made is removed`).to.deep.equal([]);
        await restoreRecoveryPoint({ repository, recoveryPoint, target, ...told });
      }
      expect(await contentOf(direct), fault).to.deep.equal(contents.get(first));
    }
  });

  it("a Qdrant that is killed under a capture or a restore: one clear error, and the next run is whole", async () => {
    for (const isDone of [false, true]) {
      const mine = { repository: copyOf(stores.repository), control: copyOf(stores.control) };
      const killSource = async (seen: SeenRequest) => {
        if (isCapture(seen)) await sourceServer.kill();
        return undefined;
      };
      if (isDone) sourceProxy.onAnswer = async (seen) => void (await killSource(seen));
      else sourceProxy.plan = killSource;
      const code = await codeOf(capture(mine, "full"));
      sourceProxy.reset();
      expect(code, `capture, ${isDone}`).to.be.oneOf(["UNREACHABLE", "CAPTURE_INCOMPLETE", "LINEAGE_BROKEN"]);
      expect(await completeRecoveryPoints(mine)).to.deep.equal([first]);
      await sourceServer.restart();
      const { recoveryPoint } = await capture(mine, "incremental");
      expect(await restored(mine, recoveryPoint)).to.equal(undefined);
      expect(await contentOf(direct)).to.deep.equal(now);

      const repository = await OpenRepository.open(mine, wrap);
      const restoring = {
        repository,
        recoveryPoint: await repository.readRecoveryPoint(recoveryPoint),
        target,
        ...told,
      };
      await direct.deleteCollection(collection);
      const killTarget = async (seen: SeenRequest) => {
        if (isUpload(seen)) await targetServer.kill();
        return undefined;
      };
      if (isDone) targetProxy.onAnswer = async (seen) => void (await killTarget(seen));
      else targetProxy.plan = killTarget;
      expect(await codeOf(restoreRecoveryPoint(restoring)), `restore, ${isDone}`).to.equal("UNREACHABLE");
      targetProxy.reset();
      await targetServer.restart();
      await restoreRecoveryPoint({ ...restoring, discardUnfinished: true });
      expect(await contentOf(direct)).to.deep.equal(now);
    }
  });
});
