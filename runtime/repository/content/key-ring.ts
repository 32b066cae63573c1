/** The data keys of a repository: wrapped in the control store, unwrapped in memory once each. */
import { type DataKey, isSameKey, newKey, parseKey, serialiseKey } from "../../domain/recovery-points/key.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { getWhole, unlessMissing, unlessNotBelieved } from "../record.ts";

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
    const opened = this.#find(id);
    this.#keys.set(id, opened);
    opened.catch(() => this.#keys.delete(id));
    return opened;
  }

  /** As it was wrapped first or, for who does not open that, as an operator wrapped it again for the holders of today. */
  async #find(id: string): Promise<DataKey> {
    try {
      return await this.#open(id, await getWhole(this.#control, controlLayout.key(id)));
    } catch (error) {
      if (!hasCode(error, "KEY_UNAVAILABLE") && !hasCode(error, "NOT_AUTHENTIC")) throw error;
      const again = await unlessMissing(getWhole(this.#control, controlLayout.keyFor(id, this.#wrap.holders)));
      if (again === undefined) throw error;
      return this.#open(id, again);
    }
  }

  /** The key that is wrapped here; throws OBJECT_CORRUPT when it is another one than `id`. */
  async #open(id: string, wrapped: Uint8Array): Promise<DataKey> {
    const key = readKey(id, await this.#wrap.unwrap(wrapped));
    if (key.id === id) return key;
    throw new DrError("OBJECT_CORRUPT", `${controlLayout.key(id)} holds another key (${key.id})`, {
      hint: "run it again",
    });
  }

  /** The key with this id, made when there is none; of two makers at once, both get the first one's. */
  async obtain(id: string, purpose: DataKey["purpose"], under: string): Promise<DataKey> {
    return (await unlessMissing(this.key(id))) ?? this.#create({ ...newKey(purpose), id, under });
  }

  /** Brings a key of another region, wrapped for the holders here. What does not open here must not take its place: it could never be replaced. */
  async adopt(key: DataKey): Promise<void> {
    const kept = (await unlessMissing(this.key(key.id))) ?? (await this.#create(key));
    if (isSameKey(kept, key)) return;
    throw new DrError("OBJECT_CORRUPT", `${controlLayout.key(key.id)} holds another key than the other region's`, {
      hint: "find out who created it; use stores of their own for this region",
    });
  }

  /** Whether it is wrapped for the holders of today, first or again. */
  async isWrappedForHolders(key: DataKey): Promise<boolean> {
    const { holders } = this.#wrap;
    if (key.holders === holders) return true;
    const again = unlessMissing(getWhole(this.#control, controlLayout.keyFor(key.id, holders)));
    const found = await unlessNotBelieved(again);
    return found !== undefined && found !== "not believed";
  }

  /** Wraps a key again for the holders of today, who open it from then on. */
  async wrapAgain(id: string): Promise<"created" | "exists"> {
    return this.#control.create(controlLayout.keyFor(id, this.#wrap.holders), await this.#wrapped(await this.key(id)));
  }

  /** A new key, readable from the store before it is used: nothing is ever sealed with a key that could be lost. */
  async make(purpose: DataKey["purpose"]): Promise<DataKey> {
    return this.#create(newKey(purpose));
  }

  async #create(key: DataKey): Promise<DataKey> {
    await this.#control.create(controlLayout.key(key.id), await this.#wrapped(key));
    return this.key(key.id);
  }

  #wrapped(key: DataKey): Promise<Uint8Array> {
    return this.#wrap.wrap(serialiseKey({ ...key, holders: this.#wrap.holders }));
  }
}

function readKey(id: string, text: string): DataKey {
  try {
    return parseKey(text);
  } catch (cause) {
    // Not its text, which a message could show.
    throw new DrError("OBJECT_CORRUPT", `${controlLayout.key(id)} holds no data key`, {
      hint: "find out who created it; the other region's control store has the same keys",
      cause: new Error(cause instanceof SyntaxError ? "no JSON" : "no key of this version"),
    });
  }
}
