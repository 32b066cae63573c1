/**
 * Where clients reach a gate: a port that takes HTTP/1.1 and HTTP/2, in the clear (by what a connection begins with) or over TLS (by what is
 * agreed on), so that REST and gRPC come by any of its ports.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import {
  createServer as createHttp2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { Certificate } from "./certificate.ts";
import type { RestIncoming, RestOutgoing } from "./forward-rest.ts";
import { connectionWindow, http2Settings, sessionMemoryMb } from "./http2-limits.ts";

export interface FrontHandlers {
  readonly rest: (incoming: RestIncoming, outgoing: RestOutgoing) => void;
  /** Absent: calls of gRPC are requests like any other. */
  readonly grpc?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

export interface FrontLimits {
  /** Of clients at once; who comes later is not taken. */
  readonly connections?: number | undefined;
}

/** What a connection of HTTP/2 begins with, where it was not agreed on. */
const preface = "PRI ";
/** A client that has sent nothing for this long is not waited for. */
const silentMs = 60_000;
/** Bodies take the time that they take. Clients and load balancers give an idle connection up first, so that no request meets its end. */
const timeouts = { headersTimeout: silentMs, requestTimeout: 0, keepAliveTimeout: 75_000 };
const idleAgainMs = 50;
const manyStreams = 1_000;

export class Front {
  readonly #server: Server | TlsServer;
  readonly #http2 = createHttp2Server({
    settings: { ...http2Settings, maxConcurrentStreams: manyStreams },
    maxSessionMemory: sessionMemoryMb,
  });
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections that have sent nothing yet. */
  readonly #silent = new Set<Socket>();
  #isDraining = false;

  /** @param certificate in the clear when left out. */
  constructor({ grpc, rest }: FrontHandlers, limits: FrontLimits = {}, certificate?: Certificate) {
    this.#server =
      certificate === undefined
        ? createServer(timeouts)
        : createTlsServer({ ...certificate, ...timeouts, ALPNProtocols: ["h2", "http/1.1"] });
    if (limits.connections !== undefined) this.#server.maxConnections = limits.connections;
    this.#server.on("request", rest);
    this.#takeConnections(certificate === undefined ? "connection" : "secureConnection");
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      session.setLocalWindowSize(connectionWindow);
      session.once("close", () => this.#sessions.delete(session));
      if (this.#isDraining) session.close();
      session.on("error", () => session.destroy());
    });
    this.#http2.on("stream", (stream, headers, _flags, rawHeaders) => {
      stream.on("error", () => stream.close());
      const isGrpc = headers["content-type"]?.startsWith("application/grpc") ?? false;
      if (isGrpc && grpc !== undefined) grpc(stream, headers);
      else rest(new Http2ServerRequest(stream, headers, {}, rawHeaders), new Http2ServerResponse(stream));
    });
  }

  /** @throws PORT_TAKEN */
  async listen(port: number, host: string, what: string): Promise<void> {
    try {
      await once(this.#server.listen(port, host), "listening");
    } catch (cause) {
      if (!hasErrno(cause, "EADDRINUSE")) throw cause;
      throw new DrError("PORT_TAKEN", `port ${port} of ${host} is taken`, {
        hint: `stop what listens there, or give ${what} another port`,
        cause,
      });
    }
  }

  /** For connections that come from now on. */
  changeCertificate(certificate: Certificate): void {
    if ("setSecureContext" in this.#server) this.#server.setSecureContext(certificate);
  }

  /** Takes no more connections, tells clients that they are to come back elsewhere, and returns when every call has ended. */
  async drain(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#isDraining = true;
    for (const session of this.#sessions) session.close();
    for (const socket of this.#silent) socket.destroy();
    // A connection becomes idle with the answer to its last request.
    const timer = setInterval(() => this.#server.closeIdleConnections(), idleAgainMs);
    await closed;
    clearInterval(timer);
  }

  /** Ends what is under way, too. */
  end(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const each of [...this.#sessions, ...this.#silent]) each.destroy();
  }

  /** Each connection goes to the server of its protocol; HTTP/1.1's is the one that listens. */
  #takeConnections(event: "connection" | "secureConnection"): void {
    const serve = this.#server.listeners(event) as ((socket: Socket) => void)[];
    this.#server.removeAllListeners(event);
    const serveHttp1 = (socket: Socket) => {
      for (const listener of serve) listener.call(this.#server, socket);
    };
    const serveHttp2 = (socket: Socket) => {
      this.#http2.emit("connection", socket);
    };
    this.#server.on(event, (socket: Socket) => {
      if (event === "secureConnection") {
        ((socket as TLSSocket).alpnProtocol === "h2" ? serveHttp2 : serveHttp1)(socket);
        return;
      }
      socket.setNoDelay(true);
      this.#silent.add(socket);
      socket.once("close", () => this.#silent.delete(socket));
      const giveUp = () => socket.destroy();
      socket.setTimeout(silentMs, giveUp);
      socket.on("error", giveUp);
      socket.once("readable", () => {
        this.#silent.delete(socket);
        socket.off("error", giveUp);
        socket.off("timeout", giveUp);
        socket.setTimeout(0);
        const begun: Buffer | null = socket.read();
        if (begun === null) {
          socket.destroy();
          return;
        }
        socket.unshift(begun);
        (begun.subarray(0, preface.length).toString("latin1") === preface ? serveHttp2 : serveHttp1)(socket);
      });
    });
  }
}
