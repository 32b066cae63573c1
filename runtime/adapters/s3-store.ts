/** An `ObjectStore` in an S3 bucket: AWS, or any server that honours conditional writes. */
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { StoreAddress } from "../domain/region.ts";
import { DrError } from "../errors.ts";
import type { ObjectStore, StoredObject } from "../ports.ts";
import { objectNotFound, wholeRange } from "./memory-store.ts";

type S3Address = Extract<StoreAddress, { kind: "s3" }>;

export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #address: S3Address;

  constructor(address: S3Address) {
    this.#address = address;
    this.#client = new S3Client(s3ClientSettings(address));
  }

  async get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    return this.#translate(key, async () => {
      const answer = await this.#client.send(new GetObjectCommand({ Bucket: this.#address.bucket, Key: key, Range }));
      const bytes = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
      if (bytes.length !== answer.ContentLength) {
        throw new DrError("STORE_REFUSED", `${key}: ${bytes.length} of ${answer.ContentLength} bytes came`, {
          hint: "the connection broke off; run it again",
        });
      }
      return range === undefined ? bytes : wholeRange(key, bytes, range);
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
      const page = await this.#translate(prefix, () =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: this.#address.bucket, Prefix: prefix, ContinuationToken: token }),
        ),
      );
      for (const { Key, Size } of page.Contents ?? []) {
        if (Key === undefined || Size === undefined) {
          throw new DrError("STORE_REFUSED", `the listing of ${prefix} has an entry without key or size`);
        }
        yield { key: Key, size: Size };
      }
      if (page.IsTruncated && page.NextContinuationToken === undefined) {
        throw new DrError("STORE_REFUSED", `the listing of ${prefix} was cut short`, { hint: "run it again" });
      }
      token = page.NextContinuationToken;
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    return this.#translate(key, async () => {
      try {
        await this.#client.send(
          new PutObjectCommand({ Bucket: this.#address.bucket, Key: key, Body: bytes, IfNoneMatch: "*" }),
        );
        return "created";
      } catch (error) {
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 412) return "exists";
        throw error;
      }
    });
  }

  async #translate<T>(key: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw translateS3Error(error, key, this.#address);
    }
  }
}

export function s3ClientSettings(address: S3Address) {
  return {
    region: address.region,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint, forcePathStyle: true }),
    ...(address.credentials === undefined ? {} : { credentials: address.credentials }),
    // A store that accepts and then is silent must not hold up a failover for ever.
    requestHandler: { connectionTimeout: 5_000, requestTimeout: 60_000, throwOnRequestTimeout: true },
    // Servers other than AWS may refuse the trailing checksums that the SDK adds by default (aws-sdk-js-v3#6810);
    // what is stored is authenticated anyway.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  } as const;
}

export function translateS3Error(error: unknown, key: string, address: S3Address): unknown {
  if (error instanceof DrError || !(error instanceof Error)) return error;
  const where = `bucket ${address.bucket}${address.endpoint === undefined ? "" : ` at ${address.endpoint}`}`;
  if (!(error instanceof S3ServiceException)) {
    const reason = (error as NodeJS.ErrnoException).code ?? error.message;
    return new DrError("UNREACHABLE", `${where} does not answer (${reason})`, {
      hint: "check that the store runs and can be reached from here; `qdrant-dr status` shows every region",
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
          cause: error,
        },
      );
  }
}
