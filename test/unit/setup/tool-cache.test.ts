import { existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Workbench } from "./workbench.ts";

describe("setup: cache of tools", () => {
  let bench: Workbench;
  let entry: string;
  let binary: string;
  beforeEach(async () => {
    bench = new Workbench();
    entry = join(bench.cacheDir, "tools", "qdrant-1.16.3-official");
    binary = join(entry, "bin", "qdrant");
    await bench.publishQdrant(bench.archive({ qdrant: "echo qdrant 1.16.3" }));
    await bench.makeReady("qdrant");
    bench.said.length = 0;
    bench.asked.length = 0;
  });
  afterEach(() => bench.remove());

  it("serves a second run without a word and without the network", async () => {
    bench.goOffline();
    const { bins, parts } = await bench.makeReady("qdrant");
    expect(bins).to.deep.equal([join(entry, "bin")]);
    expect(parts[0]?.source).to.equal("official download");
    expect(bench.said).to.deep.equal([]);
  });

  it("notices a truncated binary and fetches it anew", async () => {
    truncateSync(binary, 5);
    await bench.makeReady("qdrant");
    expect(readFileSync(binary, "utf8")).to.contain("echo qdrant 1.16.3");
    expect(bench.cached()).to.deep.equal(["qdrant-1.16.3-official"]);
  });

  it("notices a binary that was changed without changing its size", async () => {
    writeFileSync(binary, readFileSync(binary, "utf8").replace("1.16.3", "6.66.6"));
    await bench.makeReady("qdrant");
    expect(readFileSync(binary, "utf8")).to.contain("1.16.3");
  });

  it("keeps a binary that was only copied: another time of change, the same content", async () => {
    utimesSync(binary, 1, 1);
    bench.goOffline();
    await bench.makeReady("qdrant");
    expect(bench.said).to.deep.equal([]);
  });

  it("does not trust an entry without its seal", async () => {
    writeFileSync(join(entry, "part.json"), "{");
    bench.goOffline();
    expect((await bench.refusal("qdrant")).code).to.equal("PART_UNAVAILABLE");
  });

  it("sweeps what interrupted runs left, and nothing that a living run works on", async () => {
    const staging = (owner: string) => join(bench.cacheDir, "tools", `.staging-x-00000000-${owner}`);
    const dead = staging(`999999999@${hostname()}`);
    const living = staging(`${process.pid}@${hostname()}`);
    const elsewhere = staging("999999999@another-machine");
    const forgotten = staging("1@another-machine");
    for (const directory of [dead, living, elsewhere, forgotten]) mkdirSync(directory);
    utimesSync(forgotten, 1, 1);
    truncateSync(binary, 5);
    await bench.makeReady("qdrant");
    expect([dead, living, elsewhere, forgotten].map(existsSync)).to.deep.equal([false, true, true, false]);
  });

  it("lets runs at the same time end with one whole tool", async () => {
    truncateSync(binary, 5);
    await Promise.all([1, 2, 3].map(() => bench.makeReady("qdrant")));
    expect(bench.cached()).to.deep.equal(["qdrant-1.16.3-official"]);
    bench.goOffline();
    await bench.makeReady("qdrant");
  });
});
