/**
 * Where a server is asked over HTTP: one address, from which the URL of every request is made, whoever sends it. A URL means what it
 * means to every HTTP tool: where it names no port it leads to 80 or 443, which for Qdrant's client library would be 6333.
 */
import { z } from "zod";
import { DrError } from "../errors.ts";

export interface ServerAddress {
  readonly isTls: boolean;
  /** IPv6 addresses in brackets. */
  readonly host: string;
  readonly port: number;
  /** The prefix of every path, as behind a proxy: empty, or `/…` that does not end in a slash. */
  readonly prefix: string;
}

/** The address that a URL names, or what is wrong with the URL; that never repeats what may be a secret. */
export function readAddress(text: string): ServerAddress | { readonly problem: string } {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//i.test(text.trim())) {
    return { problem: "a URL that begins with http:// or https:// and names a host" };
  }
  if (url.username !== "" || url.password !== "") return { problem: "a URL without a user, a password or a key in it" };
  // An empty query or fragment leaves no trace in what was parsed.
  if (/[?#]/.test(text)) return { problem: "a URL that ends with its path: no ? and no #" };
  if (url.port === "0") return { problem: "a URL whose port is 1 to 65535" };
  const isTls = url.protocol === "https:";
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  return { isTls, host: url.hostname, port, prefix: url.pathname.replace(/\/+$/, "") };
}

/** @throws SETTING_INVALID */
export function addressOf(url: string): ServerAddress {
  const read = readAddress(url);
  if (!("problem" in read)) return read;
  throw new DrError(
    "SETTING_INVALID",
    `${JSON.stringify(withoutLogin(url))} is not the address of a server: wanted is ${read.problem}`,
    {
      hint: "write it like http://10.0.0.5:6333; keys are given apart from URLs",
    },
  );
}

/** The address in words, the same for all URLs that lead there. */
export function urlOf({ host, isTls, port, prefix }: ServerAddress): string {
  return `${isTls ? "https" : "http"}://${host}:${port}${prefix}`;
}

/** @param path begins with a slash; a query may follow. */
export function requestUrl(address: ServerAddress, path: string): URL {
  return new URL(urlOf(address) + path);
}

/** A text that may have been meant as a URL, for messages: another one when it may hold a secret. */
export function withoutLogin(text: string): string {
  // The digest of an image stands behind an @ too.
  const mayHoldSecret = /@(?!sha256:)/.test(text) || (text.includes("://") && /[?#]/.test(text));
  return mayHoldSecret ? "(not shown: it may hold a password)" : text;
}

/** A URL as it was given, which names a server and nothing else. */
export const serverUrlSchema = z.string().superRefine((text, { addIssue }) => {
  const read = readAddress(text);
  // Comparisons with other settings read the address.
  if ("problem" in read) addIssue({ code: "custom", message: read.problem, continue: false });
});

/** The peers of one Qdrant: a URL each. */
export const peerUrlsSchema = z
  .array(serverUrlSchema)
  .min(1)
  .refine((urls) => namedTwice(urls) === undefined, "each peer once");

/** The first of these URLs that leads where an earlier one does. */
export function namedTwice(urls: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const text of urls) {
    const read = readAddress(text);
    if ("problem" in read) continue;
    const url = urlOf(read);
    if (seen.has(url)) return url;
    seen.add(url);
  }
  return undefined;
}
