/** A pack that somebody without a key makes of a true one is not built on: in a folder, and in an S3 bucket. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { refuseOtherPack } from "../../runtime/repository/content/named-pack.ts";
import { readDirectory } from "../../runtime/repository/content/pack-directory.ts";
import { PackWriter } from "../../runtime/repository/content/pack-writer.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

function describeForgery(open: () => { readonly repository: ObjectStore; readonly control: ObjectStore }): void {
  it("its true directory does not open behind other bytes, whatever it is called", async () => {
    const stores = open();
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
}

describe("a forged pack in a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-forged-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  describeForgery(() => {
    const inside = (name: string) => {
      mkdirSync(join(folder, name));
      return openStore({ kind: "file", folder: join(folder, name) });
    };
    return { repository: inside("repository"), control: inside("control") };
  });
});

describe("a forged pack in an S3 bucket", function () {
  this.timeout(60_000);
  let server: SeaweedServer;
  let stores: { repository: ObjectStore; control: ObjectStore };
  before(async () => {
    server = await SeaweedServer.start();
    stores = {
      repository: openStore(await server.bucket("repository")),
      control: openStore(await server.bucket("control")),
    };
  });
  after(() => server?.stop());
  describeForgery(() => stores);
});
