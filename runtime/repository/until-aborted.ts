/** Reads of a store that end with a signal: every request is given it, and none begins after it. */
import type { ObjectStoreReader } from "../ports/object-store.ts";

export function untilAborted(store: ObjectStoreReader, signal: AbortSignal): ObjectStoreReader {
  return {
    get: async (key, request) => {
      signal.throwIfAborted();
      return store.get(key, { ...request, signal });
    },
    checksumOf: (key) => store.checksumOf(key),
    list: (prefix) => store.list(prefix, { signal }),
    folders: (folder) => store.folders(folder, { signal }),
    sizeOf: async (key) => {
      signal.throwIfAborted();
      return store.sizeOf(key, { signal });
    },
  };
}
