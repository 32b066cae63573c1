import { createHash } from "node:crypto";
import { expect } from "chai";
import { storeInWords } from "../../runtime/commands/doctor/text.ts";
import { DrError } from "../../runtime/errors.ts";
import type { StoredObject } from "../../runtime/ports/object-store.ts";
import type { WriterRights } from "../../runtime/ports/writer-rights.ts";
import { diagnoseStore } from "../../runtime/workflows/doctor/diagnose-store.ts";
import {
  allChecks,
  probeStore,
  quickChecks,
  type StoreCheck,
  storeChecks,
} from "../../runtime/workflows/probe-store.ts";
import { errorOf } from "../support/expect-code.ts";
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

/** Shows the first page of a listing alone. */
class OnePageStore extends MemoryStore {
  override async *list(prefix: string): AsyncGenerator<StoredObject> {
    let shown = 0;
    for await (const found of super.list(prefix)) {
      shown += 1;
      if (shown <= 1_000) yield found;
    }
  }
}

/** Shows the last entry of a page once more at the beginning of the next one. */
class OverlappingStore extends MemoryStore {
  override async *list(prefix: string): AsyncGenerator<StoredObject> {
    let shown = 0;
    for await (const found of super.list(prefix)) {
      shown += 1;
      yield found;
      if (shown === 1_000) yield found;
    }
  }
}

/** Keeps the checksum that it is told, whatever the bytes are. */
class CredulousStore extends MemoryStore {
  readonly #told = new Map<string, string>();

  override async create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists"> {
    if (sha256 !== undefined) this.#told.set(key, sha256);
    return super.create(key, bytes);
  }

  override async checksumOf(key: string): Promise<string | undefined> {
    return this.#told.get(key) ?? super.checksumOf(key);
  }
}

class MiscountingStore extends MemoryStore {
  override async checksumOf(): Promise<string> {
    return "00".repeat(32);
  }
}

/** As S3 answers bytes that are not those of their checksum. */
class ComparingStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists"> {
    const ofBytes = createHash("sha256").update(bytes).digest("hex");
    if (sha256 !== undefined && sha256 !== ofBytes) throw new DrError("STORE_REFUSED", "BadDigest");
    return super.create(key, bytes);
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
    ["shows one page of a listing", new OnePageStore(), "pages", "NOT_SUPPORTED"],
    ["shows entries of a listing twice", new OverlappingStore(), "pages", "NOT_SUPPORTED"],
    ["keeps the checksum that it is told", new CredulousStore(), "checksum", "NOT_SUPPORTED"],
    ["tells other checksums", new MiscountingStore(), "checksum", "NOT_SUPPORTED"],
    ["may not be written to", new ReadOnlyStore(), "create", "ACCESS_DENIED"],
  ];
  for (const [what, store, check, code] of unfit) {
    it(`finds out a store that ${what}`, async () => {
      const { failed, passed } = await probeStore(store, "a", allChecks);
      expect(failed?.check).to.equal(check);
      expect(failed?.problem.code).to.equal(code);
      expect(passed).to.deep.equal(Object.keys(storeChecks).slice(0, passed.length));
    });
  }

  it("passes a store that does what it must, again and again, and leaves few small objects each time", async () => {
    const store = new MemoryStore();
    for (const id of ["a", "b"]) expect(await probeStore(store, id)).to.deep.equal({ passed: quickChecks });
    const left = ["a", "b"].flatMap((id) => ["changed", "kept", "raced"].map((name) => `probes/${id}/${name}`));
    expect([...store.objects.keys()].sort()).to.deep.equal(left);
    for (const id of ["c", "d"]) expect(await probeStore(store, id, allChecks)).to.deep.equal({ passed: allChecks });
    expect(store.objects).to.have.property("size", 4 * 3 + 1_001);
    expect(await probeStore(new ComparingStore(), "a", allChecks)).to.deep.equal({ passed: allChecks });
    expect(Object.keys(storeChecks)).to.deep.equal(allChecks);
  });
});

describe("the doctor of a store", () => {
  const all = { replaces: true, deletes: true, destroys: true, bypassesLock: false };
  const diagnose = (lockedDays: number, writer: WriterRights) =>
    diagnoseStore({
      places: [],
      protection: async () => ({ keepsVersions: true, lockedDays }),
      probe: { id: "a", store: new MemoryStore(), writerRights: async () => writer },
    });

  it("refuses one that deletes what it says that it locks, and tells who goes past a lock", async () => {
    const error = await errorOf(diagnose(30, all));
    expect(error).to.include({ code: "NOT_SUPPORTED" });
    expect(error?.message).to.contain("locks objects for 30 days, and deletes one");
    expect((await diagnose(0, all)).writer).to.deep.equal(all);
    const bypassing = { ...all, bypassesLock: true };
    expect(storeInWords(await diagnose(30, bypassing))).to.contain("past its lock");
  });
});
