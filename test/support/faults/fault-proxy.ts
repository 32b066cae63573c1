/**
 * An HTTP proxy in front of a real server, which does to requests and answers what networks, gateways and full disks do.
 * It sees what really went over the wire: every attempt of a client that tries again is a request of its own.
 */
import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "../../../runtime/time/system-clock.ts";

export const faultKinds = [
  "429",
  "500",
  "503",
  "409",
  "412",
  "500 after it acted",
  "503 after it acted",
  "cut in the request",
  "cut before the answer",
  "cut in the answer",
  "half an answer that ends well",
  "a flipped byte in the request",
  "a flipped byte in the answer",
  "the answer to another request",
  "an empty answer",
  "a slow answer",
  "an answer that never comes",
  "an answer that stops",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface SeenRequest {
  /** Counted from 1. */
  readonly number: number;
  readonly method: string;
  /** Path and query as they were sent. */
  readonly path: string;
  readonly range: string | undefined;
  /** Of the body. */
  bytes: number;
  /** Of the server's own answer, or of the fault's; absent while there is none. */
  status: number | undefined;
  /** What was done to it. */
  fault: FaultKind | undefined;
}

/** What is done to a request; awaited, so that a test can hold a request for as long as it likes. */
export type FaultPlan = (request: SeenRequest) => FaultKind | undefined | Promise<FaultKind | undefined>;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

const slowMs = 150;
/** What a web server answers that knows nothing of what is asked. */
const elsewhere: Answer = { status: 404, headers: { "content-type": "text/html" }, body: Buffer.from("<h1>404</h1>") };
const errorNames: Readonly<Record<string, string>> = {
  409: "ConditionalRequestConflict",
  412: "PreconditionFailed",
  429: "TooManyRequests",
  500: "InternalError",
  503: "SlowDown",
};

export class FaultProxy {
  readonly url: string;
  readonly log: SeenRequest[] = [];
  /** Seen of every request before it is passed on. */
  plan: FaultPlan = () => undefined;
  /** What is answered in place of the server's answer; of a body alone, with 200. */
  instead: (request: SeenRequest, body: Buffer) => Buffer | Answer | undefined = () => undefined;
  /** The headers with which a request is passed on. */
  headers: (own: IncomingHttpHeaders, request: Pick<SeenRequest, "method" | "path">) => IncomingHttpHeaders = (own) =>
    own;
  /** Called when the server's answer is there and before it is passed back. */
  onAnswer: (request: SeenRequest) => void | Promise<void> = () => undefined;
  readonly #target: URL;
  readonly #prefix: string;
  readonly #server: Server;
  readonly #answers = new Map<string, Answer>();

  private constructor(server: Server, target: string, prefix: string) {
    this.#server = server;
    this.#target = new URL(target);
    this.#prefix = prefix;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`;
    server.on("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
      // Whatever breaks on either side is a broken connection for the other one.
      this.#handle(incoming, outgoing).catch(() => incoming.socket.destroy());
    });
  }

  /** @param prefix of the paths that lead to the server, which does not see it; others are answered with 404. */
  static async start(target: string, prefix = ""): Promise<FaultProxy> {
    const server = createServer({ requestTimeout: 0 });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new FaultProxy(server, target, prefix);
  }

  /** No faults any more, and nothing remembered. */
  reset(): void {
    this.plan = () => undefined;
    this.onAnswer = () => undefined;
    this.instead = () => undefined;
    this.headers = (own) => own;
    this.log.length = 0;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { headers, method = "GET", url: path = "/" } = incoming;
    const seen: SeenRequest = {
      number: this.log.length + 1,
      method,
      path,
      range: headers.range,
      bytes: 0,
      status: undefined,
      fault: undefined,
    };
    this.log.push(seen);
    const body = await bytesOf(incoming);
    seen.bytes = body.length;
    const fault = await this.plan(seen);
    seen.fault = fault;
    if (fault === "cut in the request") {
      await this.#passHalf(incoming, body);
      incoming.socket.destroy();
      return;
    }
    const made = path.startsWith(`${this.#prefix}/`) ? this.instead(seen, body) : elsewhere;
    const instead = Buffer.isBuffer(made) ? { status: 200, headers: {}, body: made } : (made ?? answerInstead(fault));
    if (instead !== undefined) {
      seen.status = instead.status;
      give(outgoing, instead);
      return;
    }
    const answer = await this.#pass(incoming, fault === "a flipped byte in the request" ? flipped(body) : body);
    seen.status = answer.status;
    await this.onAnswer(seen);
    await this.#answer(seen, answer, outgoing, incoming.socket);
  }

  async #answer(seen: SeenRequest, answer: Answer, outgoing: ServerResponse, socket: Socket): Promise<void> {
    const other = [...this.#answers].findLast(([path]) => path !== seen.path)?.[1];
    if (seen.method === "GET" && answer.status < 300) this.#answers.set(seen.path, answer);
    const half = answer.body.subarray(0, answer.body.length >> 1);
    switch (seen.fault) {
      case "500 after it acted":
      case "503 after it acted":
        give(outgoing, errorAnswer(Number(seen.fault.slice(0, 3))));
        return;
      case "cut before the answer":
        socket.destroy();
        return;
      case "cut in the answer":
        await begin(outgoing, answer, half);
        socket.destroy();
        return;
      case "half an answer that ends well":
        give(outgoing, { ...answer, body: half });
        return;
      case "a flipped byte in the answer":
        give(outgoing, { ...answer, body: flipped(answer.body) });
        return;
      case "the answer to another request":
        give(outgoing, other ?? answer);
        return;
      case "a slow answer":
        await systemClock.sleep(slowMs);
        give(outgoing, answer);
        return;
      case "an answer that never comes":
        return;
      case "an answer that stops":
        await begin(outgoing, answer, half);
        return;
      default:
        give(outgoing, answer);
    }
  }

  /** Passes a request on, with the client's own headers: its signature covers the host that it believes to talk to. */
  async #pass(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const request = httpRequest({ ...this.#addressOf(incoming), agent: false });
    // What comes after an answer is nobody's error: Qdrant sends a body with its 304.
    request.on("error", () => undefined);
    request.end(body);
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 502, headers: answer.headers, body: await bytesOf(answer) };
  }

  async #passHalf(incoming: IncomingMessage, body: Buffer): Promise<void> {
    const request = httpRequest({ ...this.#addressOf(incoming), agent: false });
    request.on("error", () => undefined);
    await new Promise<void>((written) => request.write(body.subarray(0, (body.length >> 1) + 1), () => written()));
    request.destroy();
  }

  #addressOf(incoming: IncomingMessage) {
    const { headers: own, method = "GET", url = "/" } = incoming;
    const path = url.slice(this.#prefix.length);
    const headers = this.headers(own, { method, path });
    return { host: this.#target.hostname, port: this.#target.port, method, path, headers };
  }
}

/** What the fault answers without asking the server; undefined when the server is asked. */
function answerInstead(fault: FaultKind | undefined): Answer | undefined {
  if (fault === undefined) return undefined;
  if (fault === "an empty answer") return { status: 200, headers: {}, body: Buffer.alloc(0) };
  return /^\d+$/.test(fault) ? errorAnswer(Number(fault)) : undefined;
}

function errorAnswer(status: number): Answer {
  const name = errorNames[status] ?? "InternalError";
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${name}</Code><Message>injected</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body: Buffer.from(body) };
}

function give(outgoing: ServerResponse, { body, headers, status }: Answer): void {
  // Without a body, the length is that of another answer's: HEAD.
  const length = (body.length === 0 ? Number(headers["content-length"]) : 0) || body.length;
  outgoing.writeHead(status, { ...whole(headers), "content-length": length }).end(body);
}

/** Promises the whole answer and sends a part of it. */
async function begin(outgoing: ServerResponse, { body, headers, status }: Answer, part: Buffer): Promise<void> {
  outgoing.writeHead(status, { ...whole(headers), "content-length": Math.max(body.length, 1) });
  outgoing.flushHeaders();
  if (part.length > 0) await new Promise<void>((sent) => outgoing.write(part, () => sent()));
}

/** The body is passed on in one piece, whatever way it came. */
function whole(headers: Answer["headers"]): Answer["headers"] {
  const { connection: _connection, "transfer-encoding": _encoding, ...others } = headers;
  return others;
}

/** One bit of the byte in the middle is another one. */
function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const at = copy.length >> 1;
  if (copy.length > 0) copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
