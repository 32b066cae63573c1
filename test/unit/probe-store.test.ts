import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import type { StoredObject } from "../../runtime/ports/object-store.ts";
import { probeStore, type StoreCheck, storeChecks } from "../../runtime/workflows/probe-store.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

class ReplacingStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    this.objects.set(key, Buffer.from(bytes));
    return "created";
  }
}

/** Keeps what was there, and says that it was replaced. */
class BoastingStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    await super.create(key, bytes);
    return "created";
  }
}

/** Looks whether an object is there, and then puts it: others put theirs in between. */
class LookingStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.objects.has(key)) return "exists";
    await Promise.resolve();
    this.objects.set(key, Buffer.from(bytes));
    return "created";
  }
}

class WholeStore extends MemoryStore {
  override get(key: string): Promise<Buffer> {
    return super.get(key);
  }
}

class ForgetfulStore extends MemoryStore {
  override async *list(prefix: string): AsyncGenerator<StoredObject> {
    let isFirst = true;
    for await (const found of super.list(prefix)) {
      if (!isFirst) yield found;
      isFirst = false;
    }
  }
}

class ReadOnlyStore extends MemoryStore {
  override async create(): Promise<never> {
    throw new DrError("ACCESS_DENIED", "may not write");
  }
}

describe("the probe of a store", () => {
  const unfit: [string, MemoryStore, StoreCheck, string][] = [
    ["replaces objects", new ReplacingStore(), "create-only", "NOT_SUPPORTED"],
    ["says that it replaced an object", new BoastingStore(), "create-only", "NOT_SUPPORTED"],
    ["lets creators overtake each other", new LookingStore(), "race", "NOT_SUPPORTED"],
    ["ignores ranges", new WholeStore(), "read", "NOT_SUPPORTED"],
    ["lists too little", new ForgetfulStore(), "list", "NOT_SUPPORTED"],
    ["may not be written to", new ReadOnlyStore(), "create", "ACCESS_DENIED"],
  ];
  for (const [what, store, check, code] of unfit) {
    it(`finds out a store that ${what}`, async () => {
      const { failed, passed } = await probeStore(store, "a");
      expect(failed?.check).to.equal(check);
      expect(failed?.problem.code).to.equal(code);
      expect(passed).to.deep.equal(Object.keys(storeChecks).slice(0, passed.length));
    });
  }

  it("passes a store that does what it must, again and again, and leaves two small objects each time", async () => {
    const store = new MemoryStore();
    for (const id of ["a", "b"]) {
      expect(await probeStore(store, id)).to.deep.equal({ passed: Object.keys(storeChecks) });
    }
    expect([...store.objects.keys()]).to.deep.equal([
      "probes/a/kept",
      "probes/a/raced",
      "probes/b/kept",
      "probes/b/raced",
    ]);
  });
});
