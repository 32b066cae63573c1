/** What a user gets who asks for something that cannot be: one error, one hint, an exit code, and nothing half-made. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { allOf } from "../support/all-of.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { signed } from "../support/estates/test-trust.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const launcher = join(checkout, "bin", "qdrant-dr");

describe("bad input, from outside", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-bad-input-"));
  let runs = 0;
  let root: string;
  let estates: string;

  beforeEach(() => {
    root = join(folder, String(++runs));
    estates = join(root, "estates");
    mkdirSync(root);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs `bin/qdrant-dr`; when it ends, no process is left that it started, in this folder or with its environment. */
  async function run(args: readonly string[], more: NodeJS.ProcessEnv = {}, command = [launcher]) {
    const mark = randomUUID();
    const [program = "", ...before] = command;
    const env = { ...process.env, QDRANT_DR_ESTATES: estates, QDRANT_DR_TEST_RUN: mark, ...more };
    const child = spawn(program, [...before, ...args], { env, cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (piece) => (said.stdout += String(piece)));
    child.stderr.on("data", (piece) => (said.stderr += String(piece)));
    await once(child, "close");
    expect(processesOf(root, mark)).to.deep.equal([]);
    return { exitCode: child.exitCode, ...said };
  }

  /** One error and one hint, in this order, as the last words; answers both. */
  function problemIn(stderr: string): { error: string; hint: string } {
    const lines = stderr.trimEnd().split("\n");
    const errors = lines.filter((line) => line.startsWith("error: "));
    const hints = lines.filter((line) => line.startsWith("hint: "));
    expect([errors.length, hints.length], stderr).to.deep.equal([1, 1]);
    expect(lines.at(-1), stderr).to.equal(hints[0]);
    expect(stderr).not.to.match(/^\s+at .*:\d+:\d+\)?$/m, "no stack");
    return { error: errors[0] ?? "", hint: hints[0] ?? "" };
  }

  function nothingIsLeft(allowed: readonly string[] = []): void {
    const left = readdirSync(root, { recursive: true }).map(String);
    expect(left.filter((path) => path !== "estates" && !allowed.includes(path))).to.deep.equal([]);
  }

  for (const [args, told, readOn] of [
    [["backup", "--stack", "prod", "--tpye", "full"], "unknown option '--tpye'", "--help"],
    [["back-up"], "unknown command 'back-up'", "--help"],
    [["quickstart", "--port", "80"], "It must be a port, 1024 to 65535.", "--help"],
    [["recovery-points", "list"], "there is no qdrant-dr.yaml here, and no --stack", "`qdrant-dr init`"],
  ] as const) {
    it(`\`${args.join(" ")}\`: exit code 2, what is wrong, and where to read on`, async () => {
      const { exitCode, stderr, stdout } = await run(args);
      expect([exitCode, stdout]).to.deep.equal([2, ""]);
      const { error, hint } = problemIn(stderr);
      expect(error).to.contain(told);
      expect(hint).to.contain(readOn);
      nothingIsLeft();
    });
  }

  it("an estate that is not there: exit code 2, with how to get one", async () => {
    const { exitCode, stderr } = await run(["status", "--stack", "standby", "--estate", "e00000000"]);
    expect(exitCode).to.equal(2);
    const { error, hint } = problemIn(stderr);
    expect(error).to.equal("error: there is no estate e00000000");
    expect(hint).to.contain("quickstart -- --keep");
    nothingIsLeft();
  });

  it("a stack that is not in the backend: exit code 2, and none is made", async () => {
    const state = join(root, "state");
    mkdirSync(state);
    const { exitCode, stderr, stdout } = await run(["status", "--stack", "prdo", "--json"], {
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_HOME: join(root, "home"),
      PULUMI_CONFIG_PASSPHRASE: "of-a-test",
    });
    expect(exitCode).to.equal(2);
    expect(problemIn(stderr).error).to.equal("error: there is no stack prdo in this backend");
    expect(JSON.parse(stdout).error).to.include({ code: "STACK_NOT_FOUND", exitCode: 2, retryable: false });
    const files = readdirSync(state, { recursive: true }).map(String);
    expect(files.filter((path) => path.includes("prdo"))).to.deep.equal([]);
    expect(readdirSync(checkout)).not.to.include("Pulumi.prdo.yaml");
  });

  for (const [what, content, told] of [
    ["is not there", undefined, "ENOENT"],
    ["is no JSON", "region: prod", "it is not JSON"],
    ["is of something else", '{"contract":1}', "does not hold the outputs of a region"],
    ["is of a newer contract", '{"contract":2}', "does not hold the outputs of a region"],
  ] as const) {
    it(`an outputs file that ${what}: exit code 2, names the file and what is wrong`, async () => {
      const file = join(root, "outputs.json");
      if (content !== undefined) writeFileSync(file, content);
      const { exitCode, stderr } = await run(["recovery-points", "list", "--stack", "prod", "--outputs", file]);
      expect(exitCode).to.equal(2);
      expect(problemIn(stderr).error).to.contain(file).and.contain(told);
      nothingIsLeft(["outputs.json"]);
    });
  }

  it("outputs of another region than the one that was asked for: exit code 2, with both names", async () => {
    const file = join(root, "outputs.json");
    writeFileSync(file, JSON.stringify((await lonelyRegion("prod", root)).outputs));
    const { exitCode, stderr } = await run(["recovery-points", "list", "--stack", "dr", "--outputs", file]);
    expect(exitCode).to.equal(2);
    expect(problemIn(stderr).error).to.contain("region prod").and.contain("dr was asked for");
  });

  it("an identity file without an identity: exit code 2, says what it should hold and not what it holds", async () => {
    const { outputs } = await lonelyRegion("prod", root);
    const [file, identity] = [join(root, "outputs.json"), join(root, "identity.txt")];
    writeFileSync(file, JSON.stringify(outputs));
    writeFileSync(identity, "a-word-nobody-should-see\n");
    const given = ["--stack", "prod", "--outputs", file, "--identity-file", identity];
    const { exitCode, stderr } = await run(["recovery-points", "list", ...given]);
    expect(exitCode).to.equal(2);
    expect(problemIn(stderr).hint).to.contain("AGE-SECRET-KEY-");
    expect(stderr).not.to.contain("nobody-should-see");
  });

  it("`backup` of a region that refuses every connection: exit code 5 within seconds, no secret, nothing written but how it ended", async () => {
    const { outputs, secrets } = await lonelyRegion("prod", root);
    const file = join(root, "outputs.json");
    writeFileSync(file, JSON.stringify(outputs), { mode: 0o600 });
    const begun = performance.now();
    const { exitCode, stderr, stdout } = await run(["backup", "--stack", "prod", "--outputs", file, "--json"]);
    expect(performance.now() - begun).to.be.below(20_000);
    expect(exitCode).to.equal(5);
    expect(problemIn(stderr).error).to.match(/does not answer \(.*ECONNREFUSED/);
    expect(JSON.parse(stdout).error).to.include({ code: "UNREACHABLE", exitCode: 5, retryable: true });
    const control = signed(new FileStore(join(root, "control")), "prod", "control");
    const [{ key = "" } = {}, ...others] = await allOf(control.list(""));
    expect(key).to.match(/^runs\//);
    expect(others).to.deep.equal([]);
    const recorded = (await control.get(key)).toString();
    expect(JSON.parse(recorded)).to.include({ run: "incremental", exitCode: 5, error: "UNREACHABLE" });
    for (const secret of secrets) expect(stderr + stdout + recorded).not.to.contain(secret);
    rmSync(join(root, "control", "runs"), { recursive: true });
    nothingIsLeft(["outputs.json", "control"]);
  });

  it("`quickstart --port` of a taken port: exit code 4 before anything is made, and names the port", async () => {
    const holder = createServer();
    await once(holder.listen(0, "127.0.0.1"), "listening");
    const { port } = holder.address() as AddressInfo;
    try {
      const report = join(root, "reports", "report.html");
      const args = ["quickstart", "--port", String(port), "--report", report, "--json"];
      const { exitCode, stderr, stdout } = await run(args);
      expect(exitCode).to.equal(4);
      const { error, hint } = problemIn(stderr);
      expect(error).to.contain(`needs port ${port} on 127.0.0.1, and another program has it`);
      expect(hint).to.contain(`sport = :${port}`);
      expect(JSON.parse(stdout).error).to.include({ code: "PORT_TAKEN", exitCode: 4, retryable: true });
    } finally {
      await once(holder.close(), "close");
    }
    nothingIsLeft();
  });

  for (const command of [["quickstart"], ["status", "--stack", "prod"]]) {
    it(`\`${command.join(" ")}\` without Pulumi and no way to get it: exit code 4, every way that was tried`, async () => {
      const cache = join(root, "cache");
      const { exitCode, stderr } = await run(command, { ...nowhere(), PATH: bareMachine(), QDRANT_DR_CACHE: cache });
      expect(exitCode).to.equal(4);
      const { error, hint } = problemIn(stderr);
      expect(error).to.contain("pulumi (3.230 or newer");
      for (const tried of ["PATH: nothing that fits", "official download: ", "registry: go is not on PATH"]) {
        expect(stderr).to.contain(`  - ${tried}`);
      }
      expect(hint).to.contain("install Go");
      nothingIsLeft([
        "bin",
        ...["node", "sh", "dirname", "readlink"].map((name) => join("bin", name)),
        "cache",
        "cache/tools",
      ]);
    });
  }

  it("`doctor --parts` on such a machine: exit code 4, what is missing and how to mend each, and fetches nothing", async () => {
    const cache = join(root, "cache");
    const { exitCode, stderr } = await run(["doctor", "--parts"], { PATH: bareMachine(), QDRANT_DR_CACHE: cache });
    expect(exitCode).to.equal(4);
    expect(problemIn(stderr).error).to.equal("error: pulumi, qdrant, seaweedfs missing or unfit");
    for (const mend of ["put pulumi 3.230", "put qdrant 1.16", "put SeaweedFS's weed"]) expect(stderr).to.contain(mend);
    expect(readdirSync(root)).to.deep.equal(["bin"]);
  });

  it("a disk that is too small for two regions: exit code 4 with what is free and what is needed, and nothing on it", async () => {
    const disk = join(root, "disk");
    mkdirSync(disk);
    const args = ["quickstart", "--report", join(root, "report.html")];
    const { command, env } = withSmallDisk(disk);
    const { exitCode, stderr, stdout } = await run(args, { QDRANT_DR_ESTATES: join(disk, "estates"), ...env }, command);
    expect(exitCode, stderr).to.equal(4);
    const { error, hint } = problemIn(stderr);
    expect(error).to.match(/estates has 8 MiB free, and two regions need 2048 MiB$/);
    expect(hint).to.contain("QDRANT_DR_ESTATES");
    expect(stdout).to.equal("");
    nothingIsLeft(["disk", join("disk", "estates")]);
  });

  it("an estates folder that cannot be made: exit code 2, names it and the setting", async () => {
    writeFileSync(estates, "a file where a folder should be");
    const { exitCode, stderr } = await run(["quickstart", "--report", join(root, "report.html")]);
    expect(exitCode).to.equal(2);
    const { error, hint } = problemIn(stderr);
    expect(error).to.contain(`the folder of estates ${estates} cannot be used: `);
    expect(hint).to.contain("QDRANT_DR_ESTATES");
    nothingIsLeft();
  });

  /** PATH of a machine with Node and a shell, and none of the parts or the ways to get them. */
  function bareMachine(): string {
    const bin = join(root, "bin");
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, "node"));
    for (const name of ["sh", "dirname", "readlink"]) {
      symlinkSync(execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(), join(bin, name));
    }
    return bin;
  }
});

/** In a folder or below, or with the mark in the environment. */
function processesOf(folder: string, mark: string): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) || readFileSync(`/proc/${pid}/environ`).includes(mark);
    } catch {
      // Ended meanwhile, or another user's.
      return false;
    }
  });
}

/** A disk of 8 MiB that only the command sees and that is gone with it; where none may be mounted, Node says it is one. */
function withSmallDisk(folder: string): { command: string[]; env: NodeJS.ProcessEnv } {
  const mount = 'mount -t tmpfs -o size=8m tmpfs "$0"';
  const shell = ["-rm", "sh", "-c"];
  if (spawnSync("unshare", [...shell, mount, folder]).status === 0) {
    const script = `${mount} && "$@"; code=$?; ls -A "$0/estates"; exit $code`;
    return { command: ["unshare", ...shell, script, folder, launcher], env: {} };
  }
  const code = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    fs.statfs = async () => ({ bavail: 2048, bsize: 4096 });
    syncBuiltinESMExports();
  `;
  return {
    command: [launcher],
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` },
  };
}

/** A machine without network: what is fetched goes to a proxy that is not there. */
function nowhere(): NodeJS.ProcessEnv {
  const proxy = "http://127.0.0.1:1";
  return { NODE_USE_ENV_PROXY: "1", HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: "" };
}
