import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { pipeline } from "node:stream/promises";

/** A machine without internet must get past a server that it cannot reach. */
const CONNECT_MS = 5_000;
/** A server that says nothing for this long will not say any more. */
const SILENCE_MS = 30_000;
const MAX_REDIRECTS = 5;

/**
 * @param {string} address
 * @param {number} redirects
 * @returns {Promise<import("node:http").IncomingMessage>}
 */
function open(address, redirects = 0) {
  return new Promise((done, failed) => {
    const url = new URL(address);
    const get = url.protocol === "https:" ? getHttps : getHttp;
    const request = get(url, { headers: { "user-agent": "qdrant-dr", accept: "*/*" } }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location) {
        response.resume();
        const next = new URL(headers.location, url);
        if (redirects >= MAX_REDIRECTS) return failed(new Error(`${url.host} redirects in a circle`));
        if (url.protocol === "https:" && next.protocol !== "https:") {
          return failed(new Error(`${url.host} redirects to an unprotected address`));
        }
        return done(open(next.href, redirects + 1));
      }
      if (statusCode !== 200) {
        response.resume();
        return failed(new Error(`${url.host} answered ${statusCode} for ${url.pathname}`));
      }
      done(response);
    });
    const connecting = setTimeout(() => {
      request.destroy(new Error(`${url.host} cannot be reached (no connection within ${CONNECT_MS / 1000} s)`));
    }, CONNECT_MS);
    request.on("socket", (socket) => {
      const connected = () => clearTimeout(connecting);
      if (!socket.connecting) return connected();
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", connected);
    });
    request.setTimeout(SILENCE_MS, () => {
      request.destroy(new Error(`${url.host} fell silent for ${SILENCE_MS / 1000} s`));
    });
    request.on("error", (error) => {
      clearTimeout(connecting);
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      failed(code === undefined ? error : new Error(`${url.host} cannot be reached (${code})`));
    });
  });
}

/**
 * Fetches a file whole, or leaves nothing.
 *
 * @param {string} url
 * @param {string} path
 */
export async function fetchFile(url, path) {
  const response = await open(url);
  try {
    await pipeline(response, createWriteStream(path));
  } catch (error) {
    await rm(path, { force: true });
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    // What the disk says must reach the caller as it is.
    if (code === "ENOSPC" || code === "EDQUOT") throw error;
    throw new Error(`the download from ${new URL(url).host} broke off (${code ?? "unknown reason"})`);
  }
}
