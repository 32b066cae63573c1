/** `embedded:index:Bucket`: a bucket with versions on a store of the estate. Removing it never removes objects. */
import {
  BucketAlreadyExists,
  BucketAlreadyOwnedByYou,
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  PutBucketVersioningCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { z } from "zod";
import { s3ClientSettings, translateS3Error } from "../../runtime/adapters/stores/s3-store.ts";
import { bucketNameSchema } from "../../runtime/domain/settings/primitives.ts";
import { hasCode } from "../../runtime/errors.ts";
import { checkInputs } from "./checked-inputs.ts";
import type { ResourceKind } from "./resource-kind.ts";

const bucketSchema = z.object({
  kind: z.literal("s3"),
  bucket: bucketNameSchema,
  region: z.string(),
  endpoint: z.url(),
  credentials: z.object({ accessKeyId: z.string(), secretAccessKey: z.string() }),
});
type Bucket = z.infer<typeof bucketSchema>;

/** Of a store that has run for a while, or is dead. */
const readAttempts = 3;

export const bucketKind: ResourceKind = {
  check: (inputs) => checkInputs(bucketSchema, inputs),
  async diff(olds, news) {
    const replaces = ["bucket", "endpoint"].filter((property) => olds[property] !== news[property]);
    const old = JSON.stringify(olds["credentials"]);
    return {
      changes: replaces.length > 0 || old !== JSON.stringify(news["credentials"]) || !olds["isVersioned"],
      replaces,
    };
  },
  async apply(inputs) {
    const bucket = bucketSchema.parse(inputs);
    await send(bucket, async (client) => {
      try {
        await client.send(new CreateBucketCommand({ Bucket: bucket.bucket }));
      } catch (error) {
        if (!(error instanceof BucketAlreadyOwnedByYou || error instanceof BucketAlreadyExists)) throw error;
      }
      await client.send(
        new PutBucketVersioningCommand({ Bucket: bucket.bucket, VersioningConfiguration: { Status: "Enabled" } }),
      );
    });
    return { id: bucket.bucket, facts: { isVersioned: await isVersioned(bucket) } };
  },
  async read(properties) {
    const bucket = bucketSchema.parse(properties);
    try {
      return await send(
        bucket,
        async (client) => {
          try {
            await client.send(new HeadBucketCommand({ Bucket: bucket.bucket }));
          } catch (error) {
            if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return undefined;
            throw error;
          }
          return { isVersioned: await isVersioned(bucket) };
        },
        readAttempts,
      );
    } catch (error) {
      // Of a store that is dead nothing is known but that it was declared: the next `up` starts it, and looks again.
      if (hasCode(error, "UNREACHABLE")) return { isVersioned: false };
      throw error;
    }
  },
  async remove(properties) {
    const bucket = bucketSchema.parse(properties);
    await send(bucket, (client) => client.send(new DeleteBucketCommand({ Bucket: bucket.bucket })));
  },
};

async function isVersioned(bucket: Bucket): Promise<boolean> {
  return send(bucket, async (client) => {
    const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: bucket.bucket }));
    return Status === "Enabled";
  });
}

async function send<T>(
  bucket: Bucket,
  act: (client: S3Client) => Promise<T>,
  // A store that has just started answers 500 for a moment.
  maxAttempts = 8,
): Promise<T> {
  const client = new S3Client({ ...s3ClientSettings(bucket), maxAttempts });
  try {
    return await act(client);
  } catch (error) {
    throw translateS3Error(error, bucket.bucket, bucket);
  } finally {
    client.destroy();
  }
}
