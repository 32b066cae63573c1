/** A store that remembers answers as the store behind it does, and asks it less. */
import { expect } from "chai";
import type { ReadRequest } from "../../runtime/ports/object-store.ts";
import { CachingStore } from "../../runtime/repository/content/caching-store.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

class CountedStore extends MemoryStore {
  readonly asked: string[] = [];

  override get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    const { length, offset } = request;
    this.asked.push(length === undefined ? key : `${key} ${offset}+${length}`);
    return super.get(key, request);
  }
}

const isImmutable = (key: string) => /^(packs|trees)\//.test(key);
const pack = "packs/aa/1";
const other = "packs/bb/2";

describe("a caching store", () => {
  it("reads what it wrote from memory, whole and in parts, also when the writer uses the bytes again", async () => {
    const store = new CountedStore();
    const recent = new CachingStore(store, 100, isImmutable);
    const bytes = Buffer.from("0123456789");
    expect(await recent.create(pack, bytes)).to.equal("created");
    bytes.fill(0);
    expect((await recent.get(pack)).toString()).to.equal("0123456789");
    expect((await recent.get(pack, { offset: 2, length: 3 })).toString()).to.equal("234");
    expect(store.asked).to.deep.equal([]);
  });

  it("asks the store for what was there before: first for the part, then once for all of it", async () => {
    const store = new CountedStore();
    await store.create(pack, Buffer.from("0123456789"));
    const recent = new CachingStore(store, 100, isImmutable);
    expect(await recent.create(pack, Buffer.from("another"))).to.equal("exists");
    for (const offset of [0, 4, 8]) {
      expect((await recent.get(pack, { offset, length: 2 })).toString()).to.equal(`${offset}${offset + 1}`);
    }
    expect(store.asked).to.deep.equal([`${pack} 0+2`, pack]);
  });

  it("keeps no more than it may: what was used longest ago goes first, and what is too large is not kept", async () => {
    const store = new CountedStore();
    const recent = new CachingStore(store, 10, isImmutable);
    await recent.create(pack, Buffer.alloc(5));
    await recent.create(other, Buffer.alloc(5));
    await recent.get(pack);
    await recent.create("trees/cc/3", Buffer.alloc(3));
    await recent.create("packs/dd/4", Buffer.alloc(11));
    await recent.get(pack);
    expect(store.asked).to.deep.equal([]);
    await recent.get(other);
    await recent.get("packs/dd/4");
    expect(store.asked).to.deep.equal([other, "packs/dd/4"]);
  });

  it("leaves to the store what is a proof or may change: manifests, records, and what lies beyond an object's end", async () => {
    const store = new CountedStore();
    const recent = new CachingStore(store, 100, isImmutable);
    await recent.create("points/1/manifest", Buffer.from("1"));
    await recent.get("points/1/manifest");
    expect(store.asked).to.deep.equal(["points/1/manifest"]);
    await recent.create(pack, Buffer.from("0123456789"));
    expect(await codeOf(recent.get(pack, { offset: 8, length: 5 }))).to.equal("OBJECT_CORRUPT");
  });
});
