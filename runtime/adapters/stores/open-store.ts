import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { StoreAddress } from "../../domain/region.ts";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { systemClock } from "../../time/system-clock.ts";
import { FileStore } from "./file-store.ts";
import { repetitions } from "./repetitions.ts";
import { S3Store, type StoreLimits } from "./s3-store.ts";

export function openStore(address: StoreAddress, limits: StoreLimits = {}): ObjectStore {
  if (address.kind === "file") return new FileStore(address.folder);
  return new S3Store(address, limits, repetitions(systemClock, limits));
}

/** Makes the folder of a store that is one, and the folder that it shares with another. Buckets are made by their owner. */
export async function prepareStore(address: StoreAddress): Promise<void> {
  if (address.kind !== "file") return;
  for (const folder of [dirname(address.folder), address.folder]) {
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (cause) {
      if (hasErrno(cause, "EEXIST")) continue;
      // A folder that is missing above may be a disk that is not mounted.
      const isMissing = hasErrno(cause, "ENOENT");
      throw new DrError(
        isMissing ? "UNREACHABLE" : "ACCESS_DENIED",
        `the folder ${folder} cannot be made (${(cause as NodeJS.ErrnoException).code})`,
        { hint: isMissing ? "mount its disk, or make the folder above it" : "check the rights of this account", cause },
      );
    }
  }
}
