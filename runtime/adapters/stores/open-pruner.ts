import type { StoreAddress } from "../../domain/region.ts";
import type { PrunableStore } from "../../ports/prunable-store.ts";
import { FilePruner } from "./file-pruner.ts";
import { S3Pruner } from "./s3-pruner.ts";

export function openPruner(address: StoreAddress): PrunableStore {
  return address.kind === "file" ? new FilePruner(address.folder) : new S3Pruner(address);
}
