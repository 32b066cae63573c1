import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { removeKeptEstates, sweepEstates } from "../../quickstart/adapters/embedded-estate.ts";

describe("practice estates", () => {
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-estates-"));
  const before = process.env["QDRANT_DR_ESTATES"];

  beforeEach(() => {
    process.env["QDRANT_DR_ESTATES"] = root;
  });
  after(() => {
    if (before === undefined) delete process.env["QDRANT_DR_ESTATES"];
    else process.env["QDRANT_DR_ESTATES"] = before;
    rmSync(root, { recursive: true, force: true });
  });

  function estate(id: string, note: string | undefined): string {
    const folder = join(root, id);
    mkdirSync(folder);
    if (note !== undefined) writeFileSync(join(folder, "estate.json"), note);
    return folder;
  }
  const noteOf = (id: string, more: object) =>
    JSON.stringify({ format: 1, id, createdAt: "2026-01-01T00:00:00.000Z", storePorts: [], ...more });

  it("sweeps what a dead owner left, and nothing of a root that holds other things too", async () => {
    const dead = estate("e00000001", noteOf("e00000001", { owner: { pid: 999_999_999, startTicks: "1" } }));
    const others = ["photos", "e0000000", "e000000012"].map((name) => estate(name, undefined));
    writeFileSync(join(root, "notes.txt"), "mine");

    const swept = await sweepEstates();

    expect(swept).to.deep.equal(["e00000001"]);
    expect(existsSync(dead)).to.equal(false);
    for (const other of others) expect(existsSync(other), other).to.equal(true);
    expect(readdirSync(root)).to.include("notes.txt");
  });

  it("leaves an estate alone whose note it cannot understand", async () => {
    const newer = estate("e00000002", noteOf("e00000002", { format: 2 }));
    const damaged = estate("e00000003", "{");

    expect(await sweepEstates()).to.deep.equal([]);

    expect([existsSync(newer), existsSync(damaged)]).to.deep.equal([true, true]);
  });

  it("keeps a kept estate until it is told to remove it", async () => {
    const kept = estate("e00000004", noteOf("e00000004", {}));

    expect(await sweepEstates()).to.deep.equal([]);
    expect(existsSync(kept)).to.equal(true);
    expect(await removeKeptEstates()).to.deep.equal(["e00000004"]);
    expect(existsSync(kept)).to.equal(false);
  });
});
