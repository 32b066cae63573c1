/** What every `PrunableStore` must keep: in a folder, and in buckets of a real S3 server, with and without versions. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { openPruner } from "../../runtime/adapters/stores/open-pruner.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import { forEachConcurrently } from "../../runtime/async/for-each-concurrently.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import { codeOf } from "../support/expect-code.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { keysOf } from "./object-store.contract.ts";

const pack = (n: number) => storeLayout.pack(n.toString(16).padStart(64, "0"));

function describePrunable(open: () => StoreAddress): void {
  it("deletes what it is told and nothing else, says nothing of what is not there, and leaves room for the same keys", async () => {
    const [store, pruner] = [openStore(open()), openPruner(open())];
    const keys = [pack(1), pack(2), storeLayout.manifest("a"), storeLayout.attestation("a", "verified", "x")];
    for (const key of keys) await store.create(key, Buffer.from(key));

    expect(await pruner.delete([pack(1), storeLayout.manifest("a"), pack(77)])).to.deep.equal([]);

    expect((await keysOf(store, "")).sort()).to.deep.equal(
      [storeLayout.attestation("a", "verified", "x"), pack(2)].sort(),
    );
    expect(await codeOf(store.get(pack(1)))).to.equal("OBJECT_NOT_FOUND");
    expect(await pruner.delete([pack(1), storeLayout.manifest("a")])).to.deep.equal([]);
    expect(await store.create(pack(1), Buffer.from("again"))).to.equal("created");
    expect(String(await store.get(pack(1)))).to.equal("again");
    expect(await pruner.delete(await keysOf(store, ""))).to.deep.equal([]);
    expect(await keysOf(store, "")).to.deep.equal([]);
  });

  it("deletes many at once, one of which is named as a beginning of another", async () => {
    const [store, pruner] = [openStore(open()), openPruner(open())];
    const keys = Array.from({ length: 100 }, (_, n) => storeLayout.attestation("many", "verified", `${n}x`));
    await forEachConcurrently(8, keys, async (key) => void (await store.create(key, Buffer.from("x"))));
    const longer = `${keys[0]}-longer`;
    await store.create(longer, Buffer.from("stays"));

    expect(await pruner.delete(keys)).to.deep.equal([]);

    expect(await keysOf(store, storeLayout.recoveryPoints)).to.deep.equal([longer]);
    await pruner.delete([longer]);
  });

  it("tells when each object was stored", async () => {
    const store = openStore(open());
    const before = Date.now();
    await store.create(pack(9), Buffer.from("x"));
    for await (const { storedAt } of store.list("packs/")) {
      expect(Math.abs((storedAt?.getTime() ?? 0) - before)).to.be.below(10_000);
    }
    await openPruner(open()).delete([pack(9)]);
  });
}

describe("prunable store in a folder without hard links", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prunable-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("deletes objects that are folders, and nothing of others", async () => {
    const refused = Object.assign(new Error("no hard links here"), { code: "EPERM" });
    const store = new FileStore(folder, () => Promise.reject(refused));
    for (const key of [pack(1), pack(2), storeLayout.manifest("a")]) await store.create(key, Buffer.from(key));
    const pruner = openPruner({ kind: "file", folder });
    expect(await pruner.delete([pack(1), storeLayout.manifest("a"), pack(77)])).to.deep.equal([]);
    expect(await keysOf(store, "")).to.deep.equal([pack(2)]);
    expect(
      readdirSync(folder, { recursive: true }).filter((name) => String(name).includes("unfinished")),
    ).to.deep.equal([]);
    expect(await store.create(pack(1), Buffer.from("again"))).to.equal("created");
    expect(String(await store.get(pack(1)))).to.equal("again");
  });
});

describe("prunable store in a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prunable-"));

  after(() => rmSync(folder, { recursive: true, force: true }));

  describePrunable(() => ({ kind: "file", folder }));

  it("leaves no empty folders of recovery points and sessions, and those of packs for whoever writes next", () => {
    expect(readdirSync(join(folder, "recovery-points"))).to.deep.equal([]);
    expect(readdirSync(join(folder, "packs"))).to.deep.equal(["00"]);
  });

  it("calls a folder that is gone UNREACHABLE, and refuses keys that leave it", async () => {
    expect(await codeOf(openPruner({ kind: "file", folder: join(folder, "gone") }).delete(["a"]))).to.equal(
      "UNREACHABLE",
    );
    mkdirSync(join(folder, "inner"));
    let refused: unknown;
    await openPruner({ kind: "file", folder: join(folder, "inner") })
      .delete(["../packs"])
      .catch((error: unknown) => {
        refused = error;
      });
    expect(String(refused)).to.match(/not a key/);
  });
});

describe("prunable store in S3 buckets", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let plain: Extract<StoreAddress, { kind: "s3" }>;
  let versioned: Extract<StoreAddress, { kind: "s3" }>;

  before(async () => {
    server = await SeaweedServer.start();
    [plain, versioned] = [await server.bucket("plain"), await server.bucket("versioned")];
    const client = new S3Client(s3ClientSettings(versioned));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: versioned.bucket, VersioningConfiguration }));
    client.destroy();
  });

  after(async () => {
    await server?.stop();
  });

  describe("without versions", () => describePrunable(() => plain));
  describe("below a prefix", () => describePrunable(() => ({ ...plain, prefix: "team/qdrant" })));
  describe("with versions", () => describePrunable(() => versioned));

  describe("with locks of single objects", () => {
    const inHours = (hours: number) => new Date(Math.ceil(Date.now() / 1_000) * 1_000 + hours * 3_600_000);
    const cases = [
      ["by the object alone", "by object", undefined],
      ["and one of the bucket's own", 1, 24],
    ] as const;
    for (const [what, rule, hoursByItself] of cases) {
      it(`${what}: puts with one, tells and extends it, makes none shorter, and deletes what is locked no more`, async () => {
        const address = await server.bucket(`locks-${rule === 1}`, rule);
        const [store, pruner] = [openStore(address), openPruner(address)];
        const locks = await store.locks?.();
        if (locks === undefined) throw new Error("the store tells of no locks");
        expect(locks.locksByItself).to.equal(hoursByItself !== undefined);
        const until = inHours(2);
        expect(await store.create(pack(1), Buffer.from("locked"), undefined, until)).to.equal("created");
        expect(await store.create(pack(1), Buffer.from("other"), undefined, inHours(9))).to.equal("exists");
        await store.create(pack(2), Buffer.from("as the bucket says"));
        expect(await locks.lockedUntil(pack(1))).to.deep.equal(until);
        const byItself = await locks.lockedUntil(pack(2));
        const hours = byItself && Math.round((byItself.getTime() - Date.now()) / 3_600_000);
        expect(hours).to.equal(hoursByItself);
        expect(await codeOf(locks.lockedUntil(pack(3)))).to.equal("OBJECT_NOT_FOUND");

        const longer = inHours(3);
        await locks.extend(pack(1), longer);
        expect(await codeOf(locks.extend(pack(1), until))).to.equal("ACCESS_DENIED");
        expect(await locks.lockedUntil(pack(1))).to.deep.equal(longer);

        const kept = await pruner.delete([pack(1), pack(2)]);
        expect(kept.map(({ key }) => key)).to.have.members(
          hoursByItself === undefined ? [pack(1)] : [pack(1), pack(2)],
        );
        expect(kept.find(({ key }) => key === pack(1))?.reason).to.include(longer.toISOString());
        expect(String(await store.get(pack(1)))).to.equal("locked");
      });
    }

    it("tells of none where the bucket keeps none, and stores there as ever", async () => {
      const store = openStore(plain);
      expect(await store.locks?.()).to.equal(undefined);
      expect(await store.create(pack(8), Buffer.from("x"), undefined, inHours(2))).to.equal("created");
      expect(await openPruner(plain).delete([pack(8)])).to.deep.equal([]);
    });
  });

  it("calls a wrong secret ACCESS_DENIED", async () => {
    const credentials = { ...server.credentials, secretAccessKey: "another-secret-than-the-writers" };
    expect(await codeOf(openPruner({ ...plain, credentials }).delete([pack(1)]))).to.equal("ACCESS_DENIED");
  });
});
