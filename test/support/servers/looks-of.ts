import type { ObjectStoreReader } from "../../../runtime/ports/object-store.ts";

/** The questions of a store that neither read nor list objects: for stores of tests that change how those go. */
export function looksOf(store: ObjectStoreReader): Pick<ObjectStoreReader, "checksumOf" | "folders" | "sizeOf"> {
  return {
    checksumOf: (key) => store.checksumOf(key),
    folders: (folder, request) => store.folders(folder, request),
    sizeOf: (key, request) => store.sizeOf(key, request),
  };
}
