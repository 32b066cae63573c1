/** What `doctor --store` finds out of real buckets: with versions, with a lock, and behind what takes away `If-None-Match`. */
import { PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import { storeProtection } from "../../runtime/adapters/stores/store-protection.ts";
import { tryWriterRights } from "../../runtime/adapters/stores/writer-rights.ts";
import { diagnoseStore } from "../../runtime/workflows/doctor/diagnose-store.ts";
import { allChecks, probeStore } from "../../runtime/workflows/probe-store.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { withoutCondition } from "../support/faults/without-condition.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

type Address = Awaited<ReturnType<SeaweedServer["bucket"]>>;

describe("the conformance of a store", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let client: S3Client;

  before(async () => {
    server = await SeaweedServer.start();
    const { credentials, endpoint } = server;
    client = new S3Client(s3ClientSettings({ kind: "s3", bucket: "any", region: "us-east-1", endpoint, credentials }));
  });

  after(async () => {
    client?.destroy();
    await server?.stop();
  });

  let probes = 0;
  const diagnose = (address: Address) => {
    probes += 1;
    return diagnoseStore({
      places: [],
      protection: () => storeProtection(address),
      probe: { id: `p${probes}`, store: openStore(address), writerRights: (key) => tryWriterRights(address, key) },
    });
  };

  it("a bucket that keeps no versions: all is passed, and a writer can destroy", async () => {
    const address = await server.bucket("plain");
    const { probe, writer } = await diagnose(address);
    expect(probe).to.deep.equal({ passed: allChecks });
    expect(writer).to.deep.equal({ replaces: true, deletes: true, destroys: true, bypassesLock: false });
  });

  it("a bucket that keeps versions: a writer hides, and destroys a version", async () => {
    const address = await server.bucket("versions");
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await client.send(new PutBucketVersioningCommand({ Bucket: "versions", VersioningConfiguration }));
    expect(await storeProtection(address)).to.include({ keepsVersions: true, lockedDays: 0 });
    expect(await tryWriterRights(address, "probes/a/tried")).to.deep.equal({
      replaces: true,
      deletes: true,
      destroys: true,
      bypassesLock: false,
    });
  });

  it("a bucket that locks: a writer hides, and destroys nothing", async () => {
    const address = await server.bucket("locked", 1);
    expect(await storeProtection(address)).to.include({ keepsVersions: true, lockedDays: 1 });
    expect(await tryWriterRights(address, "probes/a/tried")).to.deep.equal({
      replaces: true,
      deletes: true,
      destroys: false,
      bypassesLock: false,
    });
  });

  it("refuses a store before which If-None-Match is lost", async () => {
    const address = await server.bucket("behind");
    const proxy = await FaultProxy.start(server.endpoint);
    try {
      const { secretAccessKey } = server.credentials;
      const behind = { ...address, endpoint: proxy.url };
      expect((await probeStore(openStore(behind), "honest")).failed).to.equal(undefined);
      proxy.headers = (own, request) => withoutCondition(own, request, secretAccessKey);
      const { probe, writer } = await diagnose(behind);
      expect(probe?.failed?.check).to.equal("create-only");
      expect(probe?.failed?.problem).to.include({ code: "NOT_SUPPORTED" });
      expect(writer).to.equal(undefined);
    } finally {
      await proxy.stop();
    }
  });
});
