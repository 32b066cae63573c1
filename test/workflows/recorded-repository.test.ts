/** A repository that was recorded once is restored for ever: by the product, and by a reader that knows the format's page alone. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { verifyRecoveryPoints } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { type Access, Reader } from "../recordings/reader.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { contentOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { signed } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

/** Zeros are not written. */
function writeWithHoles(path: string, bytes: Buffer): void {
  const file = openSync(path, "w");
  ftruncateSync(file, bytes.length);
  for (let at = 0; at < bytes.length; at += 4_096) {
    const block = bytes.subarray(at, at + 4_096);
    if (block.some((byte) => byte !== 0)) writeSync(file, block, 0, block.length, at);
  }
  closeSync(file);
}

const recorded = fileURLToPath(new URL("../recordings/repository-1", import.meta.url));
type Recorded = Omit<Access, "folder"> & { readonly contents: Readonly<Record<string, unknown>> };

describe("the recorded repository", function () {
  this.timeout(120_000);
  const { contents, ...access } = JSON.parse(
    readFileSync(join(recorded, "test-keys-and-contents.json"), "utf8"),
  ) as Recorded;
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-recorded-"));
  let server: QdrantServer;

  before(async () => {
    // A restore and a verification leave records.
    cpSync(recorded, folder, { recursive: true });
    server = await QdrantServer.start();
  });

  afterEach(() => emptied(databaseOf(server)));

  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is small", () => {
    const files = readdirSync(recorded, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, { name, parentPath }) => sum + statSync(join(parentPath, name)).size, 0);
    expect(bytes).to.be.below(300_000);
    expect(Object.keys(contents)).to.have.length(2);
  });

  it("is verified and restored by the product", async () => {
    const store = (kind: "repository" | "control") => signed(new FileStore(join(folder, kind)), access.region, kind);
    const wrap = new AgeKeyWrap({ recipients: [], identity: access.identity });
    const repository = await OpenRepository.open({ repository: store("repository"), control: store("control") }, wrap);
    const target = databaseOf(server);
    for (const [id, content] of Object.entries(contents)) {
      const recoveryPoint = await repository.readRecoveryPoint(id);
      const tools = { clock: systemClock, progress: silently };
      await verifyRecoveryPoints(repository, [recoveryPoint], { ...tools, region: access.region });
      await restoreRecoveryPoint({ repository, recoveryPoint, target, ...tools });
      expect(await contentOf(target, "notes")).to.deep.equal(content);
      await emptied(target);
    }
  });

  it("is restored by a reader that shares no code with the product", async () => {
    const reader = new Reader({ ...access, folder: recorded });
    expect(reader.recoveryPoints()).to.deep.equal(Object.keys(contents));
    for (const id of reader.recoveryPoints()) {
      // The page tells of no Qdrant: what follows is Qdrant's own interface.
      const [notes] = (await reader.manifest(id)).collections;
      if (notes === undefined) throw new Error("a collection was recorded");
      const { config } = await reader.facts(notes.facts);
      await ask("PUT", "/collections/notes?wait=true", JSON.stringify(config.params));
      for (const { id: shard, tree } of notes.shards) {
        const form = new FormData();
        form.append("snapshot", new Blob([new Uint8Array(tarOf(await reader.shard(tree.id)))]), "shard.snapshot");
        await ask("POST", `/collections/notes/shards/${shard}/snapshots/upload?priority=snapshot`, form);
      }
      expect(await contentOf(databaseOf(server), "notes")).to.deep.equal(contents[id]);
      await emptied(databaseOf(server));
    }
  });

  it("is refused by that reader when a byte of it is another one", async () => {
    const manifest = (id: string) => new Reader({ ...access, folder }).manifest(id);
    const [id = ""] = Object.keys(contents);
    const day = `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}`;
    const path = join(folder, "repository", "recovery-points", day, id, "manifest");
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1));
    let refused: unknown;
    await manifest(id).catch((error: unknown) => {
      refused = error;
    });
    expect(String(refused)).to.contain("forged");
  });

  /** On a connection of its own: one that was kept may be closed by Qdrant just then, and an upload is not sent twice. */
  async function ask(method: string, path: string, body: FormData | string): Promise<void> {
    const encoded = new Response(body);
    const type = typeof body === "string" ? "application/json" : (encoded.headers.get("content-type") ?? "");
    const bytes = Buffer.from(await encoded.arrayBuffer());
    const headers = { "api-key": server.apiKey, "content-type": type, "content-length": bytes.length };
    const asked = request(`${server.url}${path}`, { method, headers, agent: false });
    asked.end(bytes);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect(answer.statusCode, await text(answer)).to.equal(200);
  }

  function tarOf(files: ReadonlyMap<string, Buffer>): Buffer {
    const place = mkdtempSync(join(folder, "shard-"));
    for (const [path, bytes] of files) {
      mkdirSync(dirname(join(place, path)), { recursive: true });
      writeWithHoles(join(place, path), bytes);
    }
    // As Qdrant writes it: a shard is mostly zeros.
    return execFileSync("tar", ["--format=gnu", "--sparse", "-C", place, "-cf", "-", ...readdirSync(place)], {
      maxBuffer: 1e9,
    });
  }
});
