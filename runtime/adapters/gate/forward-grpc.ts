/**
 * Passes gRPC calls on to a Qdrant by their path, and reads no message. Each connection of a client has one of its own to Qdrant, so that a
 * client that reads slowly holds up nobody else.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { addressOf, urlOf } from "../../domain/server-address.ts";
import { endRequest, grpcStatus, refuseGrpc } from "./answers.ts";
import { headersWithKey } from "./headers.ts";
import { connectionWindow, http2Settings, sessionMemoryMb } from "./http2-limits.ts";

export interface GrpcForwarding {
  readonly apiKey?: string | undefined;
  readonly name: string;
  readonly mostBytes?: number | undefined;
  readonly answerWithinMs?: number | undefined;
}

const endOfStream = constants.NGHTTP2_FLAG_END_STREAM;

export class GrpcUpstream {
  readonly #url: string;
  readonly #sessions = new Map<ServerHttp2Session, ClientHttp2Session>();

  constructor(url: string) {
    this.#url = urlOf({ ...addressOf(url), prefix: "" });
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
  }

  /** The answer ends a call that is under way. */
  forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, forwarding: GrpcForwarding): () => void {
    const { answerWithinMs, apiKey, mostBytes, name } = forwarding;
    const end = () => refuseGrpc(stream, grpcStatus.unavailable, `${name} was closed`);
    const client = stream.session;
    if (!(client && "setLocalWindowSize" in client)) return end;
    const outbound = this.#sessionOf(client as ServerHttp2Session).request({
      ...headersWithKey(headers, apiKey),
      ":method": "POST",
      ":path": headers[":path"],
      te: "trailers",
    });
    passBody(stream, outbound, mostBytes);
    passAnswer(stream, outbound, name);
    if (answerWithinMs !== undefined) limitTime(stream, outbound, { answerWithinMs, name });
    return () => {
      if (stream.headersSent) stream.close(constants.NGHTTP2_CANCEL);
      else end();
    };
  }

  #sessionOf(client: ServerHttp2Session): ClientHttp2Session {
    const kept = this.#sessions.get(client);
    if (kept !== undefined && !kept.closed && !kept.destroyed) return kept;
    const session = connect(this.#url, { settings: http2Settings, maxSessionMemory: sessionMemoryMb });
    session.once("connect", () => session.setLocalWindowSize(connectionWindow));
    const forget = () => {
      if (this.#sessions.get(client) === session) this.#sessions.delete(client);
    };
    // Its streams end with the error, and tell it.
    session.on("error", forget);
    session.once("goaway", forget);
    session.once("close", forget);
    if (kept === undefined) client.once("close", () => this.#sessions.get(client)?.close());
    this.#sessions.set(client, session);
    return session;
  }
}

function passBody(stream: ServerHttp2Stream, outbound: ClientHttp2Stream, mostBytes: number | undefined): void {
  let bytes = 0;
  stream.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (mostBytes !== undefined && bytes > mostBytes) {
      const message = `the request is longer than ${mostBytes} bytes, which is all that the gate passes on`;
      refuseGrpc(stream, grpcStatus.resourceExhausted, message);
      outbound.close(constants.NGHTTP2_CANCEL);
    } else if (!outbound.write(piece)) stream.pause();
  });
  outbound.on("drain", () => stream.resume());
  stream.once("end", () => outbound.end());
}

function passAnswer(stream: ServerHttp2Stream, outbound: ClientHttp2Stream, name: string): void {
  let trailers: OutgoingHttpHeaders | undefined;
  let failure: NodeJS.ErrnoException | undefined;
  outbound.once("response", (headers, flags) => {
    if (stream.destroyed || stream.headersSent) return;
    if ((flags & endOfStream) !== 0) {
      stream.respond(ofMessage(headers), { endStream: true });
      endRequest(stream);
      return;
    }
    stream.respond(ofMessage(headers), { waitForTrailers: true });
    stream.once("wantTrailers", () => {
      // Without them the answer is not whole.
      if (trailers === undefined) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else stream.sendTrailers(trailers);
    });
    outbound.pipe(stream);
  });
  outbound.once("trailers", (given) => {
    trailers = ofMessage(given);
  });
  outbound.once("error", (error) => {
    failure = error;
  });
  outbound.once("close", () => {
    if (stream.destroyed || stream.writableEnded) return;
    if (stream.headersSent) stream.close(outbound.rstCode || constants.NGHTTP2_INTERNAL_ERROR);
    else refuseGrpc(stream, grpcStatus.unavailable, `${name} does not answer${reasonOf(failure)}`);
  });
  // The client gave up: its deadline has passed, or it is gone.
  stream.once("close", () => outbound.close(constants.NGHTTP2_CANCEL));
  stream.once("error", () => outbound.close(constants.NGHTTP2_CANCEL));
}

function limitTime(
  stream: ServerHttp2Stream,
  outbound: ClientHttp2Stream,
  { answerWithinMs, name }: { readonly answerWithinMs: number; readonly name: string },
): void {
  const timer = setTimeout(() => {
    const message = `${name} gave no answer within ${answerWithinMs / 1000} s; what was asked may still be done`;
    refuseGrpc(stream, grpcStatus.deadlineExceeded, message);
    outbound.close(constants.NGHTTP2_CANCEL);
  }, answerWithinMs);
  outbound.once("response", () => clearTimeout(timer));
  outbound.once("close", () => clearTimeout(timer));
}

function reasonOf(failure: NodeJS.ErrnoException | undefined): string {
  return failure === undefined ? "" : ` (${failure.code ?? failure.message})`;
}

/** Headers as they came; Node marks objects that it made with a symbol. */
function ofMessage(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return { ...headers };
}
