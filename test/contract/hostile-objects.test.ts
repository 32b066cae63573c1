/** What somebody who can write to a store puts there does not take down who reads it: above all not the gate of the active region. */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { mostBytesOf } from "../../runtime/domain/recovery-points/object-bounds.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { keyBefore } from "../../runtime/domain/trust/names-behind.ts";
import { DrError } from "../../runtime/errors.ts";
import type { ObjectStore, ReadRequest } from "../../runtime/ports/object-store.ts";
import { claimEpoch, epochsAfter, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { Guard } from "../../runtime/workflows/gate/guard.ts";
import { signed } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const first: EpochRecord = { epoch: 1, active: "east", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" };

function recordOf(epoch: number): Buffer {
  return Buffer.from(JSON.stringify({ ...first, epoch }));
}

async function guardOf(peerControl: ObjectStore): Promise<Guard> {
  const control = new MemoryStore();
  await claimEpoch(control, first);
  const gate = {
    region: "east",
    mode: "availability",
    lease: undefined,
    seen: undefined,
    carryEpoch: async () => undefined,
  } as const;
  return new Guard({ ...gate, control, peerControl, remember: () => undefined });
}

/** @param putHuge puts an object of so many bytes there, as no create of ours would. */
function describeHostile(
  open: () => { readonly store: ObjectStore; readonly putHuge: (key: string) => Promise<void> },
): void {
  it("a record that no memory holds is refused before it comes", async () => {
    const { putHuge, store } = open();
    await putHuge(controlLayout.epoch(2));
    const guard = await guardOf(store);
    const before = process.memoryUsage();
    const view = await guard.look();
    const after = process.memoryUsage();
    expect(view.isOpen).to.equal(true);
    expect(view.blind.join()).to.match(
      /other region's control store: epochs\/0000000002.json has \d+ bytes, .*at most 65536/,
    );
    expect(after.rss - before.rss).to.be.lessThan(32 * 1024 * 1024);
    expect(await codeOf(readEpochs(store))).to.equal("OBJECT_CORRUPT");
  });

  it("an epoch that leads back to itself ends where it stands", async () => {
    const { store } = open();
    await store.create(controlLayout.epoch(5), recordOf(5));
    await store.create(controlLayout.epoch(6), recordOf(5));
    expect(await epochsAfter(store, 5)).to.deep.equal([]);
    expect(await epochsAfter(store, 4)).to.deep.equal([{ ...first, epoch: 5 }]);
  });
}

describe("hostile objects in a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-hostile-"));
  const store = openStore({ kind: "file", folder });
  after(() => rmSync(folder, { recursive: true, force: true }));

  describeHostile(() => ({
    store,
    putHuge: async (key) => {
      mkdirSync(join(folder, key, ".."), { recursive: true });
      writeFileSync(join(folder, key), "");
      truncateSync(join(folder, key), 300 * 1024 * 1024);
    },
  }));
});

describe("hostile objects in an S3 bucket", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let store: ObjectStore;
  before(async () => {
    server = await SeaweedServer.start();
    store = openStore(await server.bucket("control"));
    await store.create("warm", Buffer.from("?"));
  });
  after(() => server?.stop());

  describeHostile(() => ({
    store,
    putHuge: async (key) => void (await store.create(key, Buffer.alloc(100 * 1024 * 1024, "["))),
  }));
});

/** A store in which every epoch exists, listed and asked for by name. */
class EndlessStore extends MemoryStore {
  asked = 0;
  atOnce = 0;
  mostAtOnce = 0;
  readonly #listed: number;

  constructor(listed: number) {
    super();
    this.#listed = listed;
  }

  override async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    request.signal?.throwIfAborted();
    this.asked += 1;
    if (keyBefore(key) !== undefined) throw new DrError("OBJECT_NOT_FOUND", key);
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await new Promise(setImmediate);
    this.atOnce -= 1;
    return recordOf(Number(/\d+/.exec(key)?.[0]));
  }

  override async *list(prefix: string) {
    for (let epoch = 1; epoch <= this.#listed; epoch += 1) yield { key: controlLayout.epoch(epoch), size: 100, prefix };
  }
}

describe("hostile numbers of objects", function () {
  this.timeout(20_000);

  it("a million epochs that nobody signed cost a few reads, and hide none that is genuine", async () => {
    const store = new EndlessStore(1_000_000);
    const believing = signed(store, "east", "control");
    expect(await readEpochs(believing)).to.deep.equal([]);
    expect(store.asked).to.be.lessThan(150);
  });

  it("a chain without an end is left", async () => {
    const store = new EndlessStore(1);
    expect(await codeOf(epochsAfter(store, 1))).to.equal("STORE_REFUSED");
    expect(store.asked).to.equal(10_001);
  });

  it("as many as there may be are read a few at a time", async () => {
    const store = new EndlessStore(500);
    store.get = async (key, request) => {
      if (Number(/\d+/.exec(key)?.[0]) > 500) throw new DrError("OBJECT_NOT_FOUND", key);
      return EndlessStore.prototype.get.call(store, key, request);
    };
    expect(await readEpochs(store)).to.have.lengthOf(500);
    expect(store.mostAtOnce).to.be.within(2, 16);
  });
});

describe("a store that does not answer the gate", function () {
  this.timeout(20_000);

  it("is asked once at a time, and nothing is asked of it after a look", async () => {
    const begun: (AbortSignal | undefined)[] = [];
    const silent = new MemoryStore();
    silent.list = async function* (_prefix, { signal } = {}) {
      begun.push(signal);
      // It heeds no signal, as a folder on a dead network share.
      await new Promise<never>(() => undefined);
      yield { key: "", size: 0 };
    };
    const guard = await guardOf(silent);
    expect((await guard.look()).blind.join()).to.contain("does not answer within 2 s");
    expect((await guard.look()).blind.join()).to.contain("its last answer has not come yet");
    expect(begun).to.have.lengthOf(1);
    expect(begun[0]?.aborted).to.equal(true);
  });

  it("is asked for no more epochs when the look is over", async () => {
    const endless = new EndlessStore(1);
    const slow = endless.get.bind(endless);
    endless.get = async (key, request) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return slow(key, request);
    };
    const guard = await guardOf(endless);
    expect((await guard.look()).blind.join()).to.contain("does not answer within 2 s");
    const asked = endless.asked;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(endless.asked - asked).to.be.at.most(1);
    expect(guard.view.isOpen).to.equal(true);
  });
});

describe("bounds of objects", () => {
  it("are small for what the gate reads, and wide for what lists much", () => {
    const { epoch, fence, leaseLink, opening } = controlLayout;
    for (const key of [epoch(1), fence(1), opening(1), leaseLink(1, 1)]) expect(mostBytesOf(key), key).to.equal(65_536);
    expect(mostBytesOf("restores/x.started.json")).to.be.greaterThan(1_000_000);
    expect(mostBytesOf(storeLayout.manifest("x"))).to.be.greaterThan(mostBytesOf(storeLayout.pack("a".repeat(64))));
  });
});
