import { S3Store } from "../runtime/adapters/stores/s3-store.ts";
import type { StoreAddress } from "../runtime/domain/region.ts";
import type { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";

export type S3Address = Extract<StoreAddress, { kind: "s3" }>;

/** Bytes of all objects under a prefix, asked of the store itself. */
export async function bytesIn(address: S3Address, prefix = ""): Promise<number> {
  let bytes = 0;
  for await (const { size } of new S3Store(address).list(prefix)) bytes += size;
  return bytes;
}

/** Options of curl that let it put to this server, without hashing what it sends. */
export function curlCredentials({ credentials }: SeaweedServer): string {
  const user = `${credentials.accessKeyId}:${credentials.secretAccessKey}`;
  return `--aws-sigv4 aws:amz:us-east-1:s3 --user '${user}' -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'`;
}
