import type { StoreAddress } from "../../domain/region.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { FileStore } from "./file-store.ts";
import { S3Store, type StoreLimits } from "./s3-store.ts";

export function openStore(address: StoreAddress, limits?: StoreLimits): ObjectStore {
  return address.kind === "s3" ? new S3Store(address, limits) : new FileStore(address.folder);
}
