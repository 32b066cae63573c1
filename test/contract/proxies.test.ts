/**
 * What stands between: a company's proxy and its own certificate authority, which every request goes by, and proxies before a server,
 * which answer in its place. Real Qdrant, real S3 server, the command as a process.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { signed } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";
import { FaultProxy, type SeenRequest } from "../support/faults/fault-proxy.ts";
import { CompanyNetwork } from "../support/servers/company-network.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const program = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));
const notes = "notes";

describe("what stands between", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-proxies-"));
  let server: QdrantServer;
  let store: SeaweedServer;
  let bucket: Extract<StoreAddress, { kind: "s3" }>;

  before(async () => {
    [server, store] = await Promise.all([QdrantServer.start(), SeaweedServer.start()]);
    bucket = await store.bucket("between");
    await clientOf(server).createCollection(notes, {
      vectors: { size: 2, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await clientOf(server).upsert(notes, { wait: true, points: [{ id: 1, vector: [1, 2], payload: {} }] });
  });
  after(async () => {
    await Promise.all([server?.stop(), store?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  describe("a company's proxy and its own authority", () => {
    let network: CompanyNetwork;
    let outputs: string;
    let apiKey: string;

    before(async () => {
      network = await CompanyNetwork.start({ "qdrant.example": server.url, "s3.example": store.endpoint });
      const { outputs: region } = await lonelyRegion("east", join(folder, "region"));
      apiKey = server.apiKey;
      const s3 = { ...bucket, endpoint: "https://s3.example" };
      const { endpoint: _none, ...rest } = region;
      const own = { ...rest, qdrant: { peers: ["https://qdrant.example"], apiKey }, repository: s3, control: s3 };
      outputs = join(folder, "east.json");
      writeFileSync(outputs, JSON.stringify(own));
      await claimEpoch(signed(openStore(bucket), "east", "control"), firstEpoch);
    });
    after(() => network?.stop());

    function run(command: readonly string[], env: Readonly<Record<string, string>>) {
      network.asked.length = 0;
      const args = [
        "--disable-warning=ExperimentalWarning",
        program,
        ...command,
        "--stack",
        "east",
        "--outputs",
        outputs,
      ];
      return new Promise<{ code: number; said: string }>((resolve) => {
        execFile(process.execPath, args, { env: { PATH: process.env["PATH"], ...env } }, (error, out, err) => {
          resolve({ code: error === null ? 0 : Number(error.code), said: `${out}${err}` });
        });
      });
    }
    const through = () => ({ HTTPS_PROXY: network.proxyUrl(), NODE_EXTRA_CA_CERTS: network.authority });

    it("are gone by for every request to Qdrant and to the bucket, in either case of the variables", async () => {
      expect((await run(["backup", "--type", "full"], through())).code).to.equal(0);
      expect([...new Set(network.asked)].sort()).to.deep.equal([
        "CONNECT qdrant.example:443",
        "CONNECT s3.example:443",
      ]);
      const { HTTPS_PROXY: https_proxy, ...authority } = through();
      const restored = await run(["restore", "--as", "beside", "--swap-alias", "led"], { https_proxy, ...authority });
      expect(restored.said).to.contain("1 points in 1 collections");
      expect((await clientOf(server).getAliases()).aliases).to.have.lengthOf(1);
    });

    it("are told for what they are where they do not let a request through, without the password", async () => {
      const unknown = await run(["backup"], { HTTPS_PROXY: network.proxyUrl() });
      expect(unknown).to.have.property("code", 5);
      expect(unknown.said).to.match(/certificate.*authority.*NODE_EXTRA_CA_CERTS/);
      const wrong = { ...through(), HTTPS_PROXY: network.proxyUrl({ password: "another-secret" }) };
      const refused = await run(["backup"], wrong);
      expect(refused).to.have.property("code", 5);
      expect(refused.said).to.match(/the proxy in HTTPS_PROXY/);
      const nonsense = await run(["backup"], { HTTPS_PROXY: "socks5://user:another-secret@127.0.0.1" });
      expect(nonsense).to.have.property("code", 2);
      for (const { said } of [unknown, refused, nonsense]) {
        expect(said).not.to.contain(network.password).and.not.to.contain("another-secret");
      }
      // Names that only the proxy knows.
      expect((await run(["backup"], { ...through(), NO_PROXY: ".example" })).code).to.equal(5);
      expect(network.asked).to.deep.equal([]);
    });
  });

  describe("a proxy before Qdrant", () => {
    let proxy: FaultProxy;
    const slept: number[] = [];
    const patient = { ...systemClock, sleep: async (ms: number) => void slept.push(ms) };

    before(async () => {
      proxy = await FaultProxy.start(server.url);
    });
    beforeEach(() => {
      proxy.reset();
      slept.length = 0;
    });
    after(() => proxy?.stop());

    const asked = async () => {
      const qdrant = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey }, patient);
      await qdrant.collections();
      return qdrant;
    };
    const nginx = (status: number, headers: Record<string, string> = {}) => ({
      status,
      headers: { server: "nginx/1.27", "content-type": "text/html", ...headers },
      body: Buffer.from(`<html><head><title>${status} Refused</title></head></html>`),
    });
    /** Answers the first `times` requests to paths like this in the server's place. */
    function answering(answer: ReturnType<typeof nginx>, times: number, path: RegExp): SeenRequest[] {
      const answered: SeenRequest[] = [];
      proxy.instead = (seen) => {
        if (!path.test(seen.path) || answered.length >= times) return undefined;
        answered.push(seen);
        return answer;
      };
      return answered;
    }
    const shard = {
      id: 0,
      peer: 0,
      get peerUrl() {
        return proxy.url;
      },
    };
    const questions: [what: string, path: RegExp, ask: (qdrant: Qdrant) => Promise<unknown>][] = [
      ["a list", /^\/collections$/, (qdrant) => qdrant.collections()],
      ["a collection", /^\/collections\/notes$/, (qdrant) => qdrant.describe(notes)],
      ["aliases", /^\/aliases/, (qdrant) => qdrant.aliases()],
      ["a count", /\/points\/count/, (qdrant) => qdrant.count(notes)],
      ["points", /\/points$/, (qdrant) => qdrant.points(notes, [1])],
      [
        "a capture",
        /partial\/create/,
        (qdrant) => qdrant.captureShard(notes, shard, {}).then((read) => read?.destroy()),
      ],
    ];

    for (const [what, path, ask] of questions) {
      it(`is asked again for ${what} while it does not reach Qdrant, for a while, and named then`, async () => {
        const qdrant = await asked();
        for (const status of [502, 503, 504]) {
          answering(nginx(status), 2, path);
          await ask(qdrant);
        }
        const refused = answering(nginx(502), Number.POSITIVE_INFINITY, path);
        slept.length = 0;
        const error = await errorOf(ask(qdrant));
        expect(error).to.include({ code: "UNREACHABLE", retryable: true });
        expect(error?.message).to.match(
          /a proxy \(nginx\/1\.27, 502 Refused\) answered 502 for .* in the place of Qdrant/,
        );
        expect(refused).to.have.lengthOf(7);
        expect(slept.reduce((sum, ms) => sum + ms, 0)).to.be.within(15_000, 32_000);
      });
    }

    it("is waited for as long as it asks, and not for ever", async () => {
      const qdrant = await asked();
      answering(nginx(429, { "retry-after": "3" }), 2, /^\/collections$/);
      await qdrant.collections();
      expect(slept).to.deep.equal([3_000, 3_000]);
      answering(nginx(503, { "retry-after": "86400" }), 1, /^\/collections$/);
      await qdrant.collections();
      expect(slept.at(-1)).to.equal(60_000);
      answering(nginx(429), Number.POSITIVE_INFINITY, /^\/collections$/);
      const error = await errorOf(qdrant.collections());
      expect(error).to.include({ code: "TOO_MANY_REQUESTS", retryable: true, exitCode: 5 });
    });

    it("is sent a change once: nobody knows whether it was done", async () => {
      const qdrant = await asked();
      const changes: ((qdrant: Qdrant) => Promise<unknown>)[] = [
        (each) => each.createCollection({ name: "made", config: { params: { vectors: {} } }, payloadIndexes: {} }),
        (each) => each.setStrictMode(notes, { enabled: false }),
        (each) => each.createAlias({ alias: "x", collection: notes }),
        (each) => each.deleteCollection("none"),
        (each) => each.restoreShard(notes, shard, Readable.from([Buffer.from("tar")])),
      ];
      for (const change of changes) {
        answering(nginx(502), Number.POSITIVE_INFINITY, /./);
        proxy.log.length = 0;
        const error = await errorOf(change(qdrant));
        expect(error).to.include({ code: "UNREACHABLE" });
        expect(error?.message).to.contain("in the place of Qdrant");
        expect(proxy.log).to.have.lengthOf(1);
      }
    });

    const refusals = [
      [413, "PROXY_REFUSED", /client_max_body_size/],
      [403, "ACCESS_DENIED", /sign-in page/],
      [400, "PROXY_REFUSED", /what the proxy/],
      [500, "PROXY_REFUSED", /what the proxy/],
    ] as const;
    for (const [status, code, hint] of refusals) {
      it(`that refuses with ${status} is told for that at once, also in the middle of an upload`, async () => {
        const qdrant = await asked();
        answering(nginx(status), Number.POSITIVE_INFINITY, /./);
        const upload = qdrant.restoreShard(notes, shard, Readable.from([Buffer.alloc(100_000)]));
        for (const error of [await errorOf(qdrant.count(notes)), await errorOf(upload)]) {
          expect(error).to.include({ code, exitCode: 5 });
          expect(error?.message).to.contain(`a proxy (nginx/1.27, ${status} Refused) answered ${status}`);
          expect(error?.hint).to.match(hint);
        }
        expect(slept).to.deep.equal([]);
      });
    }

    it("that answers a page with 200 is no defect, whatever was asked", async () => {
      const qdrant = await asked();
      answering(nginx(200), Number.POSITIVE_INFINITY, /./);
      for (const [what, , ask] of questions.slice(0, -1)) {
        const error = await errorOf(ask(qdrant));
        expect(error, what).to.include({ code: "ANSWER_UNREADABLE" });
        expect(error?.message).to.contain("it is a page of a proxy");
      }
      // What cannot be understood of a change may have been done.
      expect((await errorOf(qdrant.deleteCollection("none")))?.exitCode).to.equal(5);
    });

    it("what Qdrant itself refuses stays Qdrant's", async () => {
      const error = await errorOf((await asked()).points("unknown", [1]));
      expect(error).to.include({ code: "QDRANT_REFUSED" });
      expect(slept).to.deep.equal([]);
    });
  });

  it("a page in the place of a bucket is told with who answered", async () => {
    const proxy = await FaultProxy.start(store.endpoint);
    try {
      const behind = openStore({ ...bucket, endpoint: proxy.url }, { attempts: 1, idleMs: 500, busyMs: 0 });
      for (const [status, code] of [
        [502, "UNREACHABLE"],
        [413, "PROXY_REFUSED"],
        [403, "ACCESS_DENIED"],
        // Nothing is missing from a bucket because a proxy does not find it.
        [404, "PROXY_REFUSED"],
        [429, "TOO_MANY_REQUESTS"],
        [500, "PROXY_REFUSED"],
      ] as const) {
        proxy.instead = () => ({
          status,
          headers: { server: "squid", "content-type": "text/html" },
          body: Buffer.from("<html><title>no</title></html>"),
        });
        for (const asked of [behind.get("key"), behind.create("key", Buffer.from("x"))]) {
          const error = await errorOf(asked);
          expect(error?.code, `${status}: ${error?.message}`).to.equal(code);
          expect(error?.message).to.contain(`squid`);
        }
      }
    } finally {
      await proxy.stop();
    }
  });
});
