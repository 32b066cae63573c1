/** A pack is what its name says: the SHA-256 of its bytes. */
import { createHash } from "node:crypto";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { getWhole } from "../record.ts";

/** Throws OBJECT_CORRUPT when other bytes stand under the pack's name: an object of the right size is not yet the right one. */
export async function refuseOtherPack(store: ObjectStoreReader, id: string): Promise<void> {
  const key = storeLayout.pack(id);
  const checksum =
    (await store.checksumOf(key)) ??
    createHash("sha256")
      .update(await getWhole(store, key))
      .digest("hex");
  if (checksum === id) return;
  throw new DrError("OBJECT_CORRUPT", `${key} does not hold what its name says, and nothing is built on it`, {
    hint: "somebody put it there: see in the store's access log who, and take a full capture",
  });
}
