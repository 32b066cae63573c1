/** A capture over a slow line that breaks: the next one does not send again what was stored. A real Qdrant, a real S3 server, a throttled line. */
import { expect } from "chai";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { ageKeys, firstEpoch, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { ThrottledProxy } from "../support/faults/throttled-proxy.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const bytesPerSecond = 5_000_000;
const dimensions = 1_024;
/** Some 25 MB that cannot be compressed: three packs. */
const points = 6_000;
const perRequest = 300;

describe("a capture over a slow line that breaks", function () {
  this.timeout(120_000);
  let store: SeaweedServer;
  let server: QdrantServer;
  let line: ThrottledProxy;
  let wrap: KeyWrap;
  let repository: StoreAddress & { kind: "s3" };
  let control: StoreAddress & { kind: "s3" };

  before(async () => {
    ({ wrap } = await ageKeys());
    [store, server] = await Promise.all([SeaweedServer.start(), QdrantServer.start()]);
    [repository, control] = [await store.bucket("slow-repository"), await store.bucket("slow-control")];
    await openStore(control).create(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
    line = await ThrottledProxy.start(store.endpoint, bytesPerSecond);
    const client = clientOf(server);
    const random = seeded(20_261_130);
    await client.createCollection("notes", {
      vectors: { size: dimensions, distance: "Dot" },
      optimizers_config: { default_segment_number: 1, indexing_threshold: 0 },
      wal_config: { wal_capacity_mb: 1 },
    });
    for (let from = 0; from < points; from += perRequest) {
      const upserted = Array.from({ length: perRequest }, (_, n) => ({
        id: from + n,
        vector: Array.from({ length: dimensions }, random),
      }));
      await client.upsert("notes", { wait: true, points: upserted });
    }
  });

  after(async () => {
    await line?.stop();
    await Promise.all([store?.stop(), server?.stop()]);
  });

  async function capture(): Promise<string> {
    const endpoint = line.url;
    const stores = { repository: openStore({ ...repository, endpoint }), control: openStore({ ...control, endpoint }) };
    const { recoveryPoint } = await captureRecoveryPoint({
      region: "east",
      type: "full",
      database: databaseOf(server),
      repository: await OpenRepository.openOrCreate(stores, wrap),
      clock: systemClock,
      progress: silently,
      toolVersion: "test",
    });
    return recoveryPoint;
  }

  it("keeps the packs that were stored: the next one sends the rest, and is whole", async () => {
    const cutAfter = 20_000_000;
    const broken = codeOf(capture());
    await line.untilPassed(cutAfter);
    await line.stop();
    expect(await broken).to.equal("UNREACHABLE");

    line = await ThrottledProxy.start(store.endpoint, bytesPerSecond);
    const recoveryPoint = await capture();
    const packsKept = 2 * 8_000_000;
    expect(line.passed, "sent by the next run").to.be.within(5_000_000, 27_000_000 - packsKept);
    const direct = await OpenRepository.open({ repository: openStore(repository), control: openStore(control) }, wrap);
    const read = { clock: systemClock, progress: silently, region: "east" };
    const { bytes } = await verifyRecoveryPoint(direct, await direct.readRecoveryPoint(recoveryPoint), read);
    expect(bytes).to.be.greaterThan(points * dimensions * 4);
  });
});
