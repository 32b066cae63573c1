import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { mendCutCheckpoint } from "../../runtime/adapters/pulumi/cut-checkpoint.ts";

describe("a checkpoint that an update was killed in writing", () => {
  const backend = mkdtempSync(join(tmpdir(), "qdrant-dr-backend-"));
  const stacks = join(backend, ".pulumi", "stacks", "project");
  const locks = join(backend, ".pulumi", "locks", "organization", "project", "stack");
  const checkpoint = join(stacks, "stack.json");
  const restore = () => mendCutCheckpoint(`file://${backend}`, "project", "stack");

  beforeEach(() => {
    rmSync(join(backend, ".pulumi"), { recursive: true, force: true });
    mkdirSync(stacks, { recursive: true });
    mkdirSync(locks, { recursive: true });
    writeFileSync(`${checkpoint}.bak`, '{"version":3}');
  });
  after(() => rmSync(backend, { recursive: true, force: true }));

  for (const cut of ["", '{"version":3,"dep']) {
    it(`is replaced by the one before it: ${JSON.stringify(cut)}`, async () => {
      writeFileSync(checkpoint, cut);

      expect(await restore()).to.equal(true);

      expect(readFileSync(checkpoint, "utf8")).to.equal('{"version":3}');
    });
  }

  it("stays when only its attributes are cut: these go", async () => {
    writeFileSync(checkpoint, '{"version":3,"new":true}');
    writeFileSync(`${checkpoint}.attrs`, "");
    writeFileSync(`${checkpoint}.bak.attrs`, '{"user.content_type":"application/json"}');

    expect(await restore()).to.equal(true);

    expect(readdirSync(stacks)).to.have.members(["stack.json", "stack.json.bak", "stack.json.bak.attrs"]);
    expect(readFileSync(checkpoint, "utf8")).to.contain("new");
    expect(await restore()).to.equal(false);
  });

  it("stays while an update that lives holds the stack's lock; a dead one's lock does not count", async () => {
    writeFileSync(checkpoint, "");
    const lock = join(locks, "lock.json");
    writeFileSync(lock, JSON.stringify({ pid: process.pid }));

    expect(await restore()).to.equal(false);
    expect(readFileSync(checkpoint, "utf8")).to.equal("");
    writeFileSync(lock, JSON.stringify({ pid: 999_999_999 }));
    expect(await restore()).to.equal(true);
  });

  it("stays when it is whole, when nothing whole stands beside it, and in a backend that is no folder", async () => {
    writeFileSync(checkpoint, '{"version":3,"new":true}');
    expect(await restore()).to.equal(false);
    expect(readFileSync(checkpoint, "utf8")).to.contain("new");

    writeFileSync(checkpoint, "");
    writeFileSync(`${checkpoint}.bak`, "{");
    expect(await restore()).to.equal(false);
    expect(await mendCutCheckpoint("s3://bucket", "project", "stack")).to.equal(false);
    expect(await mendCutCheckpoint(undefined, "project", "stack")).to.equal(false);
  });
});
