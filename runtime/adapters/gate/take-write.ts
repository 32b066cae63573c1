/** Takes the whole of a client's write over REST, and gives it to who knows what becomes of it. */
import type { ServerResponse } from "node:http";
import type { GatedRequest, JournalledReply } from "../../ports/gated-qdrant.ts";
import { refuseRest } from "./answers.ts";
import type { RestForwarding, RestIncoming, RestOutgoing } from "./forward-rest.ts";

export async function takeWrite(
  incoming: RestIncoming,
  outgoing: RestOutgoing,
  { answerWithinMs, apiKey, mostBytes, name }: RestForwarding,
  write: (request: GatedRequest) => Promise<JournalledReply>,
): Promise<void> {
  const body = await wholeBody(incoming, mostBytes);
  if (body === "gone") return;
  if (body === "too long") {
    incoming.resume();
    refuseRest(outgoing, 413, `the request is longer than ${mostBytes} bytes, which is all that the gate passes on`);
    return;
  }
  const refuse = (status: number, error: string) => {
    if (!outgoing.headersSent && !outgoing.destroyed) refuseRest(outgoing, status, error);
  };
  const late = `${name} gave no answer within ${(answerWithinMs ?? 0) / 1000} s; what was asked may still be done`;
  const timer = answerWithinMs === undefined ? undefined : setTimeout(() => refuse(504, late), answerWithinMs);
  const { headers, method = "", url = "/" } = incoming;
  const reply = await write({ method, url, headers, keepsKey: apiKey === undefined, body });
  clearTimeout(timer);
  if (reply.kind === "refused") {
    if (reply.isDoneMaybe) refuse(502, `${name}: ${reply.reason}`);
    else refuse(503, `${name} takes no writes: ${reply.reason}`);
    return;
  }
  if (outgoing.headersSent || outgoing.destroyed) return;
  (outgoing as ServerResponse).writeHead(reply.status, reply.headers);
  outgoing.end(reply.body);
}

async function wholeBody(
  incoming: RestIncoming,
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<Buffer | "gone" | "too long"> {
  if (Number(incoming.headers["content-length"] ?? 0) > mostBytes) return "too long";
  const { promise, resolve } = Promise.withResolvers<Buffer | "gone" | "too long">();
  const pieces: Buffer[] = [];
  let bytes = 0;
  incoming.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > mostBytes) resolve("too long");
    else pieces.push(piece);
  });
  incoming.once("end", () =>
    resolve(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)),
  );
  incoming.once("close", () => resolve("gone"));
  incoming.once("error", () => resolve("gone"));
  return promise;
}
