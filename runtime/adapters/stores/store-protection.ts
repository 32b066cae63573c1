/** Asks a bucket about its versions and its lock. */
import {
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { StoreAddress } from "../../domain/region.ts";
import type { StoreProtection } from "../../ports/store-protection.ts";
import { s3ClientSettings } from "./s3-store.ts";

const daysOfYear = 365;

export async function storeProtection(address: StoreAddress): Promise<StoreProtection> {
  if (address.kind === "file") return { keepsVersions: false, lockedDays: 0 };
  const client = new S3Client(s3ClientSettings(address));
  const Bucket = address.bucket;
  const problems: string[] = [];
  const ask = async <T>(question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      problems.push(error instanceof S3ServiceException ? error.name : "no answer");
      return undefined;
    }
  };
  try {
    const [keepsVersions, lockedDays] = await Promise.all([
      ask(async () => (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status === "Enabled"),
      ask(() => lockedDaysOf(client, Bucket)),
    ]);
    return {
      keepsVersions,
      lockedDays,
      ...(problems.length === 0 ? {} : { problem: [...new Set(problems)].join(", ") }),
    };
  } finally {
    client.destroy();
  }
}

async function lockedDaysOf(client: S3Client, Bucket: string): Promise<number> {
  try {
    const { ObjectLockConfiguration: lock } = await client.send(new GetObjectLockConfigurationCommand({ Bucket }));
    const { Days = 0, Years = 0 } = lock?.Rule?.DefaultRetention ?? {};
    return Days + Years * daysOfYear;
  } catch (error) {
    // A bucket without a lock says so by an error.
    if (error instanceof S3ServiceException && error.name === "ObjectLockConfigurationNotFoundError") return 0;
    throw error;
  }
}
