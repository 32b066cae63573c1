import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import {
  findProcess,
  killEstate,
  launchProcess,
  type ServerSpec,
  startServer,
  stopProcess,
} from "../../quickstart/adapters/local-process.ts";
import { DrError } from "../../runtime/errors.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";

const secret = "a-secret-of-the-process";

/** Answers its PID and its environment, and writes one line of log. */
const server = `
  const { createServer } = require("node:http");
  createServer((_, answer) => answer.end(JSON.stringify({ pid: process.pid, env: process.env })))
    .listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
`;
/** The same, and starts two generations of its own that never end by themselves, and says when both are there. */
const forefather = `
  const { spawn } = require("node:child_process");
  const child = "require('node:child_process').spawn(process.execPath, ['-e', 'console.log(process.pid);setInterval(()=>{},1e6)'], { stdio: 'inherit', detached: true }); setInterval(()=>{},1e6)";
  const son = spawn(process.execPath, ["-e", child], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  son.stdout.once("data", (grandson) => {
    const pids = [process.pid, son.pid, Number(grandson)];
    require("node:http").createServer((_, answer) => answer.end(JSON.stringify(pids)))
      .listen(Number(process.env.PORT), "127.0.0.1");
  });
`;
/** Is well from the beginning, and can be used when it was asked for the third time. */
const slow = `
  let asked = 0;
  require("node:http").createServer(({ url }, answer) => {
    if (url === "/usable") asked += 1;
    answer.writeHead(url === "/usable" && asked < 3 ? 500 : 200).end(String(asked));
  }).listen(Number(process.env.PORT), "127.0.0.1");
`;
/** Ends by SIGKILL only. */
const stubborn = `process.on("SIGTERM", () => {}); ${server}`;

describe("local processes", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-local-process-"));
  const estates: string[] = [];
  let specs = 0;

  afterEach(async () => {
    for (const estate of estates.splice(0)) await killEstate(estate);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** A server on a free port, in an estate and a folder of its own. */
  async function newSpec(changes: Partial<ServerSpec> = {}): Promise<ServerSpec> {
    const [port = 0] = await closedPorts(1);
    const estate = `test-${process.pid}-${++specs}`;
    estates.push(estate);
    return {
      estate,
      name: "server",
      command: "node",
      args: ["-e", server],
      env: { PORT: String(port), SECRET: secret },
      folder: join(folder, String(specs), "server"),
      ports: [port],
      readyUrls: [`http://127.0.0.1:${port}/`],
      ...changes,
    };
  }

  it("starts a server: it answers on return, with its own environment and nothing of ours but PATH and HOME", async () => {
    process.env["QDRANT_DR_TEST_OURS"] = "not to be handed on";
    try {
      const spec = await newSpec();
      const { pid } = await startServer(spec);
      const answered = await ask<{ pid: number; env: Record<string, string> }>(spec);
      expect(answered.pid).to.equal(pid);
      const { PATH, HOME, PORT, SECRET, ...more } = answered.env;
      expect([PATH, HOME, SECRET]).to.deep.equal([process.env["PATH"], process.env["HOME"], secret]);
      expect(PORT).to.equal(String(spec.ports[0]));
      expect(Object.keys(more).sort()).to.deep.equal(["QDRANT_DR_PROCESS", "QDRANT_DR_PROCESS_SPEC"]);
      expect(readFileSync(`${spec.folder}.log`, "utf8")).to.equal("listening\n");
    } finally {
      delete process.env["QDRANT_DR_TEST_OURS"];
    }
  });

  it("is started when each of what it is asked is answered, not before", async () => {
    const spec = await newSpec({ args: ["-e", slow] });
    const [well = ""] = spec.readyUrls;
    await startServer({ ...spec, readyUrls: [well, `${well}usable`] });
    expect(await (await fetch(well)).text()).to.equal("3");
  });

  it("adopts the one that runs with the same spec", async () => {
    const spec = await newSpec();
    const first = await startServer(spec);
    expect(await startServer({ ...spec, env: { SECRET: secret, PORT: String(spec.ports[0]) } })).to.deep.equal(first);
    expect(await ask<{ pid: number }>(spec)).to.include({ pid: first.pid });
  });

  for (const [what, changes] of Object.entries({
    "another secret": { env: { SECRET: "another-secret" } },
    "another argument": { args: ["-e", server, "--", "more"] },
  })) {
    it(`${what}: stops the one that runs first, and starts it anew on the same port`, async () => {
      const spec = await newSpec();
      const { pid } = await startServer(spec);
      const other = { ...spec, ...changes, env: { ...spec.env, ...("env" in changes ? changes.env : {}) } };
      const second = await startServer(other);
      expect(second.pid).not.to.equal(pid);
      expect(isAlive(pid)).to.equal(false);
      const { env } = await ask<{ env: Record<string, string> }>(spec);
      expect(env["SECRET"]).to.equal(other.env["SECRET"]);
    });
  }

  it("stops with SIGTERM: on return the process is gone and its port is free; once more does nothing", async () => {
    const spec = await newSpec();
    const { pid } = await startServer(spec);
    await stopProcess(spec);
    expect(isAlive(pid)).to.equal(false);
    expect(await isFree(spec.ports[0] ?? 0)).to.equal(true);
    expect(await findProcess(spec)).to.equal(undefined);
    await stopProcess(spec);
  });

  it("stops one that does not care for SIGTERM by SIGKILL, in bounded time", async () => {
    const spec = await newSpec({ args: ["-e", stubborn] });
    const { pid } = await startServer(spec);
    await stopProcess(spec);
    expect(isAlive(pid)).to.equal(false);
  }).timeout(30_000);

  it("finds one that died by SIGKILL dead, and starts it again on the same port", async () => {
    const spec = await newSpec();
    const { pid } = await startServer(spec);
    process.kill(pid, "SIGKILL");
    await stopProcess(spec);
    expect(await findProcess(spec)).to.equal(undefined);
    const again = await startServer(spec);
    expect(again.pid).not.to.equal(pid);
    expect(await ask<{ pid: number }>(spec)).to.include({ pid: again.pid });
  });

  it("ends an estate with all that its processes started, and leaves another estate alone", async () => {
    const spec = await newSpec({ args: ["-e", forefather] });
    const neighbour = await newSpec();
    await startServer(spec);
    const { pid: kept } = await startServer(neighbour);
    const pids = await ask<number[]>(spec);
    expect(pids.map(isAlive)).to.deep.equal([true, true, true]);
    await killEstate(spec.estate);
    expect(pids.map(isAlive)).to.deep.equal([false, false, false]);
    expect(isAlive(kept)).to.equal(true);
  });

  it("ends only those of an estate that are named", async () => {
    const one = await newSpec();
    const other = { ...(await newSpec()), estate: one.estate, name: "server-2" };
    const { pid } = await startServer(one);
    const { pid: kept } = await startServer(other);
    await killEstate(one.estate, ["server"]);
    expect([isAlive(pid), isAlive(kept)]).to.deep.equal([false, true]);
  });

  it("an estate whose name begins with another's is not that one", async () => {
    const spec = await newSpec();
    const longer = { ...(await newSpec()), estate: `${spec.estate}0` };
    estates.push(longer.estate);
    const { pid } = await startServer(longer);
    await killEstate(spec.estate);
    expect(isAlive(pid)).to.equal(true);
  });

  it("refuses a taken port with PORT_TAKEN, names it, starts nothing and makes no folder; free again, it starts", async () => {
    const spec = await newSpec();
    const [port = 0] = spec.ports;
    const holder = createSocket();
    await once(holder.listen(port, "127.0.0.1"), "listening");
    try {
      const error = await refusal(startServer(spec));
      expect(error).to.include({ code: "PORT_TAKEN", exitCode: 4, retryable: true });
      expect(error.message).to.contain(`server needs port ${port} on 127.0.0.1`);
      expect(error.hint).to.contain(String(port));
      expect(await findProcess(spec)).to.equal(undefined);
      expect([existsSync(spec.folder), existsSync(`${spec.folder}.log`)]).to.deep.equal([false, false]);
    } finally {
      await once(holder.close(), "close");
    }
    expect(isAlive((await startServer(spec)).pid)).to.equal(true);
  });

  it("refuses a program that is not on PATH with PART_MISSING, and runs nothing", async () => {
    const spec = await newSpec({ command: "no-such-program-anywhere" });
    const error = await refusal(startServer(spec));
    expect(error).to.include({ code: "PART_MISSING", exitCode: 4 });
    expect(error.message).to.equal("no-such-program-anywhere is not on PATH");
    expect(error.hint).to.contain("doctor");
    expect(await findProcess(spec)).to.equal(undefined);
  });

  it("says the end of the log of a server that ends at once: PROCESS_FAILED, or DISK_FULL when that was it", async () => {
    const ending = (words: string) => newSpec({ args: ["-e", `console.error("first"); console.error("${words}")`] });
    const failed = await ending("no configuration");
    const error = await refusal(startServer(failed));
    expect(error).to.include({ code: "PROCESS_FAILED", exitCode: 4 });
    expect(error.message).to.equal("server (node) ended before it was ready: first | no configuration");
    expect(error.hint).to.equal(`its log is ${failed.folder}.log`);
    const full = await refusal(startServer(await ending("write: No space left on device")));
    expect(full).to.include({ code: "DISK_FULL", exitCode: 4 });
  });

  it("has no secret in any command line, log file name, or error, not even when the port is another's", async () => {
    const spec = await newSpec();
    const { pid } = await startServer(spec);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
      .to.contain("createServer")
      .and.not.contain(secret);
    await stopProcess(spec);
    const answering = createServer((_, answer) => answer.end());
    await once(answering.listen(0, "127.0.0.1"), "listening");
    const { port } = answering.address() as AddressInfo;
    try {
      for (const changes of [
        { ports: [port] },
        { command: "no-such-program-anywhere" },
        { args: ["-e", "process.exit(1)"] },
      ]) {
        const error = await refusal(startServer({ ...spec, ...changes }));
        expect(`${error.message} ${error.hint} ${error.stack} ${String(error.cause)}`).not.to.contain(secret);
      }
    } finally {
      await once(answering.close(), "close");
    }
    expect(readdirSync(join(spec.folder, "..")).join()).not.to.contain(secret);
  });

  it("keeps log and folder for their owner only", async () => {
    const spec = await newSpec();
    await launchProcess(spec);
    expect(statSync(spec.folder).mode & 0o777).to.equal(0o700);
    expect(statSync(`${spec.folder}.log`).mode & 0o777).to.equal(0o600);
  });
});

async function ask<T>({ readyUrls: [url = ""] }: ServerSpec): Promise<T> {
  return (await fetch(url)).json() as Promise<T>;
}

async function refusal(act: Promise<unknown>): Promise<DrError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof DrError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** A zombie is not: it holds nothing. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    // No such process.
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const holder = createSocket();
  try {
    await once(holder.listen(port, "127.0.0.1"), "listening");
  } catch {
    // Taken.
    return false;
  }
  await once(holder.close(), "close");
  return true;
}
