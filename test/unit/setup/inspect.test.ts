import { existsSync } from "node:fs";
import { expect } from "chai";
import { inspectParts } from "../../../setup/inspect.mjs";
import { Workbench } from "./workbench.ts";

describe("setup: inspection", () => {
  let bench: Workbench;
  beforeEach(() => {
    bench = new Workbench();
  });
  afterEach(() => bench.remove());

  it("tells for each part what is there and how to get what is not, and installs nothing", async () => {
    const location = bench.tool("node", "echo v24.21.0");
    const old = bench.tool("qdrant", "echo qdrant 1.9.0");
    const found = await inspectParts(bench.options);
    expect(found.map(({ id, state }) => [id, state])).to.deep.equal([
      ["node", "ready"],
      ["packages", "missing"],
      ["pulumi", "missing"],
      ["qdrant", "unfit"],
      ["seaweedfs", "missing"],
    ]);
    expect(found[0]).to.include({ version: "24.21.0", source: "path", location });
    expect(found[3]).to.include({ version: "1.9.0", location: old, required: "1.16 to 1.19" });
    for (const part of found) expect(part.mend === undefined, part.id).to.equal(part.state === "ready");
    expect(existsSync(bench.cacheDir)).to.equal(false);
  });

  it("counts the Node that runs it, also when it is not on PATH", async () => {
    const running = { execPath: process.execPath, version: process.versions.node };
    const [node] = await inspectParts({ ...bench.options, running });
    expect(node).to.include({ state: "ready", location: process.execPath, version: process.versions.node });
  });
});
