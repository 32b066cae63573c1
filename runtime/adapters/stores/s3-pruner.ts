/**
 * Deletes objects of a bucket. In a bucket that keeps versions a plain delete only hides an object: there all versions are deleted,
 * and one that is locked stays, whole and visible.
 */
import {
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  type ObjectIdentifier,
  S3Client,
  type _Error as S3Failure,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { StoreAddress } from "../../domain/region.ts";
import { DrError } from "../../errors.ts";
import type { LockedObject, PrunableStore } from "../../ports/prunable-store.ts";
import { s3ClientSettings, translateS3Error } from "./s3-store.ts";

type S3Address = Extract<StoreAddress, { kind: "s3" }>;

/** What S3 takes in one request. */
const mostAtOnce = 1_000;
const versionsReadAtOnce = 8;

export class S3Pruner implements PrunableStore {
  readonly #address: S3Address;
  readonly #client: S3Client;
  /** Empty, or it ends with a slash: what the bucket calls a key begins with it. */
  readonly #prefix: string;
  #isVersioned: Promise<boolean> | undefined;

  constructor(address: S3Address) {
    this.#address = address;
    this.#prefix = address.prefix === undefined ? "" : `${address.prefix}/`;
    this.#client = new S3Client(s3ClientSettings(address));
  }

  async delete(keys: readonly string[]): Promise<readonly LockedObject[]> {
    const [first] = keys;
    if (first === undefined) return [];
    return this.#translate(first, async () => {
      const named = keys.map((key) => this.#prefix + key);
      const identifiers = (await this.#keepsVersions()) ? await this.#versionsOf(named) : named.map((Key) => ({ Key }));
      const failed = new Map<string, S3Failure>();
      for (let start = 0; start < identifiers.length; start += mostAtOnce) {
        for (const failure of await this.#deleteSome(identifiers.slice(start, start + mostAtOnce))) {
          if (failure.Key !== undefined) failed.set(failure.Key, failure);
        }
      }
      return this.#lockedOf(failed);
    });
  }

  async #deleteSome(Objects: ObjectIdentifier[]): Promise<readonly S3Failure[]> {
    const Bucket = this.#address.bucket;
    const { Errors = [] } = await this.#client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true }, ChecksumAlgorithm: "CRC32" }),
    );
    return Errors.filter(({ Code }) => Code !== "NoSuchKey" && Code !== "NoSuchVersion");
  }

  /** What was refused is locked, or this has no right to delete; which of both, the lock itself says. */
  async #lockedOf(failed: ReadonlyMap<string, S3Failure>): Promise<readonly LockedObject[]> {
    const locked: LockedObject[] = [];
    for (const [key, failure] of failed) {
      const until = await this.#lockedUntil(key, failure.VersionId);
      if (until === undefined) throw this.#refused(key, failure);
      locked.push({ key: key.slice(this.#prefix.length), reason: until });
    }
    return locked;
  }

  async #lockedUntil(Key: string, VersionId: string | undefined): Promise<string | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#address.bucket, Key, VersionId });
    const head = await this.#client.send(command);
    if (head.ObjectLockLegalHoldStatus === "ON") return "a legal hold is on it";
    const until = head.ObjectLockRetainUntilDate;
    return until === undefined || until <= new Date() ? undefined : `it is locked until ${until.toISOString()}`;
  }

  #refused(key: string, { Code, Message }: S3Failure): DrError {
    const { bucket } = this.#address;
    if (Code === "AccessDenied") {
      return new DrError("ACCESS_DENIED", `bucket ${bucket} refuses to delete ${key} (${Message ?? Code})`, {
        hint: "prune needs s3:DeleteObject, and s3:DeleteObjectVersion where versions are kept, under the repository's prefixes",
      });
    }
    return new DrError("STORE_REFUSED", `bucket ${bucket} did not delete ${key} (${Code ?? "no code"}: ${Message})`, {
      hint: "run it again; what was deleted stays so, and what was not is deleted then",
    });
  }

  /** Every version of the keys, markers of earlier deletes included. */
  async #versionsOf(keys: readonly string[]): Promise<ObjectIdentifier[]> {
    const versions: ObjectIdentifier[] = [];
    await forEachConcurrently(versionsReadAtOnce, [...keys], async (key) => {
      let marker: { readonly KeyMarker?: string | undefined; readonly VersionIdMarker?: string | undefined } = {};
      for (let isLast = false; !isLast; ) {
        const page = await this.#client.send(
          new ListObjectVersionsCommand({ Bucket: this.#address.bucket, Prefix: key, ...marker }),
        );
        for (const { Key, VersionId } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
          if (Key === key) versions.push({ Key, VersionId });
        }
        isLast = page.IsTruncated !== true;
        marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
      }
    });
    return versions;
  }

  /** Where the store does not tell, or this may not ask: as if it kept none. Then a delete hides an object, and loses nothing. */
  #keepsVersions(): Promise<boolean> {
    this.#isVersioned ??= this.#client
      .send(new GetBucketVersioningCommand({ Bucket: this.#address.bucket }))
      .then(({ Status }) => Status !== undefined)
      .catch((error: unknown) => {
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode !== undefined) return false;
        throw error;
      });
    return this.#isVersioned;
  }

  async #translate<T>(key: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw translateS3Error(error, key, this.#address);
    }
  }
}
