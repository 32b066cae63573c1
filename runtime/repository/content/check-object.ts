import { createHash } from "node:crypto";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";

/** Throws OBJECT_CORRUPT unless these bytes are what belongs under this key of a repository. */
export async function checkObject(repository: OpenRepository, key: string, bytes: Buffer): Promise<void> {
  if (parseStoreKey(key)?.kind !== "pack") return repository.checkSealed(key, bytes);
  if (key === storeLayout.pack(createHash("sha256").update(bytes).digest("hex"))) return;
  throw new DrError("OBJECT_CORRUPT", `${key} does not hold what its name says`, {
    hint: "`qdrant-dr heal` fetches it from the other region; without one, take a full capture",
  });
}
