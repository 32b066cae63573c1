/** What a capture and a restore of large points take of memory, as processes; `npm run bench -- large-points` measures more kinds. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { Product } from "../support/product.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const mostMiB = 256;
const points = 32;
const payloadMB = 9;

describe("points of 9 MB, together more than a process may hold", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-large-"));
  const peaks = join(folder, "peaks");
  const nodeOptions = process.env["NODE_OPTIONS"];
  let server: QdrantServer;

  before(async () => {
    mkdirSync(peaks);
    const teller = join(folder, "tell-peak.mjs");
    writeFileSync(
      teller,
      `import { readFileSync, writeFileSync } from "node:fs";
process.on("exit", () => {
  const [, kB] = /VmHWM:\\s+(\\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  writeFileSync(${JSON.stringify(`${peaks}/`)} + process.pid, kB);
});`,
    );
    process.env["NODE_OPTIONS"] = `${nodeOptions ?? ""} --import ${pathToFileURL(teller)}`;
    server = await QdrantServer.start("alone", undefined, { QDRANT__SERVICE__MAX_REQUEST_SIZE_MB: "64" });
    const client = clientOf(server);
    await client.createCollection("large", { vectors: { size: 2, distance: "Dot" }, on_disk_payload: true });
    const line = 'of a text that is long "\n" ';
    const text = line.repeat(Math.ceil((payloadMB * 1_000_000) / line.length));
    for (let id = 0; id < points; id += 1) {
      await client.upsert("large", {
        wait: true,
        points: [{ id, vector: [id, 1], payload: { text: `${id} ${text}` } }],
      });
    }
  });

  after(async () => {
    if (nodeOptions === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = nodeOptions;
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it(`take at most ${mostMiB} MiB of each process that captures and restores them`, async () => {
    const settings = join(folder, "qdrant-dr.yaml");
    const key = join(folder, "qdrant-key");
    writeFileSync(key, server.apiKey, { mode: 0o600 });
    const init = ["init", "--yes", "--qdrant", server.url, "--store", "backups", "--api-key-file", key];
    for (const args of [init, ["backup"], ["restore", "--collections", "large", "--as", "again"]]) {
      const product = Product.start([...args, "--settings", settings], folder);
      expect(await product.end(), `${args.join(" ")}\n${product.stdout}\n${product.stderr}`).to.equal(0);
      const largest = Math.max(...readdirSync(peaks).map((pid) => Number(readFileSync(join(peaks, pid), "utf8"))));
      expect(largest / 1024, args.join(" "))
        .to.be.greaterThan(30)
        .and.at.most(mostMiB);
    }
    expect((await clientOf(server).count("again")).count).to.equal(points);
  });
});
