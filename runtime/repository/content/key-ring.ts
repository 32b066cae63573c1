/** The data keys of a repository: wrapped in the control store, unwrapped in memory once each. */
import { type DataKey, newKey, parseKey, serialiseKey } from "../../domain/recovery-points/key.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { getWhole } from "../record.ts";

export class KeyRing {
  readonly #control: ObjectStore;
  readonly #wrap: KeyWrap;
  readonly #keys = new Map<string, Promise<DataKey>>();

  constructor(control: ObjectStore, wrap: KeyWrap) {
    this.#control = control;
    this.#wrap = wrap;
  }

  /** What opens keys that stand elsewhere than in the control store. */
  get wrap(): KeyWrap {
    return this.#wrap;
  }

  /** Throws OBJECT_NOT_FOUND when the key is not in this control store, KEY_UNAVAILABLE when it does not open. */
  key(id: string): Promise<DataKey> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const opened = getWhole(this.#control, controlLayout.key(id)).then((wrapped) => this.open(id, wrapped));
    this.#keys.set(id, opened);
    opened.catch(() => this.#keys.delete(id));
    return opened;
  }

  /** The key that is wrapped here; throws OBJECT_CORRUPT when it is another one than `id`. */
  async open(id: string, wrapped: Uint8Array): Promise<DataKey> {
    const key = parseKey(await this.#wrap.unwrap(wrapped));
    if (key.id === id) return key;
    throw new DrError("OBJECT_CORRUPT", `${controlLayout.key(id)} holds another key (${key.id})`, {
      hint: "run it again",
    });
  }

  /** The key with this id, made when there is none; of two makers at once, both get the first one's. */
  async obtain(id: string, purpose: DataKey["purpose"]): Promise<DataKey> {
    try {
      return await this.key(id);
    } catch (error) {
      if (!hasCode(error, "OBJECT_NOT_FOUND")) throw error;
    }
    return this.#create({ ...newKey(purpose), id });
  }

  /** A new key, readable from the store before it is used: nothing is ever sealed with a key that could be lost. */
  async make(purpose: DataKey["purpose"]): Promise<DataKey> {
    return this.#create(newKey(purpose));
  }

  async #create(key: DataKey): Promise<DataKey> {
    await this.#control.create(controlLayout.key(key.id), await this.#wrap.wrap(serialiseKey(key)));
    return this.key(key.id);
  }
}
