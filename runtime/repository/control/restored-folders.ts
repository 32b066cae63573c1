/** Which folders came back in a failover: each once. */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, readOptionalRecord } from "../record.ts";

export const restoredFolderSchema = z.object({ recoveryPoint: z.string(), at: z.string() });

export async function isFolderRestored(control: ObjectStoreReader, epoch: number, name: string): Promise<boolean> {
  const key = controlLayout.restoredFolder(epoch, name);
  return (await readOptionalRecord(control, key, restoredFolderSchema)) !== undefined;
}

export async function recordRestoredFolder(
  control: ObjectStore,
  { epoch, name, ...record }: z.infer<typeof restoredFolderSchema> & { readonly epoch: number; readonly name: string },
): Promise<void> {
  await createRecord(control, controlLayout.restoredFolder(epoch, name), restoredFolderSchema, record);
}
