/**
 * What clients meet in a gate: their calls by REST and gRPC on a real Qdrant, and, in front of a server that does what Qdrant does seldom,
 * answers before a request was sent, connections that end, and calls that last.
 */
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { request as tlsRequest } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { QdrantClient as GrpcClient } from "@qdrant/js-client-grpc";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { RestUpstream } from "../../runtime/adapters/gate/forward-rest.ts";
import { GateControl } from "../../runtime/adapters/gate-control.ts";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { writeFence } from "../../runtime/repository/control/gate-records.ts";
import { signed } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";
import { FrontProcess } from "../support/servers/front-process.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { eventually } from "../support/time/eventually.ts";

const clientKey = "the-key-that-clients-have";
const readOnlyKey = "the-key-of-those-who-read";
const administratorKey = "the-key-of-administrators";
const keys = { READ_ONLY_KEY: readOnlyKey, ADMINISTRATOR_KEY: administratorKey };
const at = "2026-01-01T00:00:00.000Z";

describe("calls through a gate", function () {
  this.timeout(120_000);
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-gate-calls-"));
  const gates: FrontProcess[] = [];
  let count = 0;

  after(() => rmSync(root, { recursive: true, force: true }));

  async function gateBefore(
    upstream: Parameters<typeof FrontProcess.gate>[2],
    more: Readonly<Record<string, string>> = {},
  ) {
    const folder = join(root, `${++count}`);
    const control: StoreAddress = { kind: "file", folder: join(folder, "control") };
    mkdirSync(control.folder, { recursive: true });
    const store = signed(new FileStore(control.folder), "east", "control");
    await claimEpoch(store, { epoch: 1, active: "east", reason: "initial", run: "r", at });
    const gate = await FrontProcess.gate(folder, "east", upstream, control, undefined, { ...keys, ...more });
    gates.push(gate);
    const fence = async () => {
      await writeFence(store, { epoch: 2, region: "east", run: "r", at });
      return new GateControl(gate.asGate).look();
    };
    return { control, gate, fence };
  }

  describe("to a Qdrant", () => {
    let server: QdrantServer;
    let gate: FrontProcess;

    before(async () => {
      server = await QdrantServer.start("alone", undefined, { QDRANT__SERVICE__JWT_RBAC: "true" });
      ({ gate } = await gateBefore(server, { OTHER_KEYS: "pass" }));
    });
    after(async () => {
      for (const each of gates.splice(0)) await each.stop();
      await server?.stop();
    });

    const grpc = (url: string, apiKey: string) => {
      const { hostname, port } = new URL(url);
      return new GrpcClient({ host: hostname, port: Number(port), https: false, apiKey, checkCompatibility: false });
    };
    const asked = (path: string, key: string, method = "GET") =>
      fetch(`${gate.url}${path}`, { method, headers: { "api-key": key } }).then((answer) => answer.status);

    it("the official clients of REST and gRPC see the same as without it", async () => {
      const seen: unknown[] = [];
      for (const [url, apiKey] of [
        [server.url, server.apiKey],
        [gate.url, clientKey],
      ] as const) {
        seen.push(await restProgram(new QdrantClient({ url, apiKey, checkCompatibility: false })));
      }
      for (const [url, apiKey] of [
        [server.grpcUrl, server.apiKey],
        [gate.url, clientKey],
      ] as const) {
        seen.push(await grpcProgram(grpc(url, apiKey)));
      }
      expect(seen[1], "REST").to.deep.equal(seen[0]);
      expect(seen[3], "gRPC").to.deep.equal(seen[2]);
      expect(seen[0]).to.include({ counted: 40 });
      expect(seen[2]).to.include({ counted: 40 });
    });

    it("gives each key its rights, whatever the call comes by", async () => {
      const client = new QdrantClient({ url: gate.url, apiKey: clientKey, checkCompatibility: false });
      await client.createCollection("rights", { vectors: { size: 2, distance: "Dot" } });
      expect(await asked("/collections/rights", readOnlyKey)).to.equal(200);
      expect(await asked("/collections/rights", readOnlyKey, "DELETE")).to.equal(403);
      for (const path of [
        "/telemetry",
        "/metrics",
        "/cluster",
        "/collections/rights/snapshots",
        "/collections/rights/cluster",
      ]) {
        expect(await asked(path, clientKey), path).to.equal(403);
        expect(await asked(path, administratorKey), path).to.equal(200);
      }
      for (const path of ["/", "/healthz", "/livez", "/readyz"]) {
        expect((await fetch(`${gate.url}${path}`)).status, `${path} without a key`).to.equal(200);
      }
      const preflight = { origin: "http://web.example", "access-control-request-method": "PUT" };
      const allowed = await fetch(`${gate.url}/collections/rights`, { method: "OPTIONS", headers: preflight });
      expect(allowed.headers.get("access-control-allow-origin")).to.equal("http://web.example");
      // Qdrant's own read-only key, and a token that it gave out, have the rights that Qdrant gives them.
      expect(await asked("/collections/rights", server.readOnlyKey)).to.equal(200);
      expect(await asked("/collections/rights", server.readOnlyKey, "DELETE")).to.equal(403);
      expect(await asked("/telemetry", server.apiKey), "Qdrant's own key").to.equal(403);
      expect(await asked("/collections", "of nobody")).to.equal(401);
      // Who names the gate where Qdrant should be named is told the gate's own words.
      const error = await errorOf(new Qdrant({ peers: [gate.url], apiKey: clientKey }).shards("rights"));
      expect(error?.code).to.equal("ACCESS_DENIED");
      expect(error?.message).to.contain(": this is for administrators: the gate wants");

      const codes: unknown[] = [];
      for (const [key, method] of [
        [readOnlyKey, "/qdrant.Collections/List"],
        [readOnlyKey, "/qdrant.Collections/Delete"],
        [clientKey, "/qdrant.Snapshots/CreateFull"],
        ["of nobody", "/qdrant.Collections/List"],
      ] as const) {
        codes.push((await call(gate.url, method, key)).code);
      }
      expect(codes).to.deep.equal([
        status.OK,
        status.PERMISSION_DENIED,
        status.PERMISSION_DENIED,
        status.UNAUTHENTICATED,
      ]);
      expect((await call(gate.url, "/qdrant.Qdrant/HealthCheck", undefined)).code).to.equal(status.OK);
      expect(await asked("/collections/rights", administratorKey, "DELETE")).to.equal(200);
    });

    it("passes clients' tokens on with the rights that Qdrant gives them: to read, for one collection, for a time", async () => {
      const admin = new QdrantClient({ url: gate.url, apiKey: clientKey, checkCompatibility: false });
      for (const name of ["own", "foreign"]) {
        await admin.createCollection(name, { vectors: { size: 2, distance: "Dot" } });
      }
      const point = JSON.stringify({ points: [{ id: 1, vector: [1, 2] }] });
      const written = async (name: string, key: string) => {
        const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
        const answer = await fetch(`${gate.url}/collections/${name}/points?wait=true`, {
          method: "PUT",
          headers,
          body: point,
        });
        return answer.status;
      };
      const reads = tokenOf(server.apiKey, { access: "r" });
      const writesOwn = tokenOf(server.apiKey, { access: [{ collection: "own", access: "rw" }] });
      const isOver = tokenOf(server.apiKey, { access: "m", exp: 1_000_000_000 });
      const manages = tokenOf(server.apiKey, { access: "m" });
      expect([await written("own", writesOwn), await written("foreign", writesOwn)]).to.deep.equal([200, 403]);
      expect([await asked("/collections/own", reads), await written("own", reads)]).to.deep.equal([200, 403]);
      for (const none of [isOver, tokenOf("another key", { access: "m" })]) {
        const direct = await fetch(`${server.url}/collections/own`, { headers: { "api-key": none } });
        expect(await asked("/collections/own", none))
          .to.equal(direct.status)
          .and.to.be.oneOf([401, 403]);
      }
      // Whatever a token says, what is the administrators' takes their key.
      expect(await asked("/telemetry", manages)).to.equal(403);
      const codes: unknown[] = [];
      const direct: unknown[] = [];
      for (const token of [reads, isOver, writesOwn]) {
        codes.push((await call(gate.url, "/qdrant.Collections/List", token)).code);
        direct.push((await call(server.grpcUrl, "/qdrant.Collections/List", token)).code);
      }
      expect(codes).to.deep.equal(direct);
      expect([codes[0], codes[1] === status.OK]).to.deep.equal([status.OK, false]);
      for (const name of ["own", "foreign"]) await admin.deleteCollection(name);
    });

    it("Qdrant's answer reaches a client that is still sending a request that Qdrant does not take", async () => {
      const body = Buffer.alloc(40 * 1024 * 1024, "a");
      for (let round = 0; round < 3; round += 1) {
        const outbound = request(`${gate.url}/collections/none/points`, {
          method: "PUT",
          headers: { "api-key": clientKey, "content-type": "application/json", "content-length": body.length },
        });
        outbound.end(body);
        const [answered] = (await once(outbound, "response")) as [IncomingMessage];
        expect(answered.statusCode).to.equal(400);
        expect(await textOf(answered)).to.contain("larger than allowed");
      }
    });

    it("closes for both alike, and says so in the way of each", async () => {
      const { fence, gate: own } = await gateBefore(server);
      expect((await call(own.url, "/qdrant.Collections/List", clientKey)).code).to.equal(status.OK);
      expect(await fence()).to.deep.include({ isOpen: false, inFlight: 0 });
      const refused = await call(own.url, "/qdrant.Collections/List", clientKey);
      expect([refused.code, refused.details]).to.deep.equal([
        status.UNAVAILABLE,
        "region east does not serve: fenced for a switchover to epoch 2",
      ]);
      expect((await fetch(`${own.url}/collections`, { headers: { "api-key": clientKey } })).status).to.equal(503);
      // A process that ends says so to load balancers, and does not wait for connections that nobody uses.
      expect(await own.end()).to.equal(0);
    });

    it("two replicas are asked one by one: a fence counts when both are closed, and not while one is silent", async () => {
      const { control, fence, gate: first } = await gateBefore(server);
      const second = await FrontProcess.gate(join(root, `${++count}`), "east", server, control);
      gates.push(second);
      const controlUrls = [first, second].flatMap((one) => one.asGate.controlUrls);
      const both = new GateControl({ ...first.asGate, controlUrls });
      expect(await both.look()).to.deep.include({ isOpen: true, silent: [] });
      await fence();
      expect(await both.look()).to.deep.include({ isOpen: false, inFlight: 0, silent: [] });
      await second.stop();
      const { isOpen, silent } = await both.look();
      expect([isOpen, silent]).to.deep.equal([
        false,
        [`the gate's control at ${second.asGate.controlUrls[0]} does not answer`],
      ]);
    });

    it("speaks TLS by a certificate that may change while it runs: REST, and gRPC by ALPN", async () => {
      const folder = join(root, "tls");
      mkdirSync(folder);
      const first = makeCertificate(folder, "first");
      const { gate: own } = await gateBefore(server, {
        TLS: JSON.stringify({ certificate: join(folder, "crt"), key: join(folder, "key") }),
        CONTROL_TLS: "none",
      });
      const { port } = new URL(own.url);
      const shown = async () => {
        const outbound = tlsRequest({
          agent: false,
          host: "127.0.0.1",
          port,
          path: "/healthz",
          ca: [first, readFileSync(join(folder, "crt"))],
        });
        outbound.end();
        const [answered] = (await once(outbound, "response")) as [IncomingMessage];
        answered.resume();
        const { subject } = (answered.socket as import("node:tls").TLSSocket).getPeerCertificate();
        return [answered.statusCode, subject.CN];
      };
      expect(await shown()).to.deep.equal([200, "first"]);
      const answer = await call(own.url, "/qdrant.Collections/List", clientKey, credentials.createSsl(first));
      expect(answer.code, answer.details).to.equal(status.OK);
      makeCertificate(folder, "second");
      await eventually("the other certificate", async () => (await shown())[1] === "second");
    });
  });

  describe("to a server that does what Qdrant does seldom", () => {
    const seen: IncomingMessage[] = [];
    let respond: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
    const upstream = createServer((incoming, outgoing) => {
      seen.push(incoming);
      respond(incoming, outgoing);
    });
    const asUpstream = () => ({
      url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      apiKey: "its-own",
    });

    before(() => once(upstream.listen(0, "127.0.0.1"), "listening"));
    beforeEach(() => {
      seen.length = 0;
      respond = (incoming, outgoing) => {
        incoming.resume().once("end", () => outgoing.end("{}"));
      };
    });
    afterEach(async () => {
      for (const each of gates.splice(0)) await each.stop();
    });
    after(async () => {
      upstream.closeAllConnections();
      await once(upstream.close(), "close");
    });

    const write = (url: string, body = "{}", headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${url}/collections/a/points`, { method: "PUT", body, headers: { "api-key": clientKey, ...headers } });

    it("sends a write again of which nothing left, as its kept connection had ended, and never one that may have arrived", async () => {
      const rest = new RestUpstream(asUpstream().url);
      const front = createServer((incoming, outgoing) => {
        // The other side ends the connection in the moment before the next request takes it.
        seen.at(-1)?.socket.resetAndDestroy();
        rest.forward(incoming, outgoing, { name: "the server" });
      });
      await once(front.listen(0, "127.0.0.1"), "listening");
      const frontUrl = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
      const body = "x".repeat(70_000);
      for (let round = 0; round < 5; round += 1) expect((await write(frontUrl, body)).status, `${round}`).to.equal(200);
      expect(seen.map(({ headers }) => headers["content-length"])).to.deep.equal(Array(5).fill("70000"));
      rest.close();
      front.close();
      front.closeAllConnections();

      seen.length = 0;
      const { gate } = await gateBefore(asUpstream());
      respond = (incoming) => {
        incoming.resume().once("end", () => incoming.socket.destroy());
      };
      const lost = await write(gate.url);
      expect([lost.status, lost.headers.get("retry-after")]).to.deep.equal([502, null]);
      expect(seen).to.have.length(1);
    });

    it("keeps to itself what speaks of one connection, and the client's key", async () => {
      const { gate } = await gateBefore(asUpstream());
      const { hostname, port } = new URL(gate.url);
      const socket = connect({ host: hostname, port: Number(port) });
      socket.write(
        `GET /collections HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${clientKey}\r\nConnection: close, X-Own\r\n` +
          "X-Own: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Connection: x\r\nX-Other: 2\r\n\r\n",
      );
      await once(socket.resume(), "close");
      const { headers } = seen[0] ?? {};
      expect(headers).to.not.have.any.keys(
        "x-own",
        "te",
        "upgrade",
        "http2-settings",
        "proxy-connection",
        "authorization",
      );
      expect(headers).to.include({ "x-other": "2", "api-key": "its-own" });
    });

    it("refuses a longer request than the limit, announced or not, and gives up an answer after the set time", async () => {
      const { gate } = await gateBefore(asUpstream(), { BODY_BYTES: "1000", ANSWER_WITHIN_SECONDS: "1" });
      expect((await write(gate.url, "x".repeat(1_000))).status).to.equal(200);
      expect((await write(gate.url, "x".repeat(1_001))).status).to.equal(413);
      let pieces = 0;
      const stream = new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(600));
          pieces += 1;
          if (pieces === 5) controller.close();
        },
      });
      const options = { method: "PUT", body: stream, duplex: "half", headers: { "api-key": clientKey } };
      expect((await fetch(`${gate.url}/collections/a/points`, options as RequestInit)).status).to.equal(413);
      respond = () => {};
      const late = await write(gate.url);
      expect([late.status, late.headers.get("retry-after")]).to.deep.equal([504, null]);
    });

    it("passes an answer that comes late, and holds no answer for who reads it slowly", async () => {
      const { gate } = await gateBefore(asUpstream());
      // Later than connections without a request are kept. QDRANT_DR_LATE_SECONDS asks for more than the suite has time for.
      const lateMs = 1000 * Number(process.env["QDRANT_DR_LATE_SECONDS"] ?? 4);
      respond = (incoming, outgoing) => {
        incoming.resume().once("end", () => setTimeout(() => outgoing.end("late"), lateMs));
      };
      const late = write(gate.url).then(async (answer) => [answer.status, await answer.text()]);
      await eventually("the late call to arrive", () => seen.length === 1);

      const [piece, pieces] = [Buffer.alloc(1024 * 1024), 96];
      let taken = 0;
      respond = async (_, outgoing) => {
        for (; taken < pieces; taken += 1) if (!outgoing.write(piece)) await once(outgoing, "drain");
        outgoing.end();
      };
      const outbound = request(`${gate.url}/collections/a/points/scroll`, { headers: { "api-key": clientKey } });
      outbound.end();
      const [slow] = (await once(outbound, "response")) as [IncomingMessage];
      let before = -1;
      const isStill = () => {
        const isSame = taken === before;
        before = taken;
        return isSame;
      };
      await eventually("the gate to take no more", isStill, { everyMs: 500 });
      expect(taken, "MiB taken for who reads nothing").to.be.below(32);
      let bytes = 0;
      for await (const read of slow) bytes += (read as Buffer).length;
      expect(bytes).to.equal(pieces * piece.length);
      expect(await late).to.deep.equal([200, "late"]);
    });

    it("ends cleanly: a call under way is answered, a connection over HTTP/2 is told, nothing new is taken", async () => {
      const { gate } = await gateBefore(asUpstream());
      const underWay = new Promise<ServerResponse>((resolve) => {
        respond = (_, outgoing) => resolve(outgoing);
      });
      const slow = write(gate.url);
      const answer = await underWay;
      respond = (_, outgoing) => outgoing.end("{}");
      const session = connectHttp2(gate.url);
      await once(session, "remoteSettings");
      const told = once(session, "goaway") as Promise<[number]>;
      const ended = gate.end();
      expect((await told)[0]).to.equal(constants.NGHTTP2_NO_ERROR);
      await eventually("connections to be refused", () =>
        write(gate.url).then(
          () => false,
          () => true,
        ),
      );
      answer.end("{}");
      expect((await slow).status).to.equal(200);
      expect(await ended).to.equal(0);
      session.destroy();
    });
  });
});

/** A token as Qdrant knows them (JWT, HS256), signed with its key. */
function tokenOf(apiKey: string, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", apiKey).update(signed).digest("base64url")}`;
}

async function restProgram(client: QdrantClient) {
  await client.deleteCollection("notes");
  await client.createCollection("notes", { vectors: { size: 4, distance: "Dot" } });
  const points = Array.from({ length: 60 }, (_, id) => ({ id, vector: [id, 1, 2, 3], payload: { group: id % 3 } }));
  const written = await client.upsert("notes", { wait: true, points });
  await client.createPayloadIndex("notes", { field_name: "group", field_schema: "integer", wait: true });
  const found = await client.query("notes", { query: [1, 2, 3, 4], limit: 3, with_payload: true });
  await client.delete("notes", { wait: true, filter: { must: [{ key: "group", match: { value: 1 } }] } });
  const { points: rest } = await client.scroll("notes", { limit: 100, with_vector: true });
  const { count: counted } = await client.count("notes");
  const refused = await client
    .upsert("notes", { points: [{ id: 1, vector: [1] }] })
    .catch((error: Error) => error.message);
  await client.updateCollectionAliases({
    actions: [{ create_alias: { alias_name: "latest", collection_name: "notes" } }],
  });
  return { written, found, rest, counted, refused, aliases: await client.getAliases() };
}

async function grpcProgram(client: GrpcClient) {
  const [points, collections] = [client.api("points"), client.api("collections")];
  await collections.delete({ collectionName: "notes" });
  await collections.create({
    collectionName: "notes",
    vectorsConfig: { config: { case: "params", value: { size: 4n, distance: 3 } } },
  });
  const vector = (data: number[]) => ({
    vectorsOptions: { case: "vector" as const, value: { vector: { case: "dense" as const, value: { data } } } },
  });
  const num = (value: number) => ({ pointIdOptions: { case: "num" as const, value: BigInt(value) } });
  const { result } = await points.upsert({
    collectionName: "notes",
    wait: true,
    points: Array.from({ length: 40 }, (_, id) => ({ id: num(id), vectors: vector([id, 1, 2, 3]) })),
  });
  const found = await points.search({ collectionName: "notes", vector: [1, 2, 3, 4], limit: 3n });
  const { result: counted } = await points.count({ collectionName: "notes", exact: true });
  const refused = await points
    .upsert({ collectionName: "notes", wait: true, points: [{ id: num(1), vectors: vector([1]) }] })
    .catch((error: Error) => error.message);
  const scores = found.result.map(({ id, score }) => [String(id?.pointIdOptions.value), score]);
  return { status: result?.status, scores, counted: Number(counted?.count), refused };
}

/** A call without a message, and how it ended. */
function call(
  url: string,
  method: string,
  key: string | undefined,
  channel = credentials.createInsecure(),
): Promise<{ readonly code: number; readonly details: string }> {
  const client = new Client(new URL(url).host, channel, { "grpc.ssl_target_name_override": "first" });
  const metadata = new Metadata();
  if (key !== undefined) metadata.set("api-key", key);
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(method, same, same, Buffer.alloc(0), metadata, (error: ServiceError | null) => {
      client.close();
      resolve({ code: error?.code ?? status.OK, details: error?.details ?? "" });
    });
  });
}

async function textOf(answered: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of answered) text += String(piece);
  return text;
}

/** A certificate of this name for 127.0.0.1, in the files `crt` and `key`. */
function makeCertificate(folder: string, name: string): Buffer {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", join(folder, "key")];
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name},IP:127.0.0.1`];
  execFileSync("openssl", ["req", "-x509", ...key, ...names, "-days", "2", "-out", join(folder, "crt")], {
    stdio: "ignore",
  });
  return readFileSync(join(folder, "crt"));
}
