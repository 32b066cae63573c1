/**
 * A repository store with its stream. Replication writes a state every few seconds, and most of them are of no use an hour later:
 * they lie below `stream/`, where they are deleted without ceremony. A state of the stream may name packs and trees of the history,
 * never the other way round.
 */
import {
  contentKinds,
  contentPrefix,
  keyBelowStream,
  parseStoreKey,
  storeLayout,
} from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { Abortable, ObjectStore, ReadRequest, StoredObject } from "../../ports/object-store.ts";

/** Bounds what is remembered of where objects were found. */
const mostRemembered = 100_000;

const streamed = [storeLayout.recoveryPoints, storeLayout.sessions, ...contentKinds.map(contentPrefix)];

export class StreamStore implements ObjectStore {
  readonly #store: ObjectStore;
  /** Keys of objects that were found in the history: they are looked for there first. */
  readonly #inHistory = new Set<string>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  get(key: string, request?: ReadRequest): Promise<Buffer> {
    return this.#inItsPlace(key, (place) => this.#store.get(place, request));
  }

  checksumOf(key: string): Promise<string | undefined> {
    return this.#inItsPlace(key, (place) => this.#store.checksumOf(place));
  }

  /** Asks for the object where it is: in the stream, or in the history. */
  async #inItsPlace<Answer>(key: string, ask: (place: string) => Promise<Answer>): Promise<Answer> {
    if (!isStreamed(key)) return ask(key);
    const places = [storeLayout.inStream(key), key];
    const [first = key, second = key] = this.#inHistory.has(key) ? places.reverse() : places;
    try {
      return await ask(first);
    } catch (error) {
      if (!hasCode(error, "OBJECT_NOT_FOUND")) throw error;
    }
    const answer = await ask(second);
    if (second === key) this.#remember(key);
    return answer;
  }

  async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    const found = new Set<string>();
    if (isStreamed(prefix)) {
      for await (const object of this.#store.list(storeLayout.inStream(prefix), request)) {
        const key = keyBelowStream(object.key) ?? object.key;
        found.add(key);
        yield { ...object, key };
      }
    }
    for await (const object of this.#store.list(prefix, request)) if (!found.has(object.key)) yield object;
  }

  async *folders(folder: string, request?: Abortable): AsyncGenerator<string> {
    const found = new Set<string>();
    const places = isStreamed(folder) ? [storeLayout.inStream(folder), folder] : [folder];
    for (const place of places) {
      for await (const name of this.#store.folders(place, request)) found.add(name);
    }
    yield* found;
  }

  async sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    if (!isStreamed(key)) return this.#store.sizeOf(key, request);
    const places = [storeLayout.inStream(key), key];
    if (this.#inHistory.has(key)) places.reverse();
    for (const place of places) {
      const size = await this.#store.sizeOf(place, request);
      if (size === undefined) continue;
      if (place === key) this.#remember(key);
      return size;
    }
    return undefined;
  }

  create(...[key, ...rest]: Parameters<ObjectStore["create"]>): Promise<"created" | "exists"> {
    // A finding about a recovery point outlives the stream: it may be of the history, too.
    const isOfStream = isStreamed(key) && parseStoreKey(key)?.kind !== "attestation";
    return this.#store.create(isOfStream ? storeLayout.inStream(key) : key, ...rest);
  }

  #remember(key: string): void {
    if (this.#inHistory.size >= mostRemembered) this.#inHistory.clear();
    this.#inHistory.add(key);
  }
}

function isStreamed(key: string): boolean {
  return streamed.some((folder) => key.startsWith(folder));
}
