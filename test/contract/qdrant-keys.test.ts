/** What a key of Qdrant may ask and see, with a real Qdrant that checks tokens (`service.jwt_rbac`). */
import { createHmac } from "node:crypto";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { clientOf, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const readOnlyKey = "key-that-may-only-read";
const [notes, others] = ["notes", "others"];

describe("a key of Qdrant", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let practice: RecoveryPractice;

  before(async () => {
    const settings = { QDRANT__SERVICE__JWT_RBAC: "true", QDRANT__SERVICE__READ_ONLY_API_KEY: readOnlyKey };
    server = await QdrantServer.start("alone", undefined, settings);
    practice = await RecoveryPractice.start();
    for (const name of [notes, others]) {
      await clientOf(server).createCollection(name, {
        vectors: { size: 2, distance: "Dot" },
        wal_config: { wal_capacity_mb: 1 },
      });
      await clientOf(server).upsert(name, { wait: true, points: [{ id: 1, vector: [1, 2], payload: {} }] });
    }
  });
  after(() => server?.stop());

  const by = (apiKey: string) => new Qdrant({ peers: [server.url], apiKey });
  function token(claims: object): string {
    const encoded = [{ alg: "HS256", typ: "JWT" }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const signed = encoded.join(".");
    return `${signed}.${createHmac("sha256", server.apiKey).update(signed).digest("base64url")}`;
  }
  const onSome = (access: "r" | "rw") => token({ access: [{ collection: notes, access }] });
  const committed = () =>
    [...practice.stores.repository.objects.keys()].filter((key) => key.startsWith(storeLayout.recoveryPoints)).length;

  it("that sees some collections only is refused where the others would be taken for gone, with the right that it lacks", async () => {
    await practice.capture(by(server.apiKey));
    const before = committed();
    for (const access of ["r", "rw"] as const) {
      const limited = by(onSome(access));
      for (const asked of [limited.collections(), limited.listCollections(), practice.capture(limited)]) {
        const error = await errorOf(asked);
        expect(error?.code).to.equal("ACCESS_DENIED");
        expect(error?.message).to.contain("rights on some collections only");
        expect(error?.hint).to.contain('access: "m"');
      }
      expect(await limited.count(notes)).to.equal(1);
      expect((await errorOf(limited.count(others)))?.message).to.match(/lacks a right: Access to collection others/);
      expect(await codeOf(limited.exists(others)), "not gone").to.equal("ACCESS_DENIED");
    }
    expect(committed()).to.equal(before);
  });

  it("that may manage and is not Qdrant's own captures all, as the other region does", async () => {
    const { id } = await practice.capture(by(token({ access: "m", sub: "replication of the other region" })));
    const { collections } = await (await OpenRepository.open(practice.stores, practice.wrap)).readRecoveryPoint(id);
    expect(collections.map(({ name }) => name)).to.have.members([notes, others]);
  });

  it("that may only read captures nothing, and is told for that", async () => {
    await practice.capture(by(server.apiKey));
    const before = committed();
    for (const key of [readOnlyKey, token({ access: "r" })]) {
      expect(await by(key).collections()).to.have.members([notes, others]);
      for (const type of ["full", "incremental"] as const) {
        const error = await errorOf(practice.capture(by(key), type));
        expect(error?.code).to.equal("ACCESS_DENIED");
        expect(error?.message).to.match(/lacks a right: Global manage access/);
        expect(error?.message).not.to.contain(key);
      }
      const refusals = [by(key).deleteCollection(others), by(key).createAlias({ alias: "x", collection: notes })];
      for (const refusal of refusals) expect((await errorOf(refusal))?.message).to.match(/lacks a right/);
    }
    expect(committed()).to.equal(before);
    expect(await by(server.apiKey).collections()).to.have.members([notes, others]);
  });

  it("that manages everything captures and restores, as the key that the server was started with", async () => {
    const manager = by(token({ access: "m" }));
    const recoveryPoint = await practice.capture(manager);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal([notes, others]);
    const report = await practice.restore(recoveryPoint, manager, { only: [notes], as: "beside" });
    expect(report.points).to.equal(1);
    await manager.deleteCollection("beside");
    const repository = await OpenRepository.open(practice.stores, practice.wrap);
    expect((await repository.readRecoveryPoint(recoveryPoint.id)).collections).to.have.lengthOf(2);
  });

  it("that is expired, unknown or missing is told for what it is, and is not shown", async () => {
    const expired = token({ access: "m", exp: 1_000 });
    const cases = [
      [expired, /expired/],
      ["another-key", /knows no such key/],
      ["", /none was given/],
    ] as const;
    for (const [key, reason] of cases) {
      const error = await errorOf(by(key).collections());
      expect(error?.code).to.equal("ACCESS_DENIED");
      expect(error?.message).to.match(reason);
      if (key !== "") expect(`${error?.message} ${error?.hint}`).not.to.contain(key);
    }
  });
});
