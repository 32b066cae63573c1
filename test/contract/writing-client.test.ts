import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { embeddingDimensions } from "../../quickstart/domain/text-embedding.ts";
import {
  acknowledgedBefore,
  lostWrites,
  measureOutage,
  parseWriteLog,
  type WriteLogEntry,
} from "../../quickstart/domain/write-log.ts";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const program = fileURLToPath(new URL("../../quickstart/processes/writing-client.ts", import.meta.url));
const collections = ["documents", "code"];
const firstNumber = 1_000_000_000;

describe("writing client", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-writing-client-"));
  const clients: ChildProcess[] = [];
  let server: QdrantServer;
  let qdrant: Qdrant;
  let logs = 0;

  before(async () => {
    server = await QdrantServer.start();
    qdrant = new Qdrant({ peers: [server.url], apiKey: server.apiKey });
  });

  beforeEach("empty collections: every client begins with the same number", async () => {
    for (const name of collections) {
      const config = { params: { vectors: { size: embeddingDimensions, distance: "Cosine" } } };
      await qdrant.deleteCollection(name);
      await qdrant.createCollection({ name, config, payloadIndexes: {} });
    }
  });

  after(async () => {
    for (const client of clients) client.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    await server?.stop();
  });

  function startClient(settings: Readonly<Record<string, string>> = {}) {
    const log = settings["QDRANT_DR_CLIENT_LOG"] ?? join(folder, `${++logs}.ndjson`);
    const client = spawn(process.execPath, [program], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        QDRANT_DR_CLIENT_URL: server.url,
        QDRANT_DR_CLIENT_KEY: server.apiKey,
        QDRANT_DR_CLIENT_COLLECTIONS: collections.join(","),
        QDRANT_DR_CLIENT_LOG: log,
        QDRANT_DR_CLIENT_RATE: "200",
        ...settings,
      },
    });
    clients.push(client);
    let output = "";
    for (const stream of [client.stdout, client.stderr]) stream.on("data", (piece) => (output += String(piece)));
    const closed = once(client, "close");
    const end = async () => {
      await closed;
      return { exitCode: client.exitCode, output };
    };
    const stop = () => {
      client.kill("SIGTERM");
      return end();
    };
    return { log, end, stop };
  }

  /** Every present id of the collection. */
  async function numbersIn(collection: string): Promise<Set<number>> {
    const present = new Set<number>();
    for await (const id of qdrant.ids(collection)) present.add(Number(id));
    return present;
  }

  it("records as acknowledged only what is present, and after SIGTERM everything that is present", async () => {
    const client = startClient();
    await untilLogHas(folder, client.log, (log) => count(log, "acknowledged") >= 60);
    expect(await client.stop()).to.deep.equal({ exitCode: 0, output: "" });
    const acknowledged = acknowledgedBefore(parseWriteLog(readFileSync(client.log, "utf8")), Date.now());
    for (const collection of collections) {
      const ids = (acknowledged.get(collection) ?? []).map(({ id }) => id);
      expect(ids).to.have.length.greaterThan(25);
      expect([...(await numbersIn(collection))].sort((a, b) => a - b)).to.deep.equal(ids);
    }
  });

  it("writes the numbers in order from 1,000,000,000, in the collections in turn, and reads every 20th back", async () => {
    const client = startClient();
    await untilLogHas(folder, client.log, (log) => count(log, "acknowledged") >= 60);
    await client.stop();
    const log = parseWriteLog(readFileSync(client.log, "utf8"));
    const written = log.filter(({ kind }) => kind === "acknowledged");
    for (const [place, { id, collection }] of written.entries()) {
      expect(id).to.equal(firstNumber + place);
      expect(collection).to.equal(collections[place % collections.length]);
    }
    const readBack = log.filter(({ kind }) => kind === "readBack").map(({ id }) => id);
    expect(readBack.slice(0, 3)).to.deep.equal([firstNumber, firstNumber + 20, firstNumber + 40]);
  });

  it("goes on after the server was killed and started again, loses no acknowledged write, and shows the outage", async () => {
    const client = startClient();
    await untilLogHas(folder, client.log, (log) => count(log, "acknowledged") >= 60);
    await server.kill();
    // Two lines of refused connections: the second one stands for many.
    await untilLogHas(folder, client.log, (log) => refusals(log).length >= 2);
    // An answer may have been on its way when the server died; after the first refusal none is.
    const killedAt = refusals(parseWriteLog(readFileSync(client.log, "utf8")))[0]?.at ?? Number.NaN;
    const restartedAt = Date.now();
    await server.restart();
    await untilLogHas(folder, client.log, (log) => measureOutage(log, killedAt) !== undefined);
    expect(await client.stop()).to.deep.equal({ exitCode: 0, output: "" });

    const log = parseWriteLog(readFileSync(client.log, "utf8"));
    const outage = measureOutage(log, killedAt);
    expect(outage?.servedAt).to.be.at.least(restartedAt);

    const acknowledged = acknowledgedBefore(log, Date.now());
    for (const collection of collections) {
      expect(lostWrites(acknowledged.get(collection) ?? [], await numbersIn(collection))).to.deep.equal([]);
    }
    const numbers = [...acknowledged.values()].flat().map(({ id }) => id);
    expect(new Set(numbers).size).to.equal(numbers.length);
    const firstAfter = log.find(({ kind, at }) => kind === "acknowledged" && at > killedAt);
    expect(log.find(({ kind, at }) => kind === "readBack" && at > killedAt)?.id).to.equal(firstAfter?.id);

    const [first, second] = refusals(log);
    expect((second?.at ?? 0) - (first?.at ?? 0)).to.be.at.least(1_000);
    expect(second?.count).to.be.greaterThan(5);
    const failures = log.reduce((sum, one) => sum + (one.kind === "failed" ? (one.count ?? 1) : 0), 0);
    // An acknowledged write counts as a failure too when the server died before it was read back.
    expect(numbers.length + failures).to.be.at.least(Math.max(...numbers) - firstNumber + 1);
  });

  it("ends at once with exit code 2 when settings are wrong: names each, and never shows the key", async () => {
    const key = "a-key-that-nobody-should-see";
    const client = startClient({
      QDRANT_DR_CLIENT_KEY: key,
      QDRANT_DR_CLIENT_URL: "nowhere",
      QDRANT_DR_CLIENT_RATE: "fast",
    });
    const { exitCode, output } = await client.end();
    expect(exitCode).to.equal(2);
    expect(output).to.include("QDRANT_DR_CLIENT_URL").and.include("QDRANT_DR_CLIENT_RATE");
    expect(output).not.to.include(key);
  });

  it("refuses the log of another run, whose numbers it would use again", async () => {
    const log = join(folder, "used.ndjson");
    writeFileSync(log, "");
    const { exitCode, output } = await startClient({ QDRANT_DR_CLIENT_LOG: log }).end();
    expect(exitCode).to.equal(2);
    expect(output).to.include("used.ndjson");
  });

  it("records a refused key as failures, without the key, and still ends cleanly at SIGTERM", async () => {
    const key = "a-key-that-is-wrong";
    const client = startClient({ QDRANT_DR_CLIENT_KEY: key });
    await untilLogHas(folder, client.log, (log) => count(log, "failed") >= 2);
    expect(await client.stop()).to.deep.equal({ exitCode: 0, output: "" });
    const text = readFileSync(client.log, "utf8");
    expect(text).to.include("401").and.not.include(key);
    expect(count(parseWriteLog(text), "acknowledged")).to.equal(0);
  });
});

function count(log: readonly WriteLogEntry[], kind: WriteLogEntry["kind"]): number {
  return log.filter((one) => one.kind === kind).length;
}

function refusals(log: readonly WriteLogEntry[]) {
  return log.flatMap((one) => (one.kind === "failed" && one.error === "ECONNREFUSED" ? [one] : []));
}

/** Resolves when a change of the log makes `isEnough` true. */
async function untilLogHas(folder: string, path: string, isEnough: (log: readonly WriteLogEntry[]) => boolean) {
  const watcher = watch(folder);
  const found = new Promise<void>((resolve, reject) => {
    const look = () => {
      try {
        if (existsSync(path) && isEnough(parseWriteLog(readFileSync(path, "utf8")))) resolve();
      } catch (error) {
        reject(error);
      }
    };
    watcher.on("change", look);
    watcher.on("error", reject);
    look();
  });
  await found.finally(() => watcher.close());
}
