/** What a gate itself answers, in the form of Qdrant's own errors, so that its clients show the text. */
import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";

/** https://grpc.io/docs/guides/status-codes */
export const grpcStatus = {
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
  deadlineExceeded: 4,
} as const;

export function answerRest(outgoing: ServerResponse | Http2ServerResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  (outgoing as ServerResponse).writeHead(status, {
    "content-type": "application/json",
    "content-length": text.length,
    ...(status === 503 ? { "retry-after": "1" } : {}),
  });
  outgoing.end(text);
}

export function refuseRest(outgoing: ServerResponse | Http2ServerResponse, status: number, error: string): void {
  answerRest(outgoing, status, { status: { error }, time: 0 });
}

export function refuseGrpc(stream: ServerHttp2Stream, status: number, message: string): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return;
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(status),
      "grpc-message": percentEncoded(message),
    },
    { endStream: true },
  );
  endRequest(stream);
}

/** The client need not send the rest of a request that was answered. */
export function endRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded) return;
  stream.resume();
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** As gRPC wants messages: visible ASCII but for the per cent sign. */
function percentEncoded(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) => encodeURIComponent(character));
}
