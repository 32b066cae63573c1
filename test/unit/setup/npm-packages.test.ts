import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { Workbench } from "./workbench.ts";

const GOOD_NPM = "mkdir -p node_modules/chai; echo installed > node_modules/chai/index.js";

describe("setup: npm packages", () => {
  let bench: Workbench;
  let installed: string;
  beforeEach(() => {
    bench = new Workbench();
    installed = join(bench.root, "node_modules", "chai", "index.js");
    bench.tool("node", "echo v24.21.0");
    bench.tool("npm", GOOD_NPM);
    bench.file("package.json", "{}");
    bench.file("package-lock.json", "1");
  });
  afterEach(() => bench.remove());

  it("installs them once and trusts them while package-lock.json stays as it is", async () => {
    await bench.makeReady("packages");
    expect(readFileSync(installed, "utf8")).to.equal("installed\n");
    bench.said.length = 0;
    bench.tool("npm", "exit 1");
    const { parts } = await bench.makeReady("packages");
    expect(parts.map(({ id, state }) => [id, state])).to.deep.equal([
      ["node", "ready"],
      ["packages", "ready"],
    ]);
    expect(bench.said).to.deep.equal([]);
  });

  it("installs them anew when package-lock.json changed", async () => {
    await bench.makeReady("packages");
    bench.file("package-lock.json", "2");
    bench.tool("npm", GOOD_NPM.replace("echo installed", "echo renewed"));
    await bench.makeReady("packages");
    expect(readFileSync(installed, "utf8")).to.equal("renewed\n");
  });

  it("does not trust a node_modules that it did not finish itself", async () => {
    bench.file("node_modules/chai/index.js", "half");
    await bench.makeReady("packages");
    expect(readFileSync(installed, "utf8")).to.equal("installed\n");
  });

  it("leaves the packages in use alone, and nothing half-made, when npm fails", async () => {
    bench.file("node_modules/chai/index.js", "in use");
    bench.tool("npm", "mkdir -p node_modules/half; echo 'npm error network' >&2; exit 1");
    const error = await bench.refusal("packages");
    expect(error).to.include({ code: "NPM_FAILED", exitCode: 4 });
    expect(error.message).to.contain("npm error network");
    expect(readFileSync(installed, "utf8")).to.equal("in use");
    expect(existsSync(join(bench.root, "node_modules", "half"))).to.equal(false);
    expect(readdirSync(join(bench.root, ".qdrant-dr"))).to.deep.equal([]);
  });

  it("says that npm is missing, and where it comes from", async () => {
    const { rmSync } = await import("node:fs");
    rmSync(join(bench.bin, "npm"));
    const error = await bench.refusal("packages");
    expect(error.code).to.equal("NPM_MISSING");
    expect(error.hint).to.contain("comes with Node");
  });

  it("names the checkout, not the cache, when the disk is full", async () => {
    bench.tool("npm", "echo 'npm error code ENOSPC' >&2; exit 228");
    const error = await bench.refusal("packages");
    expect(error.code).to.equal("DISK_FULL");
    expect(error.message).to.contain(join(bench.root, "node_modules"));
  });

  it("runs npm with the Node that fits first on PATH", async () => {
    bench.tool("node", "echo v18.0.0");
    const fitting = join(bench.dir, "fitting");
    bench.tool("node", "echo v24.21.0", fitting);
    bench.tool("npm", "mkdir -p node_modules; node --version > node_modules/version");
    const { makeReady } = await import("../../../setup/make-ready.mjs");
    await makeReady(["packages"], { ...bench.options, env: { PATH: `${bench.bin}:${fitting}` } });
    expect(readFileSync(join(bench.root, "node_modules", "version"), "utf8")).to.equal("v24.21.0\n");
  });

  it("every package in package-lock.json has its hash, for other platforms too", () => {
    const lock = JSON.parse(readFileSync(new URL("../../../package-lock.json", import.meta.url), "utf8"));
    const packages = Object.entries<{ integrity?: string; link?: boolean }>(lock.packages);
    const without = packages.filter(([name, { integrity, link }]) => name !== "" && !link && integrity === undefined);
    expect(without.map(([name]) => name)).to.deep.equal([]);
  });
});
