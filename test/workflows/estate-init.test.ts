/** The first epoch of two regions whose stores are S3 servers that do not know each other's access key. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { newSigningKey } from "../../runtime/domain/trust/signing-key.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const names = ["prod", "dr"] as const;

describe("estate init in two S3 stores with keys of their own", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-estate-init-"));
  const servers = {} as Record<(typeof names)[number], SeaweedServer>;
  const file = (name: string, content: unknown) => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  };
  let args: string[];

  before(async () => {
    [servers.prod, servers.dr] = await Promise.all([
      SeaweedServer.start("writer-of-prod"),
      SeaweedServer.start("writer-of-dr"),
    ]);
    const regions: Record<string, object> = {};
    for (const name of names) {
      const { credentials: _, kind: _kind, ...control } = await servers[name].bucket(`${name}-control`);
      regions[name] = { stores: { control, repository: { ...control, bucket: `${name}-repository` } } };
    }
    const foundation = file("foundation.json", { initialActive: "prod", regions });
    args = ["--foundation", foundation, "--signing-key-file", file("alice.signing-key", newSigningKey())];
  });

  after(async () => {
    await Promise.all(names.map((name) => servers[name]?.stop()));
    rmSync(folder, { recursive: true, force: true });
  });

  async function init(keys: unknown) {
    const deps = await compose({ progress: () => {}, onInterrupt: () => () => undefined });
    const said = { out: "", err: "" };
    const exitCode = await runCheckedCli(
      ["estate", "init", ...args, "--credentials", file("keys.json", keys), "--json"],
      deps,
      {
        out: (text) => (said.out += text),
        err: (text) => (said.err += text),
      },
    );
    return { exitCode, ...said };
  }

  async function epochsOf(name: (typeof names)[number]): Promise<unknown[]> {
    const { credentials, endpoint } = servers[name];
    const bucket = `${name}-control`;
    const client = new S3Client(s3ClientSettings({ kind: "s3", bucket, region: "us-east-1", endpoint, credentials }));
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    client.destroy();
    return Contents.map(({ Key }) => Key);
  }

  /** The SDK writes a mark of its own into what it is given. */
  const keyOf = (name: (typeof names)[number]) => {
    const { accessKeyId, secretAccessKey } = servers[name].credentials;
    return { accessKeyId, secretAccessKey };
  };
  const own = () => ({ prod: keyOf("prod"), dr: keyOf("dr") });

  it("is refused with a key of the wrong store, with one that is no key, and for a region that is not there: nothing is written", async () => {
    const wrong = await init({ prod: keyOf("prod"), dr: keyOf("prod") });
    expect(wrong.exitCode, wrong.err).to.equal(5);
    expect(wrong.err).to.contain("dr-control").and.contain("refuses access");
    for (const [keys, told] of [
      [{ prod: { accessKeyId: "writer-of-prod" } }, "prod.secretAccessKey"],
      [{ ...own(), west: keyOf("dr") }, "west is no region"],
      ["writer-of-prod", "no JSON"],
    ] as const) {
      const { err, exitCode } = await init(keys);
      expect(exitCode, err).to.equal(2);
      expect(err).to.contain(told).and.not.contain("writer-of-prod");
    }
    for (const name of names) expect(await epochsOf(name)).to.deep.equal([]);
  });

  it("writes it into both, each with its own key, tells no key, and can be repeated", async () => {
    for (let time = 0; time < 2; time += 1) {
      const { err, exitCode, out } = await init(own());
      expect(exitCode, err).to.equal(0);
      expect(JSON.parse(out).first).to.include({ epoch: 1, active: "prod" });
      expect(out + err).to.not.contain("test-secret-of");
      for (const name of names) expect(await epochsOf(name)).to.deep.equal([controlLayout.epoch(1)]);
    }
  });
});
