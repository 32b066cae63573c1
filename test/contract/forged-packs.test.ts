/** A pack that somebody without a key makes of a true one is not built on: in a folder, and in an S3 bucket. */
import { createHash } from "node:crypto";
import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { refuseOtherPack } from "../../runtime/repository/content/named-pack.ts";
import { readDirectory } from "../../runtime/repository/content/pack-directory.ts";
import { PackWriter } from "../../runtime/repository/content/pack-writer.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { describeInStores } from "../support/estates/attacked-stores.ts";
import { RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";

describeInStores("a forged pack", ({ open }) => {
  it("its true directory does not open behind other bytes, whatever it is called", async () => {
    const [repositoryStore, controlStore] = [await open("repository"), await open("control")];
    const stores = { repository: repositoryStore.raw, control: controlStore.raw };
    const { wrap } = await RecoveryPractice.start();
    const repository = await OpenRepository.openOrCreate(stores, wrap);
    const key = await repository.keys.make({ collection: "notes" });
    const writer = new PackWriter(repository, key, 1024 * 1024);
    const name = "ab".repeat(32);
    const piece = { size: 1_000, names: [{ name, start: "list" as const }] };
    await writer.add(piece, Buffer.alloc(1_000, 1), () => undefined);
    const [pack] = await writer.finish();
    if (pack === undefined) throw new Error("nothing was stored");
    expect((await readDirectory(repository, pack)).lists.map((list) => list.name)).to.deep.equal([name]);
    await refuseOtherPack(stores.repository, pack.id);

    const forged = Buffer.from(await stores.repository.get(storeLayout.pack(pack.id)));
    forged.fill(9, 0, 1_000);
    for (const id of [createHash("sha256").update(forged).digest("hex"), "f".repeat(64)]) {
      await stores.repository.create(storeLayout.pack(id), forged);
      expect(await readDirectory(repository, { id }), id).to.deep.equal({ chunks: [], lists: [] });
    }
    expect(await codeOf(refuseOtherPack(stores.repository, "f".repeat(64)))).to.equal("OBJECT_CORRUPT");
  });
});
