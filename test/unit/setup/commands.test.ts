import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../../setup/node-flags.mjs";
import { Workbench } from "./workbench.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const run = join(checkout, "setup", "run.mjs");

describe("setup: commands", () => {
  let bench: Workbench;
  beforeEach(() => {
    bench = new Workbench();
  });
  afterEach(() => bench.remove());

  const call = (...args: string[]) =>
    spawnSync(process.execPath, [run, ...args], {
      encoding: "utf8",
      env: { PATH: bench.bin, QDRANT_DR_CACHE: bench.cacheDir },
    });

  it("run: passes the exit code through and puts the parts first on PATH", () => {
    bench.tool("qdrant", "echo qdrant 1.19.0");
    const { status, stdout, stderr } = call("--parts", "node,qdrant", "--", "/bin/sh", "-c", "echo $PATH; exit 9");
    expect([status, stderr]).to.deep.equal([9, ""]);
    expect(stdout.trim().split(":").slice(-2)).to.deep.equal([join(checkout, "node_modules", ".bin"), bench.bin]);
  });

  it("run: hands a signal on and ends as the command ended", async () => {
    const child = spawn(process.execPath, [run, "--parts", "node", "--", "/bin/sh", "-c", "echo up; exec sleep 30"], {
      env: { PATH: bench.bin, QDRANT_DR_CACHE: bench.cacheDir },
      stdio: ["ignore", "pipe", "ignore"],
    });
    child.stdout.once("data", () => child.kill("SIGTERM"));
    const status = await new Promise((done) => child.on("close", done));
    expect(status).to.equal(143);
  });

  it("run: refuses a command line that it does not understand, with the right one as a hint", () => {
    for (const line of [[], ["--"], ["--part", "node", "--", "true"], ["true"], ["--parts", "--", "true"]]) {
      const { status, stderr } = call(...line);
      expect(status, line.join(" ")).to.equal(2);
      expect(stderr).to.match(/^error: .*\nhint: node setup\/run\.mjs \[--parts /);
    }
  });

  it("run: names a command that cannot be run", () => {
    const { status, stderr } = call("--parts", "node", "--", "no-such-command");
    expect(status).to.equal(2);
    expect(stderr).to.contain("error: no-such-command cannot be run (ENOENT)");
  });

  it("bin/qdrant-dr: says what to install when there is no Node, or one that is too old", () => {
    const refuse = (script: string | undefined) => {
      for (const name of ["readlink", "dirname"]) bench.tool(name, `exec /usr/bin/env -i /usr/bin/${name} "$@"`);
      if (script !== undefined) bench.tool("node", script);
      return spawnSync(join(checkout, "bin", "qdrant-dr"), { encoding: "utf8", env: { PATH: bench.bin } });
    };
    expect(refuse(undefined).stderr).to.contain("error: node is not on PATH\nhint: install Node 18");
    expect(refuse("exit 1").stderr).to.contain("does not run");
    const old = refuse("echo v16.20.0");
    expect(old.stderr).to.contain("is too old (v16.20.0)");
    expect(old.status).to.equal(4);
  });

  it("bin/qdrant-dr: finds the checkout through symbolic links and hands every argument over", () => {
    mkdirSync(join(bench.dir, "links"));
    symlinkSync(join(checkout, "bin", "qdrant-dr"), join(bench.dir, "links", "far"));
    symlinkSync("far", join(bench.dir, "links", "near"));
    for (const name of ["readlink", "dirname"]) bench.tool(name, `exec /usr/bin/env -i /usr/bin/${name} "$@"`);
    bench.tool(
      "node",
      'case "$1" in --version) echo v24.21.0 ;; *) echo "$MALLOC_ARENA_MAX"; for word in "$@"; do echo "$word"; done ;; esac',
    );
    const { stdout } = spawnSync(join(bench.dir, "links", "near"), ["a b", "--c"], {
      encoding: "utf8",
      env: { PATH: bench.bin },
    });
    const flags = NODE_FLAGS.filter((each) => /^--(max-semi-space-size|single-threaded-gc)/.test(each));
    const [arenas, ...words] = stdout.trimEnd().split("\n");
    expect(arenas).to.equal(NODE_ENVIRONMENT.MALLOC_ARENA_MAX);
    expect(flags).to.have.lengthOf(2);
    expect(words).to.deep.equal([...flags, join(checkout, "setup", "launch.mjs"), "a b", "--c"]);
  });
});
