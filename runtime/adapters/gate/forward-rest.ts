/** Passes REST requests on to a Qdrant as they came but for the key, and its answers back, also those that come before a request was sent. */
import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { request } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { request as tlsRequest } from "node:https";
import { addressOf, requestUrl, type ServerAddress } from "../../domain/server-address.ts";
import { refuseRest } from "./answers.ts";
import { endToEndHeaders, headersWithKey } from "./headers.ts";
import { agentOf, beginRequest, hasSent } from "./held-socket.ts";

export type RestIncoming = IncomingMessage | Http2ServerRequest;
export type RestOutgoing = ServerResponse | Http2ServerResponse;

export interface RestForwarding {
  /** In the place of the client's key; absent: the client's own is passed on. */
  readonly apiKey?: string | undefined;
  /** What a client is told does not answer. */
  readonly name: string;
  /** A longer body is refused. */
  readonly mostBytes?: number | undefined;
  /** When the answer does not begin within it, the client is told so. */
  readonly answerWithinMs?: number | undefined;
}

/** How long the rest of a request is read, and dropped, whose answer was given before its end: then a client reads that answer. */
const dropForMs = 30_000;

export class RestUpstream {
  readonly #address: ServerAddress;
  readonly #agent: Agent;

  constructor(url: string) {
    this.#address = addressOf(url);
    this.#agent = agentOf(this.#address);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The answer ends a request that is under way. */
  forward(incoming: RestIncoming, outgoing: RestOutgoing, forwarding: RestForwarding): () => void {
    const path = `${this.#address.prefix}${incoming.url ?? "/"}`;
    if (!this.#isBelowPrefix(path)) {
      dropRest(incoming, outgoing);
      refuseRest(outgoing, 400, "a path that begins with / and stays below it is wanted");
    } else if (isLongerThan(forwarding.mostBytes, Number(incoming.headers["content-length"] ?? 0))) {
      dropRest(incoming, outgoing);
      refuseRest(outgoing, 413, tooLong(forwarding.mostBytes));
    } else {
      new Exchange(incoming, outgoing, forwarding, (isFresh) => this.#request(incoming, path, forwarding, isFresh));
    }
    return () => void outgoing.destroy();
  }

  /** Below a proxy's path the region is not alone: what a proxy would take for a path beside it is not the region's. */
  #isBelowPrefix(path: string): boolean {
    const { prefix } = this.#address;
    return prefix === "" || requestUrl({ ...this.#address, prefix: "" }, path).pathname.startsWith(`${prefix}/`);
  }

  #request(incoming: RestIncoming, path: string, { apiKey }: RestForwarding, isFresh: boolean): ClientRequest {
    const headers = headersWithKey(incoming.headers, apiKey);
    if (hasBody(incoming) && headers["content-length"] === undefined) headers["transfer-encoding"] = "chunked";
    return (this.#address.isTls ? tlsRequest : request)({
      host: this.#address.host.replace(/^\[|\]$/g, ""),
      port: this.#address.port,
      method: incoming.method,
      // As it came, never resolved: a path may look like an address, and the key goes to the region alone.
      path,
      headers,
      agent: isFresh ? agentOf(this.#address) : this.#agent,
    });
  }
}

/** One request and its answer. */
class Exchange {
  readonly #incoming: RestIncoming;
  readonly #outgoing: RestOutgoing;
  readonly #forwarding: RestForwarding;
  readonly #send: (isFresh: boolean) => ClientRequest;
  /** What was read of the body while nothing of the request has left: it can be sent again. */
  #kept: Buffer[] | undefined = [];
  #outbound: ClientRequest;
  #bytes = 0;
  #isAnswered = false;
  #isDropping = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    incoming: RestIncoming,
    outgoing: RestOutgoing,
    forwarding: RestForwarding,
    send: (isFresh: boolean) => ClientRequest,
  ) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#forwarding = forwarding;
    this.#send = send;
    this.#outbound = this.#begin(false);
    outgoing.once("close", () => {
      clearTimeout(this.#timer);
      this.#outbound.destroy();
    });
    this.#readBody();
  }

  #begin(isFresh: boolean): ClientRequest {
    const outbound = this.#send(isFresh);
    outbound.once("socket", beginRequest);
    outbound.once("response", (answered) => this.#answer(answered, outbound));
    outbound.on("drain", () => this.#incoming.resume());
    outbound.once("error", (error) => this.#fail(error, outbound));
    return outbound;
  }

  #readBody(): void {
    const { answerWithinMs, mostBytes } = this.#forwarding;
    this.#incoming.on("data", (piece: Buffer) => {
      if (this.#isDropping) return;
      this.#bytes += piece.length;
      if (isLongerThan(mostBytes, this.#bytes)) {
        this.#refuse(413, tooLong(mostBytes));
        this.#outbound.destroy();
        return;
      }
      this.#keep(piece);
      if (!this.#outbound.write(piece)) this.#incoming.pause();
    });
    this.#incoming.once("end", () => {
      if (!this.#isDropping) this.#outbound.end();
    });
    if (answerWithinMs !== undefined) {
      this.#timer = setTimeout(() => {
        this.#refuse(
          504,
          `${this.#forwarding.name} gave no answer within ${answerWithinMs / 1000} s; what was asked may still be done`,
        );
        this.#outbound.destroy();
      }, answerWithinMs);
    }
  }

  #keep(piece: Buffer): void {
    const { socket } = this.#outbound;
    if (!this.#outbound.reusedSocket && socket !== null) this.#kept = undefined;
    if (socket !== null && hasSent(socket)) this.#kept = undefined;
    this.#kept?.push(piece);
  }

  #answer(answered: IncomingMessage, outbound: ClientRequest): void {
    clearTimeout(this.#timer);
    if (this.#isAnswered) {
      answered.resume();
      return;
    }
    this.#isAnswered = true;
    const outgoing = this.#outgoing as ServerResponse;
    outgoing.writeHead(answered.statusCode ?? 502, endToEndHeaders(answered.headers));
    answered.pipe(outgoing);
    answered.once("error", () => outgoing.destroy());
    answered.once("end", () => {
      if (outbound.writableEnded) return;
      // What it has not taken of the request it will not take any more.
      this.#drop();
      outbound.destroy();
    });
  }

  #fail(error: NodeJS.ErrnoException, outbound: ClientRequest): void {
    if (this.#isAnswered || this.#outgoing.destroyed) {
      // An answer that was cut in its middle is not to be taken for a whole one.
      if (!this.#outgoing.writableEnded) this.#outgoing.destroy();
      return;
    }
    const { socket } = outbound;
    const hasLeft = socket !== null && hasSent(socket);
    if (outbound.reusedSocket && !hasLeft && this.#kept !== undefined) {
      this.#sendAgain(this.#kept);
      return;
    }
    const { name } = this.#forwarding;
    const reason = error.code ?? error.message;
    // Only where it does no harm is a client asked to repeat what may have been done.
    if (hasLeft && this.#incoming.method !== "GET" && this.#incoming.method !== "HEAD")
      this.#refuse(
        502,
        `${name} ended the connection before it answered (${reason}); what was asked may have been done`,
      );
    else this.#refuse(503, `${name} does not answer (${reason})`);
  }

  /** The kept connection had been closed by the other side: of the request nothing has left. */
  #sendAgain(kept: readonly Buffer[]): void {
    this.#kept = undefined;
    this.#outbound = this.#begin(true);
    for (const piece of kept) this.#outbound.write(piece);
    if (this.#incoming.readableEnded) this.#outbound.end();
    else this.#incoming.resume();
  }

  #drop(): void {
    this.#isDropping = true;
    dropRest(this.#incoming, this.#outgoing);
  }

  #refuse(status: number, error: string): void {
    clearTimeout(this.#timer);
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#drop();
    refuseRest(this.#outgoing, status, error);
  }
}

function hasBody({ headers }: RestIncoming): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined || isStreamed(headers);
}

/** A body of HTTP/2 needs no header that announces it. */
function isStreamed(headers: RestIncoming["headers"]): boolean {
  return headers[":method"] !== undefined && !["GET", "HEAD", "OPTIONS"].includes(String(headers[":method"]));
}

function isLongerThan(most: number | undefined, bytes: number): boolean {
  return most !== undefined && bytes > most;
}

function tooLong(most: number | undefined): string {
  return `the request is longer than ${most} bytes, which is all that the gate passes on`;
}

/** Reads the rest of a request, so that its client comes to read the answer, but not for ever. */
function dropRest(incoming: RestIncoming, outgoing: RestOutgoing): void {
  incoming.resume();
  if (incoming.readableEnded) return;
  const timer = setTimeout(() => incoming.destroy(), dropForMs).unref();
  incoming.once("close", () => clearTimeout(timer));
  outgoing.once("close", () => clearTimeout(timer));
}
