import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { EndpointControl } from "../../runtime/adapters/endpoint-control.ts";
import { DrError } from "../../runtime/errors.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { isOk, untilReady } from "../support/time/until-ready.ts";

const program = fileURLToPath(new URL("../../quickstart/processes/endpoint.ts", import.meta.url));
const clientKey = "the-key-that-clients-have";
const controlToken = "the-token-of-the-control";
const keys = { primary: "key-of-the-primary-qdrant", standby: "key-of-the-standby-qdrant" };
const longestStartMs = 20_000;
/** How soon a dead region must be said to be dead: far sooner than a client gives up. */
const boundMs = 2_000;

/** A region's server: remembers what it was asked, and answers as told. */
class Upstream {
  readonly seen: IncomingMessage[] = [];
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  readonly #server: Server = createServer((incoming, outgoing) => {
    this.seen.push(incoming);
    this.answer(incoming, outgoing);
  });

  constructor(name: string) {
    this.answer = (_, outgoing) => outgoing.end(JSON.stringify({ from: name }));
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }
}

describe("public endpoint", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-endpoint-"));
  const children: ChildProcess[] = [];
  let count = 0;
  let primary: Upstream;
  let standby: Upstream;
  let urls: Record<keyof typeof keys, string>;

  beforeEach(async () => {
    primary = new Upstream("primary");
    standby = new Upstream("standby");
    urls = { primary: await primary.listen(), standby: await standby.listen() };
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await end(child, "SIGKILL");
    await primary.close();
    await standby.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The process in front of the two regions, with a state of its own unless one is given. */
  async function start(given: { port?: number; state?: string } = {}) {
    const port = given.port ?? (await closedPorts(1))[0] ?? 0;
    const state = given.state ?? join(folder, `${++count}`, "route.json");
    mkdirSync(join(state, ".."), { recursive: true });
    const upstreams = Object.entries(keys).map(([region, apiKey]) => [
      region,
      { url: urls[region as keyof typeof keys], apiKey },
    ]);
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        QDRANT_DR_ENDPOINT_PORT: String(port),
        QDRANT_DR_ENDPOINT_CLIENT_KEY: clientKey,
        QDRANT_DR_ENDPOINT_CONTROL_TOKEN: controlToken,
        QDRANT_DR_ENDPOINT_UPSTREAMS: JSON.stringify(Object.fromEntries(upstreams)),
        QDRANT_DR_ENDPOINT_STATE: state,
      },
    });
    children.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece) => (output += String(piece)));
    const url = `http://127.0.0.1:${port}`;
    const isReady = () => isOk(`${url}/.qdrant-dr/health`);
    await untilReady(child, "the endpoint", longestStartMs, isReady, () => output);
    const control = new EndpointControl({ controlUrl: `${url}/.qdrant-dr/route`, controlToken });
    const get = (path = "/collections", headers: Record<string, string> = { "api-key": clientKey }) =>
      fetch(url + path, { headers });
    return { child, control, get, port, state, url };
  }

  it("wants the client's key, in either of Qdrant's headers, before it asks any region", async () => {
    const { control, get } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    for (const headers of [
      {},
      { "api-key": "" },
      { "api-key": "another-key-of-same-len" },
      { "api-key": `${clientKey}x` },
      { authorization: `Bearer ${controlToken}` },
      { "api-key": keys.primary },
    ]) {
      const answer = await get("/collections", headers as Record<string, string>);
      expect(answer.status).to.equal(401);
      expect(await answer.json()).to.deep.equal({
        status: { error: "the endpoint does not know this API key" },
        time: 0,
      });
    }
    expect(primary.seen).to.have.length(0);
    expect((await get("/collections", { authorization: `Bearer ${clientKey}` })).status).to.equal(200);
    expect((await get()).status).to.equal(200);
    expect(primary.seen).to.have.length(2);
  });

  it("answers 503, to be tried again, as long as no region is active", async () => {
    const { control, get } = await start();
    const answer = await get();
    expect([answer.status, answer.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    expect(await answer.json()).to.deep.equal({ status: { error: "no region is active yet" }, time: 0 });
    expect(await control.current()).to.equal(undefined);
  });

  it("leads the next request to the new region, also on a connection that is open", async () => {
    const { control, get } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    expect(await (await get()).json()).to.deep.equal({ from: "primary" });
    await control.pointTo({ region: "standby", epoch: 2 });
    expect(await (await get()).json()).to.deep.equal({ from: "standby" });
    expect([primary.seen.length, standby.seen.length]).to.deep.equal([1, 1]);
    expect(await control.current()).to.deep.equal({ region: "standby", epoch: 2 });
  });

  it("gives each region its own key and never the client's, and keeps path, method, body and other headers", async () => {
    const { control, url } = await start();
    const bodies: string[] = [];
    standby.answer = (incoming, outgoing) => {
      incoming.setEncoding("utf8").on("data", (piece) => bodies.push(piece));
      incoming.on("end", () => outgoing.writeHead(201, { "x-of-region": "yes" }).end("{}"));
    };
    await control.pointTo({ region: "standby", epoch: 1 });
    for (const headers of [{ "api-key": clientKey }, { authorization: `Bearer ${clientKey}` }]) {
      const answer = await fetch(`${url}/collections/a/points?wait=true`, {
        method: "PUT",
        headers: { ...headers, "content-type": "application/json", "x-of-client": "yes" } as Record<string, string>,
        body: '{"points":[]}',
      });
      expect([answer.status, answer.headers.get("x-of-region")]).to.deep.equal([201, "yes"]);
    }
    expect(bodies).to.deep.equal(['{"points":[]}', '{"points":[]}']);
    for (const { headers, method, url: path, rawHeaders } of standby.seen) {
      expect([method, path]).to.deep.equal(["PUT", "/collections/a/points?wait=true"]);
      expect(headers).to.include({ "api-key": keys.standby, "x-of-client": "yes", "content-type": "application/json" });
      expect(rawHeaders.join()).not.to.contain(clientKey);
      expect(rawHeaders.join()).not.to.contain(keys.primary);
    }
    expect(standby.seen).to.have.length(2);
  });

  it("refuses an older epoch and a rival of the same one with EPOCH_CONFLICT; the same again is no change", async () => {
    const { control, get } = await start();
    await control.pointTo({ region: "standby", epoch: 5 });
    for (const target of [
      { region: "primary", epoch: 4 },
      { region: "standby", epoch: 4 },
      { region: "primary", epoch: 5 },
    ]) {
      const error = await refusal(control.pointTo(target));
      expect(error).to.include({ code: "EPOCH_CONFLICT", exitCode: 11 });
      expect(error.message).to.contain("a newer epoch has the traffic");
      expect(await control.current()).to.deep.equal({ region: "standby", epoch: 5 });
    }
    await control.pointTo({ region: "standby", epoch: 5 });
    expect(await (await get()).json()).to.deep.equal({ from: "standby" });
    expect(primary.seen).to.have.length(0);
  });

  it("takes orders from the control's token only, and only for regions that it knows", async () => {
    const { control, url } = await start();
    const controlUrl = `${url}/.qdrant-dr/route`;
    const target = { region: "primary", epoch: 1 };
    for (const wrong of ["", clientKey, `${controlToken}x`]) {
      const stranger = new EndpointControl({ controlUrl, controlToken: wrong });
      expect((await refusal(stranger.pointTo(target))).code).to.equal("ACCESS_DENIED");
      expect((await refusal(stranger.current())).code).to.equal("ACCESS_DENIED");
    }
    const headers = { authorization: `Bearer ${controlToken}` };
    for (const body of ['{"region":"elsewhere","epoch":1}', '{"region":"primary","epoch":0}', "{}", "no JSON"]) {
      const answer = await fetch(controlUrl, { method: "PUT", headers, body });
      expect(answer.status, body).to.equal(400);
      expect(await answer.text()).to.contain("a region of primary, standby and an epoch are wanted");
    }
    expect((await fetch(controlUrl, { method: "DELETE", headers })).status).to.equal(405);
    expect(await control.current()).to.equal(undefined);
  });

  it("keeps its route over SIGKILL and a restart, and then still refuses an older epoch", async () => {
    const first = await start();
    await first.control.pointTo({ region: "standby", epoch: 7 });
    await end(first.child, "SIGKILL");
    const second = await start(first);
    expect(await second.control.current()).to.deep.equal({ region: "standby", epoch: 7 });
    expect(await (await second.get()).json()).to.deep.equal({ from: "standby" });
    expect((await refusal(second.control.pointTo({ region: "primary", epoch: 6 }))).code).to.equal("EPOCH_CONFLICT");
    expect(statSync(first.state).mode & 0o777).to.equal(0o600);
    expect(existsSync(`${first.state}.new`)).to.equal(false);
  });

  it("does not start on a route that it cannot read: it would forget which epoch it has seen", async () => {
    const state = join(folder, "damaged.json");
    writeFileSync(state, '{"region":"standby"');
    const error = await start({ state }).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error?.message).to.contain("the endpoint did not start");
    expect(readFileSync(state, "utf8")).to.equal('{"region":"standby"');
  });

  it("a region whose port is closed: 503 with the reason, within a bound, and the next region serves at once", async () => {
    const { control, get } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    expect((await get()).status).to.equal(200);
    await primary.close();
    const askedAt = performance.now();
    const answer = await get();
    expect(performance.now() - askedAt).to.be.below(boundMs);
    expect([answer.status, answer.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    const { status } = (await answer.json()) as { status: { error: string } };
    expect(status.error).to.match(/^the active region does not answer \(ECONN(REFUSED|RESET)\)$/);
    await control.pointTo({ region: "standby", epoch: 2 });
    expect(await (await get()).json()).to.deep.equal({ from: "standby" });
  });

  it("a region that hangs up without an answer: 503; one that breaks off within it: the client sees it broken off", async () => {
    const { control, get } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    primary.answer = (incoming) => incoming.socket.destroy();
    expect((await get()).status).to.equal(503);
    primary.answer = (incoming, outgoing) => {
      outgoing.writeHead(200, { "content-length": "100" }).write("half", () => incoming.socket.destroy());
    };
    const answer = await get();
    expect(await answer.text().catch((error: Error) => error.name)).to.equal("TypeError");
  });

  it("never shows a region's key or its address to the client, whatever goes wrong", async () => {
    const { control, get, url } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    const said: string[] = [];
    const hear = async (answer: Response) => said.push(JSON.stringify([...answer.headers]) + (await answer.text()));
    await hear(await get());
    await hear(await get("/collections", {}));
    await hear(await get("/.qdrant-dr/health"));
    await primary.close();
    await hear(await get());
    await hear(await fetch(`${url}/.qdrant-dr/route`, { headers: { authorization: `Bearer ${controlToken}` } }));
    expect(said).to.have.length(5);
    for (const hidden of [keys.primary, keys.standby, new URL(urls.primary).port, controlToken]) {
      expect(said.join()).not.to.contain(hidden);
    }
  });

  it("asks nobody but the active region, whatever address a client puts in the place of a path", async () => {
    const { control, port } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    const elsewhere = new URL(urls.standby).host;
    for (const path of [`//${elsewhere}/steal`, `http://${elsewhere}/steal`, "//", "///", "http://", "*"]) {
      const outbound = request({ port, host: "127.0.0.1", path, headers: { "api-key": clientKey } }).end();
      const [answer] = (await once(outbound, "response")) as [IncomingMessage];
      expect(answer.statusCode, path).to.equal(200);
      answer.resume();
      expect(primary.seen.at(-1)?.url).to.equal(path);
    }
    expect(primary.seen).to.have.length(6);
    expect(standby.seen).to.have.length(0);
  });

  it("a region below a proxy's path is asked there, and nothing beside it on the same server is", async () => {
    urls = { ...urls, primary: `${urls.primary}/search/` };
    const { control, port } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    const statusOf = async (path: string) => {
      const outbound = request({ port, host: "127.0.0.1", path, headers: { "api-key": clientKey } }).end();
      const [answer] = (await once(outbound, "response")) as [IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };
    for (const path of ["/collections?limit=1", "//host/a", "/a/../b"])
      expect(await statusOf(path), path).to.equal(200);
    expect(primary.seen.map(({ url }) => url)).to.deep.equal([
      "/search/collections?limit=1",
      "/search//host/a",
      "/search/a/../b",
    ]);
    for (const path of ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/..\\admin", "*", "http://host/", "admin"]) {
      expect(await statusOf(path), path).to.equal(400);
    }
    expect(primary.seen).to.have.length(3);
  });

  it("passes a body on piece by piece, both ways, without holding it back", async () => {
    const { control, port } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    primary.answer = (incoming, outgoing) => {
      outgoing.writeHead(200);
      incoming.on("data", (piece) => outgoing.write(`echo ${piece}`));
      incoming.on("end", () => outgoing.end("end"));
    };
    const outbound = request({
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/a",
      headers: { "api-key": clientKey },
    });
    outbound.write("one");
    const [answer] = (await once(outbound, "response")) as [IncomingMessage];
    const pieces = answer.setEncoding("utf8")[Symbol.asyncIterator]();
    expect((await pieces.next()).value).to.equal("echo one");
    outbound.write("two");
    expect((await pieces.next()).value).to.equal("echo two");
    outbound.end();
    expect((await pieces.next()).value).to.equal("end");
  });

  it("passes 32 MiB unchanged, and lets go of the region when the client hangs up", async () => {
    const { control, get, port } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    const size = 32 * 1024 ** 2;
    primary.answer = (_, outgoing) => outgoing.end(Buffer.alloc(size, "ab"));
    const bytes = Buffer.from(await (await get()).arrayBuffer());
    expect(bytes.equals(Buffer.alloc(size, "ab"))).to.equal(true);
    const asked = new Promise<IncomingMessage>((resolve) => {
      primary.answer = (incoming) => resolve(incoming);
    });
    const outbound = request({ port, host: "127.0.0.1", path: "/slow", headers: { "api-key": clientKey } });
    outbound.on("error", () => {}).end();
    const { socket } = await asked;
    const letGo = once(socket, "close");
    outbound.destroy();
    await letGo;
  });

  it("ends at SIGTERM with code 0 and frees its port, with requests under way", async () => {
    const { child, control, get, port } = await start();
    await control.pointTo({ region: "primary", epoch: 1 });
    const asked = new Promise<void>((resolve) => {
      primary.answer = () => resolve();
    });
    const under = get().catch((error: Error) => error);
    await asked;
    await end(child, "SIGTERM");
    expect(child.exitCode).to.equal(0);
    expect(await under).to.be.instanceOf(Error);
    const holder = createSocket();
    await once(holder.listen(port, "127.0.0.1"), "listening");
    await once(holder.close(), "close");
  });

  it("an endpoint that is gone: its control says UNREACHABLE with what to do", async () => {
    const { child, control } = await start();
    await end(child, "SIGKILL");
    const error = await refusal(control.pointTo({ region: "primary", epoch: 1 }));
    expect(error).to.include({ code: "UNREACHABLE", exitCode: 5, retryable: true });
    expect(error.hint).to.contain("pulumi up");
    expect(`${error.message} ${error.hint} ${String(error.cause)}`).not.to.contain(controlToken);
  });
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
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
