import type { Abortable, ObjectLocks, ObjectStore, ReadRequest, StoredObject } from "../ports/object-store.ts";

/** An `ObjectStore` before another one, which answers for it where it does nothing of its own. */
export class ForwardingStore implements ObjectStore {
  protected readonly store: ObjectStore;

  constructor(store: ObjectStore) {
    this.store = store;
  }

  get(key: string, request?: ReadRequest): Promise<Buffer> {
    return this.store.get(key, request);
  }

  checksumOf(key: string): Promise<string | undefined> {
    return this.store.checksumOf(key);
  }

  list(prefix: string, request?: Abortable): AsyncIterable<StoredObject> {
    return this.store.list(prefix, request);
  }

  folders(folder: string, request?: Abortable): AsyncIterable<string> {
    return this.store.folders(folder, request);
  }

  sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    return this.store.sizeOf(key, request);
  }

  create(...object: Parameters<ObjectStore["create"]>): Promise<"created" | "exists"> {
    return this.store.create(...object);
  }

  async locks(): Promise<ObjectLocks | undefined> {
    return this.store.locks?.();
  }
}
