/**
 * The peers of a Qdrant, and how they are asked: one after another until one answers, all at once, or one of them. What changes
 * something is sent once, to a peer that has just answered.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { QdrantClient, QdrantClientResourceExhaustedError } from "@qdrant/js-client-rest";
import { z } from "zod";
import { exactText, parseExactly } from "../../domain/exact-json.ts";
import { headerKey } from "../../domain/header-key.ts";
import { addressOf, requestUrl, type ServerAddress, urlOf } from "../../domain/server-address.ts";
import { hasErrno } from "../../errno.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { type RetryPolicy, retry } from "../../time/retry.ts";
import { connectionHint } from "../connection-hint.ts";
import { PassingRefusal } from "../in-its-place.ts";
import { agentsFor } from "../proxies.ts";
import { readAnswer, readJsonAnswer } from "../read-answer.ts";
import { AnswerOverdue, refused } from "./refusals.ts";

const resultSchema = z.object({ result: z.unknown() });

/** A question that takes work; what streams has no such limit. */
export const requestTimeoutMs = 120_000;
/** What a peer says of itself needs no work: where there are others, one that takes longer counts as down. */
const signTimeoutMs = 10_000;
/**
 * Where a collection's rate limit is reached, nothing was done, and Qdrant says how long to wait, a minute at most; of that the client
 * library passes on the first digit (1.19.0). All delays together are longer.
 */
const rateLimitPolicy = {
  attempts: 7,
  firstDelayMs: 1_000,
  isRetryable: (error) => refusalThatPasses(error)?.status === 429,
  askedDelayMs: (error) => askedDelay(error),
} satisfies RetryPolicy;
/**
 * What stands before Qdrant says that it does not reach it, as while it is started again. Only questions are asked again: of a change
 * nobody knows whether it was done.
 */
const proxyPolicy = {
  attempts: 7,
  firstDelayMs: 500,
  jitter: 0.5,
  isRetryable: (error) => refusalThatPasses(error) !== undefined && hasCode(error, "UNREACHABLE"),
  askedDelayMs: (error) => askedDelay(error),
} satisfies RetryPolicy;
/**
 * A kept connection may be closed by the server at the very moment it is used, and one that waits to be accepted by a server that has
 * much to do: nothing was answered, so a question is asked again.
 */
const closedPolicy = { attempts: 3, firstDelayMs: 50 };
/** Whoever asks for a longer wait than this gets an error in its place. */
const longestAskedDelayMs = 60_000;

export interface QdrantAddress {
  /** A URL each, which lead to the peers of one Qdrant. */
  readonly peers: readonly string[];
  /** Empty for a Qdrant that has none. Left out where it is not known: nothing can be asked then. */
  readonly apiKey?: string | undefined;
  /** So long an answer is waited for, where the question takes no work; else as long as it may take. */
  readonly patienceMs?: number;
}

/** So long a peer that hung is not asked what the others are asked. */
const hungForMs = 60_000;

/** What Qdrant answers at its root. */
const signSchema = z.object({ title: z.string(), version: z.string() });

/** The client library, which asks where all else asks: it would go to other places by a URL than every other tool. */
export function clientOf(
  { host, isTls, port, prefix }: ServerAddress,
  apiKey: string | undefined,
  timeoutMs: number,
): QdrantClient {
  return new QdrantClient({
    host,
    port,
    prefix,
    https: isTls,
    // Not as `apiKey`: the client would print a warning for every address without TLS.
    headers: apiKey === undefined ? {} : { "api-key": apiKey },
    timeout: timeoutMs,
    checkCompatibility: false,
  });
}

export interface Peer {
  readonly url: string;
  readonly client: QdrantClient;
  /** Whether a Qdrant has answered there; until then it may be anything else. */
  isQdrant: boolean;
  /** Moment until which it counts as down without being asked: waiting for it again would slow every step. */
  hungUntil: number;
}

export class Peers {
  readonly #apiKey: string | undefined;
  readonly #clock: Clock;
  readonly #patienceMs: number | undefined;
  readonly #peers: readonly [Peer, ...Peer[]];
  /** The date in its header, and when it came. */
  #told: { readonly date: number; readonly atMs: number } | undefined;
  /** Closed connections after which was asked again already: a question may be part of another. */
  readonly #lasting = new WeakSet<DrError>();
  /** The one that answered last is asked first: a dead host costs its time-out once. */
  #preferred = 0;

  constructor({ apiKey, patienceMs, peers }: QdrantAddress, clock: Clock) {
    this.#clock = clock;
    this.#apiKey = apiKey === undefined ? undefined : headerKey(apiKey, "the API key of Qdrant");
    this.#patienceMs = patienceMs;
    const [first, ...others] = peers.map(addressOf).map((address) => ({
      url: urlOf(address),
      hungUntil: Number.NEGATIVE_INFINITY,
      isQdrant: false,
      client: clientOf(address, this.#apiKey, patienceMs ?? requestTimeoutMs),
    }));
    if (first === undefined) throw new Error("a region has at least one peer");
    this.#peers = [first, ...others];
  }

  /** Asks the peers in turn until one answers. */
  async ask<T>(call: (peer: Peer) => Promise<T>): Promise<T> {
    const first = this.#preferred;
    let unreachable: unknown;
    for (let tried = 0; tried < this.#peers.length; tried += 1) {
      const rank = (first + tried) % this.#peers.length;
      try {
        const peer = this.#peers[rank] ?? this.#peers[0];
        await this.#recognise(peer);
        const answer = await this.call(() => call(peer), { isQuestion: true });
        this.#preferred = rank;
        return answer;
      } catch (error) {
        if (!hasCode(error, "UNREACHABLE")) throw error;
        unreachable ??= error;
      }
    }
    throw unreachable;
  }

  /** Sends what changes something, once: after a broken connection it is unknown whether it was done. */
  async change<T>(call: (client: QdrantClient, url: string) => Promise<T>): Promise<T> {
    const { client, url } = await this.ask(async (peer) => {
      if (this.#peers.length > 1) await this.getJson(peer.url, "/");
      return peer;
    });
    return this.call(() => call(client, url));
  }

  /**
   * Asks every peer at once. One that does not answer is named, and so is one that does not know yet what is asked of it;
   * when no peer answers, that is an error.
   */
  async askEvery<T>(call: (peer: Peer) => Promise<T>): Promise<{ answers: T[]; silent: string[] }> {
    const begun = this.#clock.monotonic();
    const rested = this.#peers.filter(({ hungUntil }) => hungUntil < begun);
    const asked = rested.length > 0 ? rested : this.#peers;
    const outcomes = await Promise.all(
      asked.map(async (peer) => {
        try {
          await this.#recognise(peer);
          return { peer, answer: await call(peer) };
        } catch (error) {
          if (!hasCode(error, "UNREACHABLE", "QDRANT_REFUSED", "PROXY_REFUSED", "TOO_MANY_REQUESTS")) throw error;
          const now = this.#clock.monotonic();
          if (now - begun >= signTimeoutMs) peer.hungUntil = now + hungForMs;
          return { peer, error };
        }
      }),
    );
    const answers = outcomes.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
    if (answers.length === 0) throw outcomes[0]?.error;
    const awake = outcomes.filter(({ error }) => error === undefined).map(({ peer }) => peer);
    const preferred = this.#peers[this.#preferred] ?? this.#peers[0];
    if (!awake.includes(preferred)) this.#preferred = this.#peers.findIndex((peer) => awake.includes(peer));
    const silent = this.#peers.filter((peer) => !awake.includes(peer)).map(({ url }) => url);
    return { answers, silent };
  }

  /** What the clock shows of the peer that answered last. */
  get time(): Date | undefined {
    return this.#told && new Date(this.#told.date + this.#clock.monotonic() - this.#told.atMs);
  }

  get isOne(): boolean {
    return this.#peers.length === 1;
  }

  /** Before anything else is asked of it: the client library would follow an answer that leads to another server, with the key. */
  async #recognise(peer: Peer): Promise<void> {
    if (peer.isQdrant) return;
    const sign = await this.getJson(peer.url, "/").catch((error: unknown) => {
      throw hasCode(error, "ANSWER_UNREADABLE") ? noQdrant(peer.url, error) : error;
    });
    if (!signSchema.safeParse(sign).success) throw noQdrant(peer.url);
    peer.isQdrant = true;
  }

  /** @param parse `parseExactly` where clients choose a number. */
  async getResult(
    peerUrl: string,
    path: string,
    timeoutMs?: number,
    parse?: (text: string) => unknown,
  ): Promise<unknown> {
    return readAnswer(resultSchema, await this.getJson(peerUrl, path, timeoutMs, parse), `GET ${path}`).result;
  }

  async getJson(
    peerUrl: string,
    path: string,
    timeoutMs = this.#patienceMs ?? (this.isOne ? requestTimeoutMs : signTimeoutMs),
    parse?: (text: string) => unknown,
  ): Promise<unknown> {
    const body = await this.call(() => this.#fetchText(peerUrl, path, { signal: AbortSignal.timeout(timeoutMs) }), {
      isQuestion: true,
    });
    return readJsonAnswer(z.unknown(), body, `GET ${path}`, parse);
  }

  async answersWithoutKey(peerUrl: string, path: string): Promise<boolean> {
    const answer = await fetch(requestUrl(addressOf(peerUrl), path), {
      redirect: "manual",
      signal: AbortSignal.timeout(this.#patienceMs ?? signTimeoutMs),
    });
    await answer.body?.cancel();
    return answer.ok;
  }

  /** The result of a question in which every number is sent and read as it is written, as the client library does not. */
  exactly(peerUrl: string, method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
    return this.#exactly(peerUrl, method, path, body, { isQuestion: true });
  }

  /** The same of a request that changes something: it is sent once. */
  changeExactly(peerUrl: string, method: "PATCH" | "POST" | "PUT", path: string, body: object): Promise<unknown> {
    return this.#exactly(peerUrl, method, path, body, { isQuestion: false });
  }

  /** The same of a request whose repetition changes nothing more, with a body that is JSON already. */
  changeByText(peerUrl: string, method: "POST", path: string, body: string): Promise<unknown> {
    return this.#exactly(peerUrl, method, path, body, { isQuestion: false });
  }

  async #exactly(
    peerUrl: string,
    method: "GET" | "PATCH" | "POST" | "PUT",
    path: string,
    body: object | string | undefined,
    options: CallOptions,
  ): Promise<unknown> {
    const send = () =>
      this.#fetchText(peerUrl, path, {
        method,
        headers: { "content-type": "application/json" },
        signal: AbortSignal.timeout(this.#patienceMs ?? requestTimeoutMs),
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : exactText(body) }),
      });
    const answered = await this.call(send, options);
    return readJsonAnswer(resultSchema, answered, `${method} ${path}`, parseExactly).result;
  }

  /** The same, where the answer may be too long to be held: to be read or destroyed. */
  streamExactly(peerUrl: string, path: string, body: object): Promise<IncomingMessage> {
    return this.call(
      async () => {
        const idleMs = this.#patienceMs ?? requestTimeoutMs;
        const answer = await this.stream(peerUrl, path, { body: exactText(body), idleMs });
        const { "retry-after": retryAfter, location, server } = answer.headers;
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) return answer;
        const said = await text(answer);
        if (status >= 300 && status < 400 && location !== undefined) throw leadsElsewhere(peerUrl, location);
        throw refused({
          status,
          text: said,
          what: `POST ${path}`,
          url: peerUrl,
          server: [server].flat()[0],
          retryAfter,
        });
      },
      { isQuestion: true },
    );
  }

  /** The text of an answer that says yes, from the server that was named and no other. */
  async #fetchText(peerUrl: string, path: string, request: RequestInit): Promise<string> {
    const answer = await fetch(requestUrl(addressOf(peerUrl), path), {
      ...request,
      headers: { ...this.#headers(), ...request.headers },
      redirect: "manual",
    });
    const date = Date.parse(answer.headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.#told = { date, atMs: this.#clock.monotonic() };
    const text = await answer.text();
    const location = answer.headers.get("location");
    if (answer.status >= 300 && answer.status < 400 && location !== null) throw leadsElsewhere(peerUrl, location);
    // Every Qdrant has a root.
    if (answer.status === 404 && path === "/") throw noQdrant(peerUrl);
    if (answer.ok) return text;
    const header = (name: string) => answer.headers.get(name) ?? undefined;
    const [server, retryAfter] = [header("server"), header("retry-after")];
    const what = `${request.method ?? "GET"} ${path}`;
    throw refused({ status: answer.status, text, what, url: peerUrl, server, retryAfter });
  }

  /** Requests that stream for as long as they bring bytes: the client library would buffer them. */
  async stream(
    peerUrl: string,
    path: string,
    {
      answerWithinMs,
      body = "",
      contentType = "application/json",
      idleMs,
      method = "POST",
      signal,
    }: {
      contentType?: string;
      /** The memory of what it brings may be used again when the next is asked for. */
      body?: string | AsyncIterable<Uint8Array>;
      idleMs: number;
      /** The connection is reset when no answer has begun by then. */
      answerWithinMs?: number;
      method?: "DELETE" | "GET" | "POST";
      signal?: AbortSignal | undefined;
    },
  ): Promise<IncomingMessage> {
    const url = requestUrl(addressOf(peerUrl), path);
    const { httpAgent, httpsAgent } = agentsFor({ keepAlive: false });
    const options: RequestOptions = {
      method,
      // A kept connection may be closed by the server at the very moment it is used; a stream cannot be sent twice.
      agent: url.protocol === "https:" ? httpsAgent : httpAgent,
      headers: { ...this.#headers(), "content-type": contentType },
      timeout: idleMs,
      ...(signal === undefined ? {} : { signal }),
    };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    let begun: IncomingMessage | undefined;
    request.on("timeout", () => {
      // Bytes that wait until they are read, as when what is read cannot be stored faster, are no silence of the server.
      if (begun !== undefined && begun.readableLength > 0) request.socket?.setTimeout(idleMs);
      else request.destroy(new Error(`no bytes for ${idleMs / 1000} s`));
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", (answer) => {
        begun = answer;
        resolve(answer);
      });
      request.once("error", reject);
    });
    let overdue: AnswerOverdue | undefined;
    const giveUp = () => {
      overdue = new AnswerOverdue("no answer in time");
      request.socket?.resetAndDestroy();
      request.destroy(overdue);
    };
    const timer = answerWithinMs === undefined ? undefined : setTimeout(giveUp, answerWithinMs);
    try {
      const [answer] = await Promise.all([
        answered,
        sendBody(body, request, () => begun !== undefined).catch((error: unknown) => answerOr(answered, error)),
      ]);
      return answer;
    } catch (error) {
      throw this.#translate(overdue ?? error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Uncompressed: a stream costs Qdrant a core otherwise, and a small answer comes in pieces that wait for each other. */
  #headers(): Record<string, string> {
    if (this.#apiKey === undefined) throw this.#keyUnknown();
    return { ...(this.#apiKey === "" ? {} : { "api-key": this.#apiKey }), "accept-encoding": "identity" };
  }

  #keyUnknown(): DrError {
    const [{ url }] = this.#peers;
    return new DrError("SETTING_INVALID", `the API key of the Qdrant at ${url} is not known here: \`qdrant.apiKey\``, {
      hint: "use the full `region` output of the stack: the outputs in a job's Secret leave keys out that the job does not need",
    });
  }

  /** What is thrown says what happened and what to do. */
  async call<T>(call: () => Promise<T>, { isQuestion }: CallOptions = { isQuestion: false }): Promise<T> {
    const send = async () => {
      // A kept connection that was closed while this process did something else is known to be closed then.
      await whatCameIsRead();
      return call().catch((error: unknown) => {
        throw this.#translate(error);
      });
    };
    const once = isQuestion ? () => this.#askedAgain(send) : send;
    if (this.#patienceMs !== undefined) return once();
    try {
      const limited = () => retry(this.#clock, rateLimitPolicy, once);
      // Others may answer where there are others.
      return isQuestion && this.isOne ? await retry(this.#clock, proxyPolicy, limited) : await limited();
    } catch (error) {
      const refusal = refusalThatPasses(error);
      if (refusal !== undefined) refusal.hasLasted = true;
      throw error;
    }
  }

  async #askedAgain<T>(send: () => Promise<T>): Promise<T> {
    const isRetryable = (error: unknown) => wasClosed(error) && !this.#lasting.has(error);
    try {
      return await retry(this.#clock, { ...closedPolicy, isRetryable }, send);
    } catch (error) {
      if (wasClosed(error)) this.#lasting.add(error);
      throw error;
    }
  }

  #translate(error: unknown): unknown {
    if (error instanceof DrError || !(error instanceof Error)) return error;
    const urls = this.#peers.map(({ url }) => url);
    const [url] = urls;
    if (error instanceof QdrantClientResourceExhaustedError) {
      return refused({ status: 429, text: qdrantLimit, what: "a request", url, retryAfter: "0", cause: error });
    }
    const { data, status } = error as { status?: number; data?: unknown };
    if (typeof status === "number") {
      const text = typeof data === "string" ? data : JSON.stringify(data ?? error.message);
      return refused({ status, text, what: "a request", url, cause: error });
    }
    const network = networkErrorIn(error);
    const { code } = network;
    // A time-out's code is a number, which tells nobody anything.
    const reason = typeof code === "string" ? code : network.message;
    return new DrError("UNREACHABLE", `Qdrant at ${urls.join(", ")} does not answer (${reason})`, {
      hint:
        connectionHint(network) ??
        `${portHint(urls)}check that it runs and can be reached from here; \`qdrant-dr status\` shows every region`,
      cause: error,
    });
  }
}

interface CallOptions {
  /** It changes nothing: asking again does no harm. */
  readonly isQuestion: boolean;
}

/** The client library passes on that a limit is reached, and not what Qdrant says of it. */
const qdrantLimit = '{"status":"the rate limit of a collection is reached"}';

/** Why an answer did not come that may come soon, unless it was waited for already. */
function refusalThatPasses(error: unknown): PassingRefusal | undefined {
  if (!(error instanceof DrError) || !(error.cause instanceof PassingRefusal)) return undefined;
  return error.cause.hasLasted ? undefined : error.cause;
}

function askedDelay(error: unknown): number | undefined {
  const delayMs = refusalThatPasses(error)?.retryAfterMs;
  return delayMs === undefined ? undefined : Math.min(delayMs, longestAskedDelayMs);
}

function noQdrant(url: string, cause?: unknown): DrError {
  return new DrError("UNREACHABLE", `what answers at ${url} is not a Qdrant`, {
    hint: `${portHint([url])}name the address at which Qdrant itself answers, with its port and path`,
    cause,
  });
}

function leadsElsewhere(url: string, location: string): DrError {
  const place = URL.parse(location, url)?.origin;
  return new DrError(
    "UNREACHABLE",
    `${url} leads elsewhere${place === undefined ? "" : `, to ${place}`}: not followed`,
    {
      hint: `${portHint([url])}name the address at which Qdrant itself answers, with its port and path`,
    },
  );
}

const grpcPort = 6334;

/** Of URLs that may have been meant for the port of Qdrant's REST API, and name none or that of gRPC. */
function portHint(urls: readonly string[]): string {
  const isGrpc = urls.map(addressOf).some(({ port }) => port === grpcPort);
  if (isGrpc) return `${grpcPort} is Qdrant's port for gRPC: name that of its REST API, 6333; `;
  const usual = urls.map(addressOf).find(({ isTls, port }) => port === (isTls ? 443 : 80));
  if (usual === undefined) return "";
  const { host, isTls, port } = usual;
  const scheme = isTls ? "https" : "http";
  return `${scheme} without a port is port ${port}, and Qdrant's own is 6333: name it (${scheme}://${host}:6333) if that is meant; `;
}

/** What `fetch` wraps, and `node:http` throws as it is. */
function networkErrorIn(error: Error): NodeJS.ErrnoException {
  return error.cause instanceof Error ? error.cause : error;
}

function wasClosed(error: unknown): error is DrError {
  if (!hasCode(error, "UNREACHABLE") || !(error.cause instanceof Error)) return false;
  return hasErrno(networkErrorIn(error.cause), "UND_ERR_SOCKET", "ECONNRESET");
}

/** What is copied rather than waited for. */
const smallPiece = 16 * 1024;

/**
 * Asks for the next only when the system has what came before, or a copy was taken of it: its memory may be used again. Ends early when
 * the server does not wait for the rest.
 */
async function sendBody(
  body: string | AsyncIterable<Uint8Array>,
  request: ClientRequest,
  isAnswered: () => boolean,
): Promise<void> {
  // In one piece with its length: what a server refuses by its length is not sent in pieces behind the refusal.
  if (typeof body === "string") return void request.end(body);
  let broken: Error | undefined;
  try {
    for await (const bytes of body) {
      await whatCameIsRead();
      if (isAnswered()) break;
      broken = await written(bytes, request);
      if (broken !== undefined) break;
    }
  } catch (error) {
    request.destroy(error as Error);
    throw error;
  }
  if (broken !== undefined) throw broken;
  await whatCameIsRead();
  if (!isAnswered()) request.end();
}

/** A write to a connection that the server has closed destroys it, and with it an answer that nobody has read yet. */
const whatCameIsRead = () => new Promise<void>((read) => setImmediate(read));

/** Why it was not written, if so. */
function written(bytes: string | Uint8Array, request: ClientRequest): Promise<Error | undefined> {
  const isSmall = bytes.length <= smallPiece;
  return new Promise((resolve) => {
    const end = (error?: Error | null) => {
      request.off("close", closed);
      resolve(error ?? undefined);
    };
    const closed = () => end(new Error("the connection was closed while something was sent"));
    request.once("close", closed);
    const takesMore = request.write(isSmall && typeof bytes !== "string" ? Buffer.from(bytes) : bytes, end);
    if (isSmall && takesMore) end();
  });
}

/** A server that answers early closes its side; its answer says more than the broken pipe. */
async function answerOr(answered: Promise<IncomingMessage>, error: unknown): Promise<void> {
  const answer = await Promise.race([
    answered.catch(() => undefined),
    new Promise<undefined>((done) => setImmediate(() => done(undefined))),
  ]);
  if (answer === undefined) throw error;
}
