import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { CachingStore } from "../../runtime/repository/content/caching-store.ts";
import { probeStore, quickChecks } from "../../runtime/workflows/probe-store.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { ThrottledProxy } from "../support/faults/throttled-proxy.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { describeObjectStore, keysOf } from "./object-store.contract.ts";

describe("object store in memory", () => {
  const store = new MemoryStore();
  describeObjectStore(() => store);
});

for (const mostBytes of [100, 100_000_000]) {
  describe(`object store in memory, behind a cache of ${mostBytes} bytes`, () => {
    const store = new CachingStore(new MemoryStore(), mostBytes, () => true);
    describeObjectStore(() => store);
  });
}

describe("object store in a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-file-store-"));
  const store = new FileStore(folder);

  after(() => rmSync(folder, { recursive: true, force: true }));

  describeObjectStore(() => store);

  it("calls a folder that is gone UNREACHABLE: a lost disk is never an empty list or a missing object", async () => {
    const gone = new FileStore(join(folder, "not-mounted"));

    expect(await codeOf(keysOf(gone, ""))).to.equal("UNREACHABLE");
    expect(await codeOf(gone.get("repository.json"))).to.equal("UNREACHABLE");
    expect(await codeOf(gone.create("repository.json", Buffer.from("{}")))).to.equal("UNREACHABLE");
  });

  it("refuses keys that leave the folder", async () => {
    for (const key of ["../outside", "a/../../outside", "/absolute", "a//b", "a/./b"]) {
      let refused: unknown;
      await store.create(key, Buffer.from("x")).catch((error: unknown) => {
        refused = error;
      });
      expect(String(refused), key).to.match(/not a key/);
    }
    expect(readdirSync(join(folder, ".."))).not.to.include("outside");
  });

  it("shows no half object when its writer is killed in the middle, and takes the object afterwards", async function () {
    this.timeout(30_000);
    const own = mkdtempSync(join(tmpdir(), "qdrant-dr-killed-writer-"));
    const size = 64 * 1024 * 1024;
    mkdirSync(join(own, "packs"));
    const writers: ChildProcess[] = [];
    try {
      let left = 0;
      for (let kill = 0; kill < 5; kill += 1) {
        const key = `packs/${kill}`;
        const watched = watch(join(own, "packs"));
        const writing = once(watched, "change");
        const writer = startWriter(own, key, size);
        writers.push(writer);
        const exit = once(writer, "exit");
        await writing;
        writer.kill("SIGKILL");
        await exit;
        watched.close();

        const killed = new FileStore(own);
        for await (const object of killed.list("")) expect(object.size, object.key).to.equal(size);
        left += readdirSync(join(own, "packs")).filter((name) => name.startsWith(".")).length;
        await killed.create(key, Buffer.alloc(size, 7));
        expect((await killed.get(key)).equals(Buffer.alloc(size, 7)), key).to.equal(true);
        rmSync(join(own, "packs", String(kill)));
      }
      expect(left, "writers that were killed in the middle of a write").to.be.greaterThan(0);
    } finally {
      for (const writer of writers) writer.kill("SIGKILL");
      rmSync(own, { recursive: true, force: true });
    }
  });
});

function startWriter(folder: string, key: string, size: number): ChildProcess {
  const module = fileURLToPath(new URL("../../runtime/adapters/stores/file-store.ts", import.meta.url));
  const program = `
    import { FileStore } from ${JSON.stringify(module)};
    const bytes = Buffer.alloc(${size}, 7);
    await new FileStore(${JSON.stringify(folder)}).create(${JSON.stringify(key)}, bytes);
  `;
  return spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

describe("object store in an S3 bucket", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let address: Extract<StoreAddress, { kind: "s3" }>;
  let store: ObjectStore;

  before(async () => {
    server = await SeaweedServer.start();
    address = await server.bucket("recovery-points");
    store = openStore(address);
  });

  after(async () => {
    await server?.stop();
  });

  describeObjectStore(() => store);

  describe("below a prefix, beside others", () => {
    const below = () => openStore({ ...address, prefix: "ours/qdrant" });

    before(async () => {
      for (const key of ["ours/qdrant-2/a", "ours/qdrant", "ours/a", "a"]) await store.create(key, Buffer.from(key));
    });

    describeObjectStore(below);

    it("writes and lists nothing beside it, and is tried out as any store", async () => {
      expect(await probeStore(below(), "below")).to.deep.equal({ passed: quickChecks });
      const listed = await keysOf(below(), "");
      expect(listed).to.include("probes/below/kept").and.not.include("a");
      const inBucket = await keysOf(store, "ours/qdrant/");
      expect(inBucket).to.deep.equal(listed.map((key) => `ours/qdrant/${key}`));
    });
  });

  describe("without credentials of its own", () => {
    const variables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"];
    const more = ["AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_DISABLED"];
    const environment = new Map<string, string | undefined>();
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-aws-"));

    beforeEach(() => {
      for (const name of [...variables, ...more]) {
        environment.set(name, process.env[name]);
        delete process.env[name];
      }
      process.env["AWS_EC2_METADATA_DISABLED"] = "true";
      process.env["AWS_SHARED_CREDENTIALS_FILE"] = join(folder, "none");
      process.env["AWS_CONFIG_FILE"] = join(folder, "none");
    });

    afterEach(() => {
      for (const [name, value] of environment) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });

    after(() => rmSync(folder, { recursive: true, force: true }));

    const asked = () => {
      const { credentials: _own, ...anonymous } = address;
      return keysOf(openStore(anonymous), "no-such-prefix");
    };

    it("takes those of the environment", async () => {
      process.env["AWS_ACCESS_KEY_ID"] = server.credentials.accessKeyId;
      process.env["AWS_SECRET_ACCESS_KEY"] = server.credentials.secretAccessKey;
      expect(await asked()).to.deep.equal([]);
    });

    it("takes those of a profile", async () => {
      const { accessKeyId, secretAccessKey } = server.credentials;
      const file = join(folder, "credentials");
      writeFileSync(file, `[ours]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`);
      process.env["AWS_SHARED_CREDENTIALS_FILE"] = file;
      process.env["AWS_PROFILE"] = "ours";
      expect(await asked()).to.deep.equal([]);
    });

    it("takes those that a container's agent gives for its role", async () => {
      const agent = createHttpServer((_request, answer) => {
        const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = server.credentials;
        const Expiration = new Date(Date.now() + 3_600_000).toISOString();
        answer.setHeader("content-type", "application/json");
        answer.end(JSON.stringify({ AccessKeyId, SecretAccessKey, Token: "", Expiration }));
      });
      await once(agent.listen(0, "127.0.0.1"), "listening");
      const { port } = agent.address() as AddressInfo;
      process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = `http://127.0.0.1:${port}/role`;
      try {
        expect(await asked()).to.deep.equal([]);
      } finally {
        await once(agent.close(), "close");
      }
    });

    it("says that none are found", async () => {
      expect(await codeOf(asked())).to.equal("ACCESS_DENIED");
    });
  });

  it("calls a wrong secret ACCESS_DENIED, whatever is asked", async () => {
    const credentials = { ...server.credentials, secretAccessKey: "another-secret-than-the-writers" };
    const denied = openStore({ ...address, credentials });

    expect(await codeOf(denied.get("repository.json"))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.create("denied", Buffer.from("x")))).to.equal("ACCESS_DENIED");
    expect(await codeOf(keysOf(denied, ""))).to.equal("ACCESS_DENIED");
    expect(await keysOf(store, "denied")).to.deep.equal([]);
  });

  it("calls a port on which nothing listens UNREACHABLE", async () => {
    const holder = createServer();
    await once(holder.listen(0, "127.0.0.1"), "listening");
    const { port } = holder.address() as AddressInfo;
    await once(holder.close(), "close");
    const unreachable = openStore({ ...address, endpoint: `http://127.0.0.1:${port}` });

    expect(await codeOf(unreachable.get("repository.json"))).to.equal("UNREACHABLE");
    expect(await codeOf(unreachable.create("a", Buffer.from("x")))).to.equal("UNREACHABLE");
    expect(await codeOf(keysOf(unreachable, ""))).to.equal("UNREACHABLE");
  });

  it("calls a bucket that does not exist UNREACHABLE: it is never an empty list or a missing object", async () => {
    const missing = openStore({ ...address, bucket: "never-made" });

    expect(await codeOf(missing.get("repository.json"))).to.equal("UNREACHABLE");
    expect(await codeOf(keysOf(missing, ""))).to.equal("UNREACHABLE");
    // Creating is not asked: SeaweedFS makes the bucket of an object that is put.
  });

  it("reads and creates at once when a server that was killed is ready again", async () => {
    for (let kill = 0; kill < 4; kill += 1) {
      await store.create(`killed/${kill}`, Buffer.from(String(kill)));
      await server.restart();
      expect(String(await store.get(`killed/${kill}`))).to.equal(String(kill));
    }
  });
});

describe("object store in an S3 bucket that is busy, or behind a slow line", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let address: Extract<StoreAddress, { kind: "s3" }>;
  let busy: FaultProxy;

  before(async () => {
    server = await SeaweedServer.start();
    [address, busy] = await Promise.all([server.bucket("busy"), FaultProxy.start(server.endpoint)]);
  });

  after(async () => {
    await busy?.stop();
    await server?.stop();
  });

  it("waits out 503 SlowDown for longer than the client library does: creates, reads and lists", async () => {
    const store = openStore({ ...address, endpoint: busy.url });
    const until = performance.now() + 6_000;
    busy.plan = () => (performance.now() < until ? "503" : undefined);
    const [created, missing, listed] = await Promise.all([
      store.create("a", Buffer.from("1")),
      codeOf(store.get("missing")),
      keysOf(store, "nothing/"),
    ]);
    expect([created, missing, listed]).to.deep.equal(["created", "OBJECT_NOT_FOUND", []]);
    expect(performance.now()).to.be.greaterThan(until);
    expect(String(await store.get("a"))).to.equal("1");
  });

  it("calls one that takes no conditional writes NOT_SUPPORTED", async () => {
    const body = Buffer.from(
      "<Error><Code>NotImplemented</Code><Message>a header is not implemented</Message></Error>",
    );
    const refusal = { status: 501, headers: { "content-type": "application/xml" }, body };
    busy.instead = ({ method }) => (method === "PUT" ? refusal : undefined);
    const error = await errorOf(openStore({ ...address, endpoint: busy.url }).create("b", Buffer.from("1")));
    expect(error?.code).to.equal("NOT_SUPPORTED");
    expect(error?.message).to.contain("takes no conditional writes");
    busy.instead = () => undefined;
  });

  it("calls a store that stays busy STORE_REFUSED, and at once for who cannot wait", async () => {
    busy.plan = () => "503";
    const store = openStore({ ...address, endpoint: busy.url }, { attempts: 1, busyMs: 0 });
    expect(await codeOf(store.get("a"))).to.equal("STORE_REFUSED");
    busy.plan = () => undefined;
  });

  it("brings a pack through a line that needs many times its idle limit for it", async () => {
    const line = await ThrottledProxy.start(server.endpoint, 1_000_000);
    try {
      const store = openStore({ ...address, endpoint: line.url }, { idleMs: 500 });
      const pack = Buffer.alloc(6_000_000, 7);
      expect(await store.create("packs/slow", pack)).to.equal("created");
      expect(line.passed, "sent once").to.be.within(pack.length, pack.length + 100_000);
      expect((await store.get("packs/slow")).equals(pack)).to.equal(true);
    } finally {
      await line.stop();
    }
  });
});
