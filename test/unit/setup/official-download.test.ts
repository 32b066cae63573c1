import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { QDRANT_FILE, QDRANT_URL, qdrantOnline, sha256, Workbench } from "./workbench.ts";

describe("setup: official download", () => {
  let bench: Workbench;
  beforeEach(() => {
    bench = new Workbench();
  });
  afterEach(() => bench.remove());

  const qdrant = () => bench.archive({ qdrant: "echo qdrant 1.16.3" });

  it("installs a file whose checksum is the published one", async () => {
    await bench.goOnline(qdrantOnline(qdrant()));
    const { bins, parts } = await bench.makeReady("qdrant");
    expect(bins).to.deep.equal([join(bench.cacheDir, "tools", "qdrant-1.16.3-official", "bin")]);
    expect(parts[0]).to.include({ id: "qdrant", state: "ready", version: "1.16.3", source: "official download" });
    expect(execFileSync(join(bins[0] ?? "", "qdrant"), { encoding: "utf8" })).to.equal("qdrant 1.16.3\n");
    expect(bench.cached()).to.deep.equal(["qdrant-1.16.3-official"]);
  });

  it("follows a redirect to where the file is kept", async () => {
    const archive = qdrant();
    await bench.goOnline({
      ...qdrantOnline(archive),
      [QDRANT_URL]: (response) => response.writeHead(302, { location: "/elsewhere" }).end(),
      "/elsewhere": archive,
    });
    await bench.makeReady("qdrant");
    expect(bench.asked.at(-1)).to.equal("/elsewhere");
  });

  it("unpacks Node out of the folder that carries its version, with the npm that comes with it", async () => {
    const top = "node-v24.21.0-linux-x64";
    const archive = bench.archive({ [`${top}/bin/node`]: "echo v24.21.0", [`${top}/lib/npm-cli.js`]: "" });
    await bench.goOnline({
      "/v24.21.0/SHASUMS256.txt": `${sha256(archive)}  ${top}.tar.gz\n`,
      [`/v24.21.0/${top}.tar.gz`]: archive,
    });
    const { bins } = await bench.makeReady("node");
    expect(execFileSync(join(bins[0] ?? "", "node"), { encoding: "utf8" })).to.equal("v24.21.0\n");
  });

  it("takes a program that is published as it is, with its checksum in a file beside it", async () => {
    const program = "#!/bin/sh\necho Kubernetes v1.36.3\n";
    const path = "/v1.36.3/bin/linux/amd64/kube-apiserver";
    await bench.goOnline({ [path]: program, [`${path}.sha256`]: sha256(program) });
    const { bins, parts } = await bench.makeReady("kube-apiserver");
    expect(parts[0]).to.include({ state: "ready", version: "1.36.3", source: "official download" });
    expect(execFileSync(join(bins[0] ?? "", "kube-apiserver"), { encoding: "utf8" })).to.equal("Kubernetes v1.36.3\n");
  });

  it("refuses such a program with another checksum", async () => {
    const path = "/v1.36.3/bin/linux/amd64/kube-apiserver";
    await bench.goOnline({ [path]: "#!/bin/sh\n", [`${path}.sha256`]: "0".repeat(64) });
    expect((await bench.refusal("kube-apiserver")).code).to.equal("CHECKSUM_MISMATCH");
    expect(bench.cached()).to.deep.equal([]);
  });

  it("refuses a file with another checksum, names both, and leaves nothing behind", async () => {
    await bench.goOnline(qdrantOnline(qdrant(), `sha256:${"0".repeat(64)}`));
    const error = await bench.refusal("qdrant");
    expect(error.code).to.equal("CHECKSUM_MISMATCH");
    expect(error.message).to.match(
      new RegExp(`${QDRANT_FILE} was refused: its checksum is [0-9a-f]{64}, and 0{64} was`),
    );
    expect(bench.cached()).to.deep.equal([]);
  });

  it("does not even fetch a file without a published checksum", async () => {
    await bench.goOnline(qdrantOnline(qdrant(), null));
    const error = await bench.refusal("qdrant");
    expect(error.message).to.contain(`${QDRANT_FILE} has no published checksum`);
    expect(bench.asked).to.not.include(QDRANT_URL);
    expect(bench.cached()).to.deep.equal([]);
  });

  it("leaves nothing of a download that broke off", async () => {
    const archive = qdrant();
    await bench.goOnline({
      ...qdrantOnline(archive),
      [QDRANT_URL]: (response) => {
        response.writeHead(200, { "content-length": archive.length });
        response.write(archive.subarray(0, 50), () => response.destroy());
      },
    });
    const error = await bench.refusal("qdrant");
    expect(error.message).to.match(/the download from 127\.0\.0\.1:\d+ broke off/);
    expect(bench.cached()).to.deep.equal([]);
  });

  it("refuses a tool that came whole and does not do what it should", async () => {
    await bench.goOnline(qdrantOnline(bench.archive({ qdrant: "echo qdrant 9.0.0" })));
    const error = await bench.refusal("qdrant");
    expect(error.message).to.contain("qdrant is version 9.0.0");
    expect(bench.cached()).to.deep.equal([]);
  });

  it("says so when there is none for this kind of machine", async () => {
    const { makeReady } = await import("../../../setup/make-ready.mjs");
    const error = await makeReady(["qdrant"], { ...bench.options, platform: "sunos-sparc" }).catch((e: unknown) => e);
    expect(String(error)).to.contain("official download: there is none for sunos-sparc");
    expect(String(error)).to.contain("there is a package for linux-x64, not for sunos-sparc");
  });
});
