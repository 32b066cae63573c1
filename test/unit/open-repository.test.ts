import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { openRepositoryForWriting } from "../../runtime/workflows/open-repository.ts";
import { ageKeys, systemClock } from "../support/estates/recovery-estate.ts";
import { errorOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

/** As an S3 server that ignores If-None-Match. */
class ReplacingStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    this.objects.set(key, Buffer.from(bytes));
    return "created";
  }
}

/** As a bucket whose policy names the places that may be written to. */
class RestrictedStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (key.startsWith("probes/")) throw new DrError("ACCESS_DENIED", key);
    return super.create(key, bytes);
  }
}

describe("a repository that is opened for writing", () => {
  let wrap: KeyWrap;
  before(async () => {
    ({ wrap } = await ageKeys());
  });

  const open = (repository: MemoryStore, control: MemoryStore): Promise<OpenRepository> =>
    openRepositoryForWriting({ repository, control }, wrap, systemClock);

  const kept = ({ objects }: MemoryStore) => [...objects.keys()].filter((key) => !key.startsWith("probes/"));

  it("is not made in a store that replaces objects, be it for recovery points or for records", async () => {
    for (const [repository, control, named] of [
      [new ReplacingStore(), new MemoryStore(), "repository"],
      [new MemoryStore(), new ReplacingStore(), "control store"],
    ] as const) {
      const error = await errorOf(open(repository, control));
      expect(error?.code).to.equal("NOT_SUPPORTED");
      expect(error?.message).to.contain(`nothing is kept in the ${named}`);
      expect([...kept(repository), ...kept(control)]).to.deep.equal([]);
    }
  });

  it("is made after its stores were tried out, and they are not tried out again", async () => {
    const [repository, control] = [new MemoryStore(), new MemoryStore()];
    const { description } = await open(repository, control);
    const probes = () => [repository, control].map(({ objects }) => objects.size);
    const before = probes();
    expect((await open(repository, control)).description).to.deep.equal(description);
    expect(probes()).to.deep.equal(before);
  });

  it("is made where nobody may write to the place of probes", async () => {
    const [repository, control] = [new RestrictedStore(), new RestrictedStore()];
    await open(repository, control);
    expect(kept(repository)).to.deep.equal(["repository.json"]);
  });
});
