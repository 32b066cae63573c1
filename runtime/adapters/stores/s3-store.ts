/**
 * An `ObjectStore` in an S3 bucket: AWS, or any server that honours conditional writes. The client library repeats a request that
 * met no answer, with its own delays; what it cannot repeat, and a store that is busy for longer, is left to `repetitions`.
 */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  type ObjectLockRetentionMode,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectRetentionCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { z } from "zod";
import type { StoreAddress } from "../../domain/region.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Abortable, ObjectLocks, ObjectStore, ReadRequest, StoredObject } from "../../ports/object-store.ts";
import { connectionHint } from "../connection-hint.ts";
import { type GivenAnswer, isHtml, refusedByProxy } from "../in-its-place.ts";
import { agentsFor } from "../proxies.ts";
import { objectNotFound, rangeOf, refuseIfLarger, wholeRange } from "./ranges.ts";
import type { Repeat } from "./repetitions.ts";
import { WorthRepeating } from "./worth-repeating.ts";

/** As often as the client library tries by itself. */
const usualAttempts = 3;
const usualIdleMs = 30_000;

/** Less than this much is answered at once, or not at all. */
const smallUpload = 256 * 1024;
/**
 * A part of an upload waits in buffers of the system and of what stands between, and nothing is seen to move while it drains. At
 * this speed the line is slow, and no slower one counts as alive: 100 kB/s that four uploads share.
 */
const slowestBytesPerSecond = 25_000;
/** Bytes of a pack with its directory; what is larger moves visibly. */
const largestBuffered = 10 * 1024 * 1024;

/** Of 1,000 versions each. */
const mostVersionPages = 10;
const mostVersionsRead = 8;
const noVersion = ["ACCESS_DENIED", "STORE_REFUSED", "OBJECT_NOT_FOUND", "OBJECT_CORRUPT"] as const;

const rawAnswerSchema = z.object({
  statusCode: z.number(),
  headers: z.record(z.string(), z.string()),
  body: z.unknown(),
});

type S3Address = Extract<StoreAddress, { kind: "s3" }>;

export interface StoreLimits {
  /** A connection that brings and takes nothing for so long is given up. */
  readonly idleMs?: number;
  /** How often in all a request is sent that meets no answer, or half of one. */
  readonly attempts?: number;
  /** How long a store that says that it is busy is asked again. */
  readonly busyMs?: number;
}

export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  /** The same with the patience that an upload takes. */
  readonly #uploads: S3Client;
  readonly #address: S3Address;
  /** Empty, or it ends with a slash. */
  readonly #prefix: string;
  readonly #repeat: Repeat;
  #lockRule: Promise<LockRule | undefined> | undefined;

  /** @param repeat makes a request, and makes it again where that is worth it; once only when left out. */
  constructor(address: S3Address, limits: StoreLimits = {}, repeat: Repeat = (act) => act()) {
    this.#address = address;
    this.#prefix = address.prefix === undefined ? "" : `${address.prefix}/`;
    this.#client = new S3Client(s3ClientSettings(address, limits));
    this.#uploads = new S3Client(s3ClientSettings(address, limitsOfUploads(limits)));
    this.#repeat = repeat;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    const range = rangeOf(request);
    const { mostBytes, signal } = request;
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    // The checksum that `create` left is of the whole object.
    const whole = range === undefined ? ({ ChecksumMode: "ENABLED" } as const) : {};
    const command = { ...this.#place(key), Range, ...whole };
    return this.#translate(
      key,
      async () => {
        const options = signal === undefined ? {} : { abortSignal: signal };
        const answer = await this.#client.send(new GetObjectCommand(command), options);
        // A server that does not know ranges may answer with all of it.
        const bytes = await readBody(key, answer, range?.length ?? mostBytes);
        if (range !== undefined) return wholeRange(key, bytes, range);
        // Nothing with a good status: what stands before the store answers so, too.
        const isLost = bytes.length === 0 && (await this.sizeOf(key, { signal })) !== 0;
        if (isLost) throw brokenOff(key, "an empty answer");
        return bytes;
      },
      signal,
    );
  }

  async checksumOf(key: string): Promise<string | undefined> {
    const command = { ...this.#place(key), ChecksumMode: "ENABLED" } as const;
    return this.#translate(key, async () => {
      const { ChecksumSHA256: sum } = await this.#client.send(new HeadObjectCommand(command));
      return sum === undefined ? undefined : Buffer.from(sum, "base64").toString("hex");
    });
  }

  async *list(prefix: string, { signal }: Abortable = {}): AsyncGenerator<StoredObject> {
    const wanted = this.#prefix + prefix;
    for await (const page of this.#pages(prefix, {}, signal)) {
      for (const { Key, LastModified, Size } of page.Contents ?? []) {
        if (Key === undefined || Size === undefined) {
          throw new DrError("STORE_REFUSED", `the listing of ${prefix} has an entry without key or size`);
        }
        if (!Key.startsWith(wanted)) {
          throw new DrError("STORE_REFUSED", `the listing of ${wanted} has an entry of another place`);
        }
        yield { key: Key.slice(this.#prefix.length), size: Size, storedAt: LastModified };
      }
    }
  }

  async *folders(folder: string, { signal }: Abortable = {}): AsyncGenerator<string> {
    const wanted = this.#prefix + folder;
    for await (const page of this.#pages(folder, { Delimiter: "/" }, signal)) {
      for (const { Prefix = "" } of page.CommonPrefixes ?? []) {
        if (!Prefix.startsWith(wanted) || !Prefix.endsWith("/")) {
          throw new DrError("STORE_REFUSED", `the listing of ${wanted} has an entry of another place`);
        }
        yield Prefix.slice(wanted.length, -1);
      }
    }
  }

  async sizeOf(key: string, { signal }: Abortable = {}): Promise<number | undefined> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    const found = await this.#translate(
      key,
      () => unlessNotFound(this.#client.send(new HeadObjectCommand(this.#place(key)), options)),
      signal,
    );
    if (found?.ContentLength !== undefined && found.ContentLength > 0) return found.ContentLength;
    // An answer without a body says little: what broke off, and what stands before the store, answer so too. A listing says that it is one.
    for await (const object of this.list(key, { signal })) if (object.key === key) return object.size;
    return undefined;
  }

  /** Nothing where versions are not shown to this key. */
  async *formerly(key: string, { mostBytes = Number.POSITIVE_INFINITY, signal }: ReadRequest = {}) {
    const options = signal === undefined ? {} : { abortSignal: signal };
    for (const VersionId of await this.#oldestVersions(key, mostBytes, signal)) {
      const read = async () => {
        const answer = await this.#client.send(new GetObjectCommand({ ...this.#place(key), VersionId }), options);
        return readBody(key, answer, mostBytes);
      };
      try {
        yield await this.#translate(key, read, signal);
      } catch (error) {
        // One that may not be read, went meanwhile or is no whole object hides neither the others nor what stands behind.
        if (!hasCode(error, ...noVersion)) throw error;
      }
    }
  }

  /** Ids of the oldest versions of an object, without the present one. Stores list them newest first. */
  async #oldestVersions(key: string, mostBytes: number, signal: AbortSignal | undefined): Promise<string[]> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    const { Bucket, Key } = this.#place(key);
    let oldest: string[] = [];
    let next: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {};
    try {
      for (let page = 0; page < mostVersionPages; page += 1) {
        const command = new ListObjectVersionsCommand({ Bucket, Prefix: Key, ...next });
        const listed = await this.#translate(key, () => this.#client.send(command, options), signal);
        const versions = (listed.Versions ?? []).filter((version) => version.Key === Key && version.IsLatest !== true);
        const small = versions.filter(({ Size = 0 }) => Size <= mostBytes);
        oldest = [...oldest, ...small.flatMap(({ VersionId }) => VersionId ?? [])].slice(-mostVersionsRead);
        const isPast = (listed.NextKeyMarker ?? "") !== Key;
        if (listed.IsTruncated !== true || isPast) break;
        next = { KeyMarker: listed.NextKeyMarker, VersionIdMarker: listed.NextVersionIdMarker };
      }
    } catch (error) {
      // Most stores keep none, and a key that may not see them is no fault.
      if (!hasCode(error, ...noVersion)) throw error;
    }
    return oldest.reverse();
  }

  async *#pages(
    prefix: string,
    how: { readonly Delimiter?: string },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ListObjectsV2CommandOutput> {
    const asked = { Bucket: this.#address.bucket, Prefix: this.#prefix + prefix, ...how };
    for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
      const page = await this.#translate(
        prefix,
        () =>
          this.#client.send(
            new ListObjectsV2Command({ ...asked, ContinuationToken: token }),
            signal === undefined ? {} : { abortSignal: signal },
          ),
        signal,
      );
      // Any answer without entries would be an empty listing: this one has to say that it is one.
      if (page.IsTruncated === undefined || (page.Prefix ?? "") !== asked.Prefix) {
        throw new DrError("STORE_REFUSED", `the answer is no listing of ${prefix}`, { hint: "run it again" });
      }
      yield page;
      if (page.IsTruncated && page.NextContinuationToken === undefined) {
        throw new DrError("STORE_REFUSED", `the listing of ${prefix} was cut short`, { hint: "run it again" });
      }
      token = page.NextContinuationToken;
    }
  }

  async create(
    key: string,
    bytes: Uint8Array,
    sha256 = sha256Of(bytes),
    lockedUntil?: Date,
  ): Promise<"created" | "exists"> {
    const rule = lockedUntil === undefined ? undefined : await this.#askLockRule();
    const lock = rule && { ObjectLockMode: rule.mode, ObjectLockRetainUntilDate: lockedUntil };
    return this.#translate(key, async () => {
      const answer = await this.#put(key, bytes, sha256, lock);
      await this.#confirm(key, answer, bytes.length);
      return answer;
    });
  }

  async locks(): Promise<ObjectLocks | undefined> {
    const rule = await this.#askLockRule();
    if (rule === undefined) return undefined;
    return {
      locksByItself: rule.locksByItself,
      lockedUntil: (key) =>
        this.#translate(key, async () => {
          const head = await this.#client.send(new HeadObjectCommand(this.#place(key)));
          return head.ObjectLockRetainUntilDate;
        }),
      extend: (key, until) =>
        this.#translate(key, async () => {
          const Retention = { Mode: rule.mode, RetainUntilDate: until };
          await this.#client.send(new PutObjectRetentionCommand({ ...this.#place(key), Retention }));
        }),
    };
  }

  #askLockRule(): Promise<LockRule | undefined> {
    return this.#translate("the lock of the bucket", async () => {
      this.#lockRule ??= readLockRule(this.#client, this.#address.bucket);
      try {
        return await this.#lockRule;
      } catch (error) {
        // What did not answer is asked again.
        this.#lockRule = undefined;
        throw error;
      }
    });
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    sha256: string,
    lock: Pick<PutObjectCommandInput, "ObjectLockMode" | "ObjectLockRetainUntilDate"> | undefined,
  ): Promise<"created" | "exists"> {
    const input = {
      ...this.#place(key),
      ...lock,
      Body: bytes,
      IfNoneMatch: "*",
      // Not every server compares the body with the signature; this they do, and keep it: `checksumOf` asks for it.
      ChecksumSHA256: Buffer.from(sha256, "hex").toString("base64"),
    };
    try {
      const command = new PutObjectCommand(input);
      signWith(command, sha256);
      await (bytes.length < smallUpload ? this.#client : this.#uploads).send(command);
      return "created";
    } catch (error) {
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status === 412) return "exists";
      if (status === 409) throw creatorsMet(key, error);
      if (status === 501) throw noConditionalWrites(this.#address, error);
      throw error;
    }
  }

  /** Servers, and what stands before them, have been seen to acknowledge what they did not keep. */
  async #confirm(key: string, answer: "created" | "exists", size: number): Promise<void> {
    const found = await unlessNotFound(this.#client.send(new HeadObjectCommand(this.#place(key))));
    if (found !== undefined && (answer === "exists" || found.ContentLength === size)) return;
    const what = found === undefined ? "it is not there" : `it has ${found.ContentLength} of ${size} bytes`;
    throw new DrError(
      "STORE_REFUSED",
      `the store said that ${key} ${answer === "exists" ? "exists" : "is stored"}, and ${what}`,
      {
        hint: "run it again; if it stays, the store or a proxy before it acknowledges objects that it does not keep: check both",
      },
    );
  }

  #place(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#address.bucket, Key: this.#prefix + key };
  }

  #translate<T>(key: string, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#repeat(async () => {
      signal?.throwIfAborted();
      try {
        return await call();
      } catch (error) {
        // Whatever the client makes of it.
        signal?.throwIfAborted();
        throw translateS3Error(error, key, this.#address);
      }
    });
  }
}

interface LockRule {
  readonly mode: ObjectLockRetentionMode;
  /** Objects that are stored without a lock get one. */
  readonly locksByItself: boolean;
}

/**
 * How single objects are locked: in the mode that the bucket's own lock has, and in compliance mode where it has none, so that nobody makes
 * a lock shorter, whatever rights he has. Undefined for a bucket without locks, which says so by an error, and for one that tells this key nothing.
 */
async function readLockRule(client: S3Client, Bucket: string): Promise<LockRule | undefined> {
  try {
    const { ObjectLockConfiguration: lock } = await client.send(new GetObjectLockConfigurationCommand({ Bucket }));
    if (lock?.ObjectLockEnabled !== "Enabled") return undefined;
    const own = lock.Rule?.DefaultRetention;
    return { mode: own?.Mode ?? "COMPLIANCE", locksByItself: own !== undefined };
  } catch (error) {
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
    if (status === 501 || (status !== undefined && status >= 400 && status < 500 && status !== 429)) return undefined;
    throw error;
  }
}

async function unlessNotFound<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    const isMissing = error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;
    // A missing bucket is no missing object: a HEAD does not tell which, and a listing does.
    if (isMissing && error.name !== "NoSuchBucket") return undefined;
    throw error;
  }
}

/** Into memory of its own, of the size that was announced: the client's collector copies what came once more. */
async function readBody(
  key: string,
  { Body, ContentLength = 0 }: GetObjectCommandOutput,
  mostBytes: number | undefined,
): Promise<Buffer> {
  const body = (Body ?? Readable.from([])) as Readable;
  try {
    refuseIfLarger(key, ContentLength, mostBytes);
  } catch (error) {
    // Bytes that nobody wants would keep the connection, and nobody would hear how it ends.
    body.once("error", () => undefined).destroy();
    throw error;
  }
  const bytes = Buffer.allocUnsafeSlow(ContentLength);
  let end = 0;
  try {
    for await (const part of body as AsyncIterable<Uint8Array>) {
      if (end + part.length <= ContentLength) bytes.set(part, end);
      end += part.length;
    }
  } catch (cause) {
    throw brokenOff(key, (cause as Error).message, cause);
  }
  if (end !== ContentLength) throw brokenOff(key, `${end} of ${ContentLength} bytes`);
  return bytes;
}

function brokenOff(key: string, reason: string, cause?: unknown): DrError {
  return new DrError("STORE_REFUSED", `${key} did not come whole (${reason})`, {
    hint: "run it again; if it stays, check the network and proxies between here and the store: a connection broke off or changed bytes",
    cause: new WorthRepeating("the answer's body broke off", { cause }),
  });
}

/** S3 asks both to try again. */
function creatorsMet(key: string, cause: unknown): DrError {
  return new DrError("STORE_REFUSED", `others create ${key} at the same time`, {
    hint: "run it again; what was stored stays",
    cause: new WorthRepeating("two creators met", { cause }),
  });
}

function noConditionalWrites({ bucket, endpoint }: S3Address, cause: unknown): DrError {
  return new DrError(
    "NOT_SUPPORTED",
    `the store of bucket ${bucket}${endpoint === undefined ? "" : ` at ${endpoint}`} takes no conditional writes (If-None-Match)`,
    {
      hint: "use a store that does: two runs would overwrite each other's objects in this one",
      cause,
    },
  );
}

function limitsOfUploads({ idleMs = usualIdleMs, ...limits }: StoreLimits): StoreLimits {
  return { ...limits, idleMs: idleMs + (1000 * largestBuffered) / slowestBytesPerSecond };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The signature covers this hash of the body instead of one that is computed again (Signature Version 4, `x-amz-content-sha256`). */
function signWith(command: PutObjectCommand, sha256: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = sha256;
      return next(args);
    },
    { step: "build", name: "knownBodyHash" },
  );
}

export function s3ClientSettings(
  address: S3Address,
  { attempts: maxAttempts = usualAttempts, idleMs = usualIdleMs }: StoreLimits = {},
) {
  return {
    ...regionOf(address),
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint, forcePathStyle: true }),
    ...(address.credentials === undefined ? {} : { credentials: address.credentials }),
    // A store that accepts and then is silent must not hold up a failover for ever.
    // Silence counts, not the time of the whole: a pack may take minutes on a slow line.
    maxAttempts,
    requestHandler: {
      connectionTimeout: Math.min(5_000, idleMs),
      socketTimeout: idleMs,
      // As many connections as the library takes by itself.
      ...agentsFor({ keepAlive: true, maxSockets: 50 }),
    },
    // Servers other than AWS may refuse the trailing checksums that the SDK adds by default (aws-sdk-js-v3#6810).
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  } as const;
}

export function translateS3Error(error: unknown, key: string, address: S3Address): unknown {
  if (error instanceof DrError || !(error instanceof Error)) return error;
  const below = address.prefix === undefined ? "" : `/${address.prefix}`;
  const where = `bucket ${address.bucket}${below}${address.endpoint === undefined ? "" : ` at ${address.endpoint}`}`;
  const missing = translateMissing(error, where);
  if (missing !== undefined) return missing;
  const inItsPlace = answerOfProxy(error);
  if (inItsPlace !== undefined) return refusedByProxy(where, key, inItsPlace);
  if (!(error instanceof S3ServiceException)) {
    const reason = (error as NodeJS.ErrnoException).code ?? error.message;
    return new DrError("UNREACHABLE", `${where} does not answer (${reason})`, {
      hint:
        connectionHint(error) ??
        "check that the store runs and can be reached from here; `qdrant-dr status` shows every region",
      cause: error,
    });
  }
  switch (error.$metadata.httpStatusCode) {
    case 401:
    case 403:
      return new DrError("ACCESS_DENIED", `${where} refuses access to ${key} (${error.name})`, {
        hint: "check the credentials and the bucket's policy",
        cause: error,
      });
    case 404:
      return error.name === "NoSuchBucket"
        ? new DrError("UNREACHABLE", `there is no ${where}`, {
            hint: "check the name, or run `pulumi up`",
            cause: error,
          })
        : objectNotFound(key, error);
    case 416:
      return new DrError("OBJECT_CORRUPT", `${key} is shorter than the range that is asked of it`, { cause: error });
    default:
      return new DrError(
        "STORE_REFUSED",
        `${where} answered ${error.name} (${error.$metadata.httpStatusCode ?? "no status"}) for ${key}`,
        {
          hint: "run it again; what was stored stays",
          cause: isBusy(error) ? new WorthRepeating("the store is busy", { cause: error }, "busy") : error,
        },
      );
  }
}

/** Without a region the client library asks the environment and the profile, and knows one variable of the two that are in use. */
function regionOf({ endpoint, region = process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] }: S3Address): {
  region?: string;
} {
  if (region !== undefined) return { region };
  // Other servers than AWS's take any; this one is what they call their own.
  return endpoint === undefined ? {} : { region: "us-east-1" };
}

/** What the client library finds neither in the settings nor around this process. */
function translateMissing(error: Error, where: string): DrError | undefined {
  if (error.message === "Region is missing") {
    return new DrError("SETTING_INVALID", `the region of ${where} is not known`, {
      hint: "set s3.region in the settings file, or AWS_REGION",
      cause: error,
    });
  }
  if (!/^(CredentialsProviderError|TokenProviderError|ProviderError)$/.test(error.name)) return undefined;
  return new DrError("ACCESS_DENIED", `no credentials for ${where} are found (${error.message})`, {
    hint: "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine, or s3.credentials in the settings file",
    cause: error,
  });
}

/** S3 says so with 503 SlowDown, what stands before it with other numbers. */
function isBusy({ $metadata: { httpStatusCode: status = 0 } }: S3ServiceException): boolean {
  return status === 429 || (status >= 500 && status !== 501);
}

/** A page in the place of a store's XML: the library cannot read it, and keeps what it was given. */
function answerOfProxy(error: Error): GivenAnswer | undefined {
  const response: unknown = (error as { $response?: unknown }).$response;
  const { success, data } = rawAnswerSchema.safeParse(response);
  if (!success) return undefined;
  const { body, headers, statusCode: status } = data;
  const server = headers["server"];
  const text = typeof body === "string" ? body : "";
  const isPage = headers["content-type"]?.includes("html") === true || isHtml(text);
  if (!isPage) return undefined;
  return { status, text, server, retryAfter: headers["retry-after"], cause: error };
}
