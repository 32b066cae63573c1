/** Tries out on an object of its own what the credentials of a store can do to what is there. */
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { StoreAddress } from "../../domain/region.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { WriterRights } from "../../ports/writer-rights.ts";
import { s3ClientSettings, translateS3Error } from "./s3-store.ts";

/**
 * @param key of an object that is not there yet.
 * @throws NOT_SUPPORTED when versions are promised and not kept.
 */
export async function tryWriterRights(address: StoreAddress, key: string): Promise<WriterRights> {
  // Whoever may write to a folder may do all of it.
  if (address.kind === "file") return { replaces: true, deletes: true, destroys: true, bypassesLock: false };
  const client = new S3Client(s3ClientSettings(address));
  try {
    return await tryOn(client, address, key);
  } catch (error) {
    throw translateS3Error(error, key, address);
  } finally {
    client.destroy();
  }
}

async function tryOn(
  client: S3Client,
  address: Extract<StoreAddress, { kind: "s3" }>,
  key: string,
): Promise<WriterRights> {
  const { bucket, prefix } = address;
  const place = { Bucket: bucket, Key: prefix === undefined ? key : `${prefix}/${key}` };
  const mayDo = async (act: () => Promise<unknown>): Promise<boolean> => {
    try {
      await act();
      return true;
    } catch (error) {
      const translated = translateS3Error(error, key, address);
      // Servers refuse what is locked in several ways; what does not answer says nothing.
      if (hasCode(translated, "ACCESS_DENIED", "STORE_REFUSED")) return false;
      throw translated;
    }
  };
  const first = "the first\n";
  const { VersionId } = await client.send(new PutObjectCommand({ ...place, Body: first, IfNoneMatch: "*" }));
  const replaces = await mayDo(() => client.send(new PutObjectCommand({ ...place, Body: "the second\n" })));
  if (VersionId === undefined) {
    const deletes = await mayDo(() => client.send(new DeleteObjectCommand(place)));
    return { replaces, deletes, destroys: replaces || deletes, bypassesLock: false };
  }
  const version = { ...place, VersionId };
  let kept = first;
  const mayRead = await mayDo(async () => {
    kept = (await (await client.send(new GetObjectCommand(version))).Body?.transformToString()) ?? "";
  });
  if (mayRead && kept !== first) {
    throw new DrError("NOT_SUPPORTED", `bucket ${bucket} promises versions, and gives back other bytes for one`, {
      hint: "do not count on its versions: use a store that keeps them",
    });
  }
  const deletes = await mayDo(() => client.send(new DeleteObjectCommand(place)));
  const isUnlocked = await mayDo(() => client.send(new DeleteObjectCommand(version)));
  const bypassesLock =
    !isUnlocked &&
    (await mayDo(() => client.send(new DeleteObjectCommand({ ...version, BypassGovernanceRetention: true }))));
  return { replaces, deletes, destroys: isUnlocked || bypassesLock, bypassesLock };
}
