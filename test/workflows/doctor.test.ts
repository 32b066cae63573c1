/** The doctor looks at a real Qdrant through a proxy that counts what is asked, before and after something protects it. */
import { expect } from "chai";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { diagnoseQdrant } from "../../runtime/workflows/doctor/diagnose-qdrant.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

describe("the doctor of a Qdrant", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let proxy: FaultProxy;

  before(async () => {
    server = await QdrantServer.start();
    proxy = await FaultProxy.start(server.url);
    const client = clientOf(server);
    for (const name of ["notes", "later"]) {
      await client.createCollection(name, {
        vectors: { size: 2, distance: "Dot" },
        wal_config: { wal_capacity_mb: 1 },
        optimizers_config: { indexing_threshold: name === "later" ? 0 : 10_000 },
      });
      await client.upsert(name, {
        wait: true,
        points: [
          { id: 1, vector: [1, 2] },
          { id: 2, vector: [3, 4] },
        ],
      });
    }
  });

  after(async () => {
    await proxy?.stop();
    await server?.stop();
  });

  const seen = () => databaseOf({ url: proxy.url, apiKey: server.apiKey });
  const asked = { urls: ["http://127.0.0.1:6333"], clock: systemClock };

  it("finds what would be lost and what to do for one that nothing protects, and asks only questions", async () => {
    proxy.reset();
    const found = await diagnoseQdrant({ ...asked, database: seen() });
    expect(found).to.deep.include({ version: "1.16.3", rights: "everything", collections: 2, points: 4 });
    expect(found.loss).to.deep.equal({ collections: ["later", "notes"], points: 4 });
    expect(found.restore.isGuessed).to.equal(true);
    expect(found.hazards.map(({ severity, what }) => `${severity} ${what.slice(0, 22)}`)).to.deep.equal([
      "warning later is never indexed",
    ]);
    expect(found.next.command).to.match(/^qdrant-dr init --qdrant http:\/\/127\.0\.0\.1:6333 --store /);
    const others = proxy.log.filter(({ method, path }) => method !== "GET" && !/\/points\/count(\?|$)/.test(path));
    expect(others).to.deep.equal([]);
    expect(proxy.log.length).to.be.within(5, 40);
  });

  it("finds what a recovery point holds, and then asks for a proof of it", async () => {
    const practice = await RecoveryPractice.start();
    const repository = () => OpenRepository.open(practice.stores, practice.wrap);
    const look = () => diagnoseQdrant({ ...asked, database: seen(), repository });
    expect((await look()).next.command).to.equal("qdrant-dr backup");
    const recoveryPoint = await practice.capture(databaseOf(server));
    const captured = await look();
    expect(captured.loss).to.deep.include({ collections: [], points: 0 });
    expect(captured.loss.newest?.id).to.equal(recoveryPoint.id);
    expect(captured.restore).to.deep.include({ isGuessed: false });
    expect(captured.next.command).to.equal("qdrant-dr verify");
    const finding = { at: new Date(), region: "east", detail: "read" };
    await attest(await repository(), "verified", recoveryPoint, finding);
    expect((await look()).next.command).to.equal("qdrant-dr restore --test");
    await clientOf(server).createCollection("new", { vectors: { size: 2, distance: "Dot" } });
    expect((await look()).loss.collections).to.deep.equal(["new"]);
    expect((await look()).next.command).to.equal("qdrant-dr backup");
  });

  it("tells a Qdrant without a key", async () => {
    proxy.instead = ({ path }) => (path === "/collections" ? Buffer.from('{"result":{"collections":[]}}') : undefined);
    const { hazards } = await diagnoseQdrant({ ...asked, database: seen() });
    proxy.reset();
    expect(hazards.map(({ what }) => what).join("\n")).to.contain("answers without a key");
  });
});
