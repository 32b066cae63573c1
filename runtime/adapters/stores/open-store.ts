import type { StoreAddress } from "../../domain/region.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { systemClock } from "../../time/system-clock.ts";
import { FileStore } from "./file-store.ts";
import { RetryingStore } from "./retrying-store.ts";
import { S3Store, type StoreLimits } from "./s3-store.ts";

export function openStore(address: StoreAddress, limits?: StoreLimits): ObjectStore {
  if (address.kind === "file") return new FileStore(address.folder);
  return new RetryingStore(new S3Store(address, limits), systemClock, limits?.attempts);
}
