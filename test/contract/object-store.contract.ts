/** What every `ObjectStore` must keep; `object-store.test.ts` runs it on each adapter. */
import { createHash } from "node:crypto";
import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { allOf } from "../support/all-of.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/** `open` answers the same store every time; each test works under a prefix of its own. */
export function describeObjectStore(open: () => ObjectStore): void {
  let store: ObjectStore;
  let tests = 0;
  let prefix: string;

  beforeEach("a prefix of its own", () => {
    store = open();
    tests += 1;
    prefix = `test-${tests}/`;
  });

  it("gives back what was created, also nothing at all", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    expect(await store.create(`${prefix}bytes`, bytes)).to.equal("created");
    expect(await store.create(`${prefix}empty`, new Uint8Array(0))).to.equal("created");

    expect(await store.get(`${prefix}bytes`)).to.deep.equal(bytes);
    expect(await store.get(`${prefix}empty`)).to.have.lengthOf(0);
  });

  it("tells how large an object is, and of one that is not there nothing", async () => {
    await store.create(`${prefix}a/five`, Buffer.from("12345"));
    await store.create(`${prefix}a/none`, new Uint8Array(0));

    expect(await store.sizeOf(`${prefix}a/five`)).to.equal(5);
    expect(await store.sizeOf(`${prefix}a/none`)).to.equal(0);
    for (const key of ["a", "a/fiv", "a/fives", "b/five"])
      expect(await store.sizeOf(prefix + key), key).to.equal(undefined);
  });

  it("names what has more below, each once, and no objects", async () => {
    for (const key of ["days/1/a", "days/1/b", "days/2/a/b", "days/3", "daysy/4/a"]) {
      await store.create(prefix + key, Buffer.from(key));
    }

    expect((await allOf(store.folders(`${prefix}days/`))).sort()).to.deep.equal(["1", "2"]);
    expect(await allOf(store.folders(`${prefix}nights/`))).to.deep.equal([]);
  });

  it("leaves an object as it is when it exists, and says so", async () => {
    await store.create(`${prefix}one`, Buffer.from("first"));

    const answer = await store.create(`${prefix}one`, Buffer.from("second, and longer"));

    expect(answer).to.equal("exists");
    expect(String(await store.get(`${prefix}one`))).to.equal("first");
  });

  it("lets exactly one of 20 creators at once win, and keeps the winner's bytes", async () => {
    const creators = Array.from({ length: 20 }, (_, creator) => `creator ${creator} `.repeat(100 + creator));

    const answers = await Promise.all(creators.map((text) => store.create(`${prefix}raced`, Buffer.from(text))));

    expect(answers.filter((answer) => answer === "created")).to.have.lengthOf(1);
    expect(answers.filter((answer) => answer === "exists")).to.have.lengthOf(19);
    expect(String(await store.get(`${prefix}raced`))).to.equal(creators[answers.indexOf("created")]);
  });

  it("refuses an object that is larger than it may be, and gives one that is as large", async () => {
    await store.create(`${prefix}ten`, Buffer.from("0123456789"));

    expect(String(await store.get(`${prefix}ten`, { mostBytes: 10 }))).to.equal("0123456789");
    expect(await codeOf(store.get(`${prefix}ten`, { mostBytes: 9 }))).to.equal("OBJECT_CORRUPT");
    // It is there, and reads on: no connection stays with bytes that nobody wants.
    expect(String(await store.get(`${prefix}ten`, { offset: 8, length: 2, mostBytes: 9 }))).to.equal("89");
  });

  it("asks for nothing after its signal, and throws the signal's reason", async () => {
    await store.create(`${prefix}signalled`, Buffer.from("0123456789"));
    const reason = new DrError("UNREACHABLE", "too late");
    const signal = AbortSignal.abort(reason);

    expect(await errorOf(store.get(`${prefix}signalled`, { signal }))).to.equal(reason);
    expect(await errorOf(allOf(store.list(prefix, { signal })))).to.equal(reason);
  });

  it("tells the checksum of what it keeps, and of nothing else", async () => {
    const bytes = Buffer.from("0123456789");
    await store.create(`${prefix}summed`, bytes);
    await store.create(`${prefix}summed`, Buffer.from("another"));

    expect(await store.checksumOf(`${prefix}summed`)).to.equal(createHash("sha256").update(bytes).digest("hex"));
    expect(await codeOf(store.checksumOf(`${prefix}nothing`))).to.equal("OBJECT_NOT_FOUND");
  });

  it("gives ranges to the byte", async () => {
    await store.create(`${prefix}digits`, Buffer.from("0123456789"));

    const ranges = [
      { offset: 0, length: 1 },
      { offset: 3, length: 4 },
      { offset: 9, length: 1 },
      { offset: 0, length: 10 },
    ];
    const answers = await Promise.all(ranges.map((range) => store.get(`${prefix}digits`, range)));

    expect(answers.map(String)).to.deep.equal(["0", "3456", "9", "0123456789"]);
  });

  it("calls a range that reaches beyond the object OBJECT_CORRUPT, never answers short", async () => {
    await store.create(`${prefix}digits`, Buffer.from("0123456789"));

    expect(await codeOf(store.get(`${prefix}digits`, { offset: 8, length: 3 }))).to.equal("OBJECT_CORRUPT");
    expect(await codeOf(store.get(`${prefix}digits`, { offset: 10, length: 1 }))).to.equal("OBJECT_CORRUPT");
    expect(await codeOf(store.get(`${prefix}digits`, { offset: 500, length: 10 }))).to.equal("OBJECT_CORRUPT");
  });

  it("calls what is not there OBJECT_NOT_FOUND, whole or by range", async () => {
    expect(await codeOf(store.get(`${prefix}missing`))).to.equal("OBJECT_NOT_FOUND");
    expect(await codeOf(store.get(`${prefix}missing`, { offset: 0, length: 1 }))).to.equal("OBJECT_NOT_FOUND");
  });

  it("lists what begins with the prefix and nothing else, each once, with its size", async () => {
    const keys = ["b/2", "b/10", "b", "a/z/deep/er", "b-", "ba", "c"].map((key) => prefix + key);
    for (const [size, key] of keys.filter((key) => !key.endsWith("/b")).entries()) {
      await store.create(key, Buffer.alloc(size));
    }

    const listed: { key: string; size: number }[] = [];
    for await (const { key, size } of store.list(`${prefix}b`)) listed.push({ key, size });

    // In whatever order: SeaweedFS lists folder by folder, Amazon by bytes.
    expect(listed.sort((a, b) => (a.key < b.key ? -1 : 1))).to.deep.equal([
      { key: `${prefix}b-`, size: 3 },
      { key: `${prefix}b/10`, size: 1 },
      { key: `${prefix}b/2`, size: 0 },
      { key: `${prefix}ba`, size: 4 },
    ]);
    expect(await keysOf(store, `${prefix}nothing-begins-so`)).to.deep.equal([]);
    expect(await keysOf(store, `${prefix}a/`)).to.deep.equal([`${prefix}a/z/deep/er`]);
  });

  it("lists more than 1,000 objects whole, each once", async function () {
    this.timeout(60_000);
    const wanted = Array.from({ length: 1_100 }, (_, n) => `${prefix}many/${String(n).padStart(5, "0")}`);
    const queue = [...wanted];
    const worker = async () => {
      for (let key = queue.pop(); key !== undefined; key = queue.pop()) await store.create(key, Buffer.from("x"));
    };
    await Promise.all(Array.from({ length: 16 }, worker));

    expect((await keysOf(store, `${prefix}many/`)).sort()).to.deep.equal(wanted);
  });

  it("keeps 20 MB whole, and gives a range out of their middle", async () => {
    const bytes = Buffer.alloc(20_000_000);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);

    await store.create(`${prefix}large`, bytes);

    expect(bytes.equals(await store.get(`${prefix}large`))).to.equal(true);
    const range = { offset: 11_111_111, length: 70_000 };
    const middle = await store.get(`${prefix}large`, range);
    expect(middle.equals(bytes.subarray(range.offset, range.offset + range.length))).to.equal(true);
  });
}
