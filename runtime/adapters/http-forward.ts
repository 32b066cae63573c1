/** What stands in front of a Qdrant and passes requests on, as they came but for the key: the endpoint and the gates. */
import { timingSafeEqual } from "node:crypto";
import { Agent, type IncomingMessage, request, type ServerResponse } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { addressOf, requestUrl } from "../domain/server-address.ts";

const upstreamIdleMs = 30_000;

export interface Upstream {
  readonly url: string;
  readonly apiKey: string;
}

/** Keeps connections to an upstream, in whichever way it is spoken to. */
export function agentFor({ url }: Pick<Upstream, "url">): Agent {
  return addressOf(url).isTls ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
}

/** @param name what a client is told does not answer. The answer ends a request that is under way. */
export function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  upstream: Upstream,
  { agent, name }: { readonly agent: Agent; readonly name: string },
): () => void {
  const address = addressOf(upstream.url);
  const path = `${address.prefix}${incoming.url ?? "/"}`;
  // Below a proxy's path the region is not alone: what a proxy would take for a path beside it is not the region's.
  if (
    address.prefix !== "" &&
    !requestUrl({ ...address, prefix: "" }, path).pathname.startsWith(`${address.prefix}/`)
  ) {
    incoming.resume();
    refuse(outgoing, 400, "a path that begins with / and stays below it is wanted");
    return () => outgoing.destroy();
  }
  const { authorization: _authorization, host: _host, connection: _connection, ...headers } = incoming.headers;
  const outbound = (address.isTls ? tlsRequest : request)(
    requestUrl(address, "/"),
    {
      method: incoming.method,
      // As it came, never resolved: a path may look like an address, and the key goes to the region alone.
      path,
      headers: { ...headers, "api-key": upstream.apiKey },
      agent,
      timeout: upstreamIdleMs,
    },
    (answered) => {
      outgoing.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(outgoing);
      answered.once("error", () => outgoing.destroy());
    },
  );
  outbound.once("timeout", () => outbound.destroy(new Error("the region does not answer")));
  outbound.once("error", (error) => {
    if (outgoing.headersSent) outgoing.destroy();
    else refuse(outgoing, 503, `${name} does not answer (${(error as NodeJS.ErrnoException).code ?? error.message})`);
  });
  outgoing.once("close", () => outbound.destroy());
  incoming.pipe(outbound);
  return () => outgoing.destroy();
}

/** Whether the request has this key, in either of Qdrant's headers. */
export function hasKey(incoming: IncomingMessage, key: string): boolean {
  const given = incoming.headers["api-key"] ?? bearer(incoming);
  return isSecret(typeof given === "string" ? given : undefined, key);
}

export function hasToken(incoming: IncomingMessage, token: string): boolean {
  return isSecret(bearer(incoming), token);
}

/** In the form of Qdrant's own errors, so that its clients show the text. */
export function refuse(outgoing: ServerResponse, status: number, error: string): void {
  answer(outgoing, status, { status: { error }, time: 0 });
}

export function answer(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, { "content-type": "application/json", ...(status === 503 ? { "retry-after": "1" } : {}) });
  outgoing.end(JSON.stringify(body));
}

function bearer(incoming: IncomingMessage): string | undefined {
  return incoming.headers.authorization?.replace(/^Bearer /, "");
}

function isSecret(given: string | undefined, secret: string): boolean {
  const [a, b] = [Buffer.from(given ?? ""), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
