/**
 * Capture, copy, verify and restore over a real S3 server whose answers a proxy spoils. Whatever is spoilt, a run either
 * succeeds or ends with one clear error, and everything that any run ever called complete verifies and restores exactly.
 * The suite tries every fault with half of the workflows, at a request by chance; a proof tries every fault at every kind of
 * request with all of them. QDRANT_DR_SEED chooses another sample.
 */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { toDrError } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { StoredPoint, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { allOf } from "../support/all-of.ts";
import { BucketRegion, type BucketState } from "../support/estates/bucket-region.ts";
import { ageKeys, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { type FaultKind, FaultProxy, faultKinds, type SeenRequest } from "../support/faults/fault-proxy.ts";
import { isProof } from "../support/how-many.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_122);
const collection = "notes";
const alias = "current-notes";
const told = { clock: systemClock, progress: silently };

/** As often as a client may try again: what is spoilt once only is often not seen above the adapter. */
const attempts = 3;

interface Case {
  readonly fault: FaultKind;
  /** What is asked for, without what differs from run to run. */
  readonly request: string;
  readonly times: number;
}

/** A request's method and the kind of object that it is about. */
function kindOf({ method, path }: SeenRequest): string {
  const { pathname, searchParams } = new URL(path, "http://store");
  const [, bucket = "", ...key] = pathname.split("/");
  const place = bucket.replace(/^.*-/, "");
  if (searchParams.has("list-type")) return `list ${place}/${searchParams.get("prefix")}`;
  if (key[0] === "points") return `${method} ${place}/points ${key.at(-1)?.replace(/-.*/, "")}`;
  return `${method} ${place}/${key[0]}`;
}

describe("workflows over a store that fails", function () {
  this.timeout(isProof ? 3_600_000 : 300_000);
  let store: SeaweedServer;
  let proxy: FaultProxy;
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let wrap: KeyWrap;
  let east: BucketRegion;
  let west: BucketRegion;
  let eastState: BucketState;
  let westEmpty: BucketState;
  let westState: BucketState;
  let recoveryPoints: RecoveryPoint[];
  /** What the source held at each point; all later captures hold what the source holds now. */
  const contents = new Map<string, StoredPoint[]>();
  let now: StoredPoint[];

  before(async () => {
    ({ wrap } = await ageKeys());
    [store, sourceServer, targetServer] = await Promise.all([
      SeaweedServer.start(),
      QdrantServer.start(),
      QdrantServer.start(),
    ]);
    proxy = await FaultProxy.start(store.endpoint);
    east = await BucketRegion.make(store, "east");
    west = await BucketRegion.make(store, "west");
    source = databaseOf(sourceServer);
    target = databaseOf(targetServer);
    client = clientOf(sourceServer);
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Euclid" },
      shard_number: 2,
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
    await client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: alias, collection_name: collection } }],
    });
    await write(1, 20);
    const repository = await OpenRepository.openOrCreate(east.stores, wrap);
    const full = await capture(repository, "full");
    contents.set(full.recoveryPoint, await contentOf(source));
    await write(15, 30);
    await client.delete(collection, { wait: true, points: [3, 25] });
    const incremental = await capture(repository, "incremental");
    contents.set(incremental.recoveryPoint, await contentOf(source));
    recoveryPoints = await Promise.all(
      [full, incremental].map(({ recoveryPoint }) => repository.readRecoveryPoint(recoveryPoint)),
    );
    westEmpty = await west.state();
    await copyRecoveryPoints(repository, { stores: west.stores, wrap }, silently, systemClock);
    eastState = await east.state();
    westState = await west.state();
    // What the captures under test find changed.
    await write(31, 36);
    now = await contentOf(source);
  });

  after(async () => {
    await proxy?.stop();
    await Promise.all([store?.stop(), sourceServer?.stop(), targetServer?.stop()]);
  });

  async function write(from: number, to: number): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const upserted = ids.map((id) => ({ id, payload: { tag: `tag ${id % 3}`, to }, vector: [id, to, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points: upserted });
  }

  function capture(repository: OpenRepository, type: "full" | "incremental") {
    return captureRecoveryPoint({ region: "east", type, database: source, repository, ...told, toolVersion: "test" });
  }

  async function contentOf(database: VectorDatabase): Promise<StoredPoint[]> {
    const found = await database.points(collection, await allOf(database.ids(collection)));
    return found.sort((a, b) => Number(a.id) - Number(b.id));
  }

  async function emptyTarget(): Promise<void> {
    for (const name of await target.collections()) await target.deleteCollection(name);
  }

  /** Each of them is called complete by a clean look at the bucket, and every byte of it can be read. */
  async function expectWhole(region: BucketRegion, ids: readonly string[], what: string): Promise<void> {
    if (ids.length === 0) return;
    const repository = await region.seenElsewhere(wrap);
    const { entries } = await readCatalog(repository);
    for (const id of ids) {
      const entry = entries.find((candidate) => candidate.id === id);
      expect(entry?.state, `${what}: ${id} ${entry?.reasons.join("; ")}`).to.equal("complete");
      if (entry?.recoveryPoint !== undefined)
        await verifyRecoveryPoint(repository, entry.recoveryPoint, { ...told, region: "east" });
    }
  }

  async function expectRestores(region: BucketRegion, id: string, what: string): Promise<void> {
    const repository = await region.seenElsewhere(wrap);
    await emptyTarget();
    await restoreRecoveryPoint({ repository, recoveryPoint: await repository.readRecoveryPoint(id), target, ...told });
    expect(await contentOf(target), what).to.deep.equal(contents.get(id) ?? now);
  }

  interface Workflow {
    readonly name: string;
    begin(): Promise<void>;
    /** Answers the points that it calls complete now. */
    run(): Promise<readonly string[]>;
    /** Where they are. */
    readonly at: () => BucketRegion;
    /** Points that are complete there from the beginning. */
    readonly known: () => readonly string[];
    /** Whether it makes points that no run before has restored. */
    readonly makes: boolean;
  }

  const both = () => recoveryPoints.map(({ id }) => id);
  const none = () => [];

  const captures = (type: "full" | "incremental"): Workflow => ({
    name: `${type} capture`,
    begin: () => east.rewind(eastState),
    run: async () => [
      (await capture(await OpenRepository.openOrCreate(east.through(proxy.url), wrap), type)).recoveryPoint,
    ],
    at: () => east,
    known: both,
    makes: true,
  });

  const workflows: readonly Workflow[] = [
    captures("full"),
    captures("incremental"),
    {
      ...captures("full"),
      name: "first capture",
      begin: () => east.rewind({ repository: new Map(), control: westEmpty.control }),
      known: none,
    },
    {
      name: "copy",
      begin: async () => {
        await east.rewind(eastState);
        await west.rewind(westEmpty);
      },
      run: async () => {
        const from = await OpenRepository.open(east.through(proxy.url), wrap);
        const { skipped } = await copyRecoveryPoints(
          from,
          { stores: west.through(proxy.url), wrap },
          silently,
          systemClock,
        );
        return both().filter((id) => !skipped.includes(id));
      },
      at: () => west,
      known: none,
      makes: true,
    },
    {
      name: "verify",
      begin: () => west.rewind(westState),
      run: async () => {
        const repository = await OpenRepository.open(west.through(proxy.url), wrap);
        for (const id of both()) {
          await verifyRecoveryPoint(repository, await repository.readRecoveryPoint(id), { ...told, region: "west" });
        }
        return both();
      },
      at: () => west,
      known: both,
      makes: false,
    },
    {
      name: "restore",
      begin: async () => {
        await west.rewind(westState);
        await emptyTarget();
      },
      run: async () => {
        const repository = await OpenRepository.open(west.through(proxy.url), wrap);
        const { entries } = await readCatalog(repository);
        const newest = entries.findLast(({ state }) => state === "complete")?.recoveryPoint;
        // What the command says when it finds none.
        if (newest === undefined) return [];
        await restoreRecoveryPoint({ repository, recoveryPoint: newest, target, discardUnfinished: true, ...told });
        expect(await contentOf(target)).to.deep.equal(contents.get(newest.id));
        return [newest.id];
      },
      at: () => west,
      known: both,
      makes: false,
    },
  ];

  for (const [index, workflow] of workflows.entries()) {
    it(`${workflow.name}: no false success and no loss, whatever the store does`, async () => {
      await workflow.begin();
      proxy.reset();
      await workflow.run();
      const kinds = [...new Set(proxy.log.map(kindOf))].sort();
      const tally = { runs: 0, succeeded: 0, refused: 0, codes: {} as Record<string, number> };
      const wrongs: string[] = [];

      for (const { fault, request, times } of casesFor(workflow.name, index, kinds)) {
        const what = `${fault} ${times} times at ${request}`;
        proxy.reset();
        await workflow.begin();
        let spoilt = 0;
        proxy.plan = (seen) => (kindOf(seen) === request && spoilt++ < times ? fault : undefined);
        tally.runs += 1;
        const begun = performance.now();
        try {
          const outcome = await workflow.run().then(
            (ids) => ({ ids, error: undefined }),
            (error: unknown) => ({ ids: [], error: toDrError(error) }),
          );
          const seconds = (performance.now() - begun) / 1000;
          expect(seconds, "seconds").to.be.lessThan(15);
          proxy.plan = () => undefined;
          await expectWhole(workflow.at(), [...new Set([...workflow.known(), ...outcome.ids])], "after it");
          if (outcome.error === undefined) {
            tally.succeeded += 1;
            if (workflow.makes) await expectRestores(workflow.at(), outcome.ids.at(-1) ?? "", "restored");
          } else {
            tally.refused += 1;
            tally.codes[outcome.error.code] = (tally.codes[outcome.error.code] ?? 0) + 1;
            expect(outcome.error.code, outcome.error.stack ?? "").not.to.equal("INTERNAL");
            const again = await workflow.run();
            expect(again.length, "points of the second run").to.be.greaterThan(0);
            await expectWhole(workflow.at(), again, "after the second run");
          }
        } catch (error) {
          wrongs.push(`${what}: ${(error as Error).message}`);
        }
      }
      console.log(`      ${JSON.stringify(tally)}`);
      expect(wrongs).to.deep.equal([]);
    });
  }

  function casesFor(name: string, index: number, requests: readonly string[]): Case[] {
    const all = requests.flatMap((request) =>
      faultKinds.flatMap((fault) => [1, attempts].map((times) => ({ fault, request, times }))),
    );
    if (isProof) return all;
    const random = seeded(seed + name.length);
    const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
    const cases = faultKinds.map((fault) => ({ fault, request: pick(requests), times: pick([1, attempts]) }));
    return cases.filter((_, fault) => (fault + index) % 2 === 0);
  }
});
