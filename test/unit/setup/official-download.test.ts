import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { PINS } from "../../../setup/official-source.mjs";
import { allParts } from "../../../setup/parts.mjs";
import { QDRANT_FILE, QDRANT_URL, sha256, Workbench } from "./workbench.ts";

describe("setup: official download", () => {
  let bench: Workbench;
  beforeEach(() => {
    bench = new Workbench();
  });
  afterEach(() => bench.remove());

  const qdrant = () => bench.archive({ qdrant: "echo qdrant 1.16.3" });

  it("installs a file whose hash is the pinned one", async () => {
    await bench.publishQdrant(qdrant());
    const { bins, parts } = await bench.makeReady("qdrant");
    expect(bins).to.deep.equal([join(bench.cacheDir, "tools", "qdrant-1.16.3-official", "bin")]);
    expect(parts[0]).to.include({ id: "qdrant", state: "ready", version: "1.16.3", source: "official download" });
    expect(execFileSync(join(bins[0] ?? "", "qdrant"), { encoding: "utf8" })).to.equal("qdrant 1.16.3\n");
    expect(bench.cached()).to.deep.equal(["qdrant-1.16.3-official"]);
  });

  it("follows a redirect to where the file is kept", async () => {
    const archive = qdrant();
    await bench.publishQdrant(archive);
    await bench.goOnline({
      [QDRANT_URL]: (response) => response.writeHead(302, { location: "/elsewhere" }).end(),
      "/elsewhere": archive,
    });
    await bench.makeReady("qdrant");
    expect(bench.asked.at(-1)).to.equal("/elsewhere");
  });

  it("unpacks Node out of the folder that carries its version, with the npm that comes with it", async () => {
    const top = "node-v24.21.0-linux-x64";
    const archive = bench.archive({ [`${top}/bin/node`]: "echo v24.21.0", [`${top}/lib/npm-cli.js`]: "" });
    bench.pin({ [`https://nodejs.org/dist/v24.21.0/${top}.tar.gz`]: sha256(archive) });
    await bench.goOnline({ [`/dist/v24.21.0/${top}.tar.gz`]: archive });
    const { bins } = await bench.makeReady("node");
    expect(execFileSync(join(bins[0] ?? "", "node"), { encoding: "utf8" })).to.equal("v24.21.0\n");
  });

  it("refuses a file with another checksum, names both, and leaves nothing behind", async () => {
    await bench.publishQdrant(qdrant(), "0".repeat(64));
    const error = await bench.refusal("qdrant");
    expect(error.code).to.equal("CHECKSUM_MISMATCH");
    expect(error.message).to.match(
      new RegExp(`${QDRANT_FILE} was refused: its checksum is [0-9a-f]{64}, and 0{64} was`),
    );
    expect(bench.cached()).to.deep.equal([]);
  });

  it("does not even fetch a file without a pinned hash, whatever its makers publish beside it", async () => {
    await bench.publishQdrant(qdrant());
    bench.pin({ "https://elsewhere.example/qdrant.tar.gz": sha256(qdrant()) });
    const error = await bench.refusal("qdrant");
    expect(error.message).to.contain(`${QDRANT_FILE} has no hash in setup/downloads.sha256`);
    expect(bench.asked).to.deep.equal([]);
    expect(bench.cached()).to.deep.equal([]);
  });

  it("every pinned hash is one of a file that is asked for", () => {
    const root = new URL("../../../", import.meta.url);
    const lines = readFileSync(new URL(PINS, root), "utf8").trimEnd().split("\n");
    const asked = allParts.flatMap((part) =>
      "official" in part && part.official !== undefined
        ? Object.values(part.official.files).map((file) => `${part.official?.folder}/${file}`)
        : [],
    );
    expect(lines.length).to.be.above(4);
    for (const line of lines) {
      const [, address = ""] = /^[0-9a-f]{64} {2}(https:\S+)$/.exec(line) ?? [];
      expect(asked).to.include(address);
    }
  });

  it("leaves nothing of a download that broke off", async () => {
    const archive = qdrant();
    await bench.publishQdrant(archive);
    await bench.goOnline({
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
    await bench.publishQdrant(bench.archive({ qdrant: "echo qdrant 9.0.0" }));
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
