/** Headers that go from one side of a proxy to the other. */
import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** They speak of one connection (RFC 9110, 7.6.1), or are made anew for the other one. */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const credentials: ReadonlySet<string> = new Set(["api-key", "authorization"]);

export function endToEndHeaders(given: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = given.connection
    ?.toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const kept: OutgoingHttpHeaders = {};
  for (const name in given) {
    if (name.startsWith(":") || ofConnection.has(name) || named?.includes(name)) continue;
    kept[name] = given[name];
  }
  return kept;
}

/** @param apiKey the key in the place of the client's; absent: the client's own is passed on. */
export function headersWithKey(given: IncomingHttpHeaders, apiKey: string | undefined): OutgoingHttpHeaders {
  const headers = endToEndHeaders(given);
  if (apiKey === undefined) return headers;
  for (const name of credentials) delete headers[name];
  headers["api-key"] = apiKey;
  return headers;
}

/** The key that a request shows, in either of Qdrant's headers. */
export function shownKey(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["api-key"] ?? bearer(headers);
  return typeof given === "string" ? given : undefined;
}

export function hasKey(headers: IncomingHttpHeaders, key: string): boolean {
  return isSecret(shownKey(headers), key);
}

export function hasToken(headers: IncomingHttpHeaders, token: string): boolean {
  return isSecret(bearer(headers), token);
}

function bearer({ authorization }: IncomingHttpHeaders): string | undefined {
  return authorization?.replace(/^Bearer /i, "");
}

function isSecret(given: string | undefined, secret: string): boolean {
  const [a, b] = [Buffer.from(given ?? ""), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
