import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { makeReady } from "../../setup/make-ready.mjs";

const run = fileURLToPath(new URL("../../setup/run.mjs", import.meta.url));
const NOWHERE = () => "http://127.0.0.1:1/";

describe("setup with the real registries", function () {
  this.timeout(180_000);
  const dir = mkdtempSync(join(tmpdir(), "qdrant-dr-setup-e2e-"));
  const cacheDir = join(dir, "cache");
  const said: string[] = [];
  const onProgress = ({ text }: { text: string }) => void said.push(text);

  // The package managers of this machine, and none of the parts it may have already.
  const managers = onlyTools(join(dir, "managers"), ["npm", "python3", "tar", "gzip"]);
  const env = { ...process.env, PATH: managers, QDRANT_DR_CACHE: cacheDir, npm_execpath: "" };
  const bare = join(dir, "bare");
  mkdirSync(bare);
  writeFileSync(join(bare, "node"), "#!/bin/sh\necho v18.0.0\n", { mode: 0o755 });
  symlinkSync("/bin/sh", join(bare, "sh"));

  after(() => rmSync(dir, { recursive: true, force: true }));

  it("fetches Qdrant and SeaweedFS into an empty cache, and both run", async () => {
    const { bins, parts } = await makeReady(["qdrant", "seaweedfs"], { env, cacheDir, onProgress, addressOf: NOWHERE });
    expect(parts.map(({ id, state, source }) => [id, state, source])).to.deep.equal([
      ["qdrant", "ready", "registry"],
      ["seaweedfs", "ready", "registry"],
    ]);
    const version = (tool: string, arg: string) =>
      execFileSync(tool, [arg], {
        encoding: "utf8",
        env: { PATH: bins.join(delimiter) },
        stdio: ["ignore", "pipe", "ignore"],
      });
    expect(version("qdrant", "--version")).to.contain("1.16.3");
    expect(version("weed", "version")).to.contain("4.48");
  });

  it("needs neither network nor npm nor Python for a second run, nor a second, nor a word", () => {
    const took: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      const started = Date.now();
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [run, "--parts", "node,qdrant,seaweedfs", "--", "sh", "-c", "command -v qdrant; command -v weed"],
        { encoding: "utf8", env: { PATH: bare, QDRANT_DR_CACHE: cacheDir } },
      );
      took.push(Date.now() - started);
      expect([status, stderr]).to.deep.equal([0, ""]);
      expect(stdout.trim().split("\n")).to.have.length(2);
    }
    expect(Math.min(...took)).to.be.below(2_000);
  });

  it("fetches a fitting Node when PATH holds only an old one", async () => {
    const before = said.length;
    const only = await makeReady(["node"], {
      cacheDir,
      onProgress,
      addressOf: NOWHERE,
      running: null,
      env: { ...env, PATH: `${bare}${delimiter}${managers}` },
    });
    expect(said[before]).to.contain(`node: passing over ${join(bare, "node")}: it is version 18.0.0`);
    expect(only.parts[0]).to.include({ state: "ready", source: "registry", version: "24.21.0" });
    const output = execFileSync(join(only.bins[0] ?? "", "node"), ["--version"], { encoding: "utf8" });
    expect(output).to.equal("v24.21.0\n");
  });

  it("starts anew after it was killed in the middle, and leaves nothing of the first try", async () => {
    const killedCache = join(dir, "killed");
    const killedEnv = { ...env, QDRANT_DR_CACHE: killedCache };
    const again = [run, "--parts", "qdrant", "--", "qdrant", "--version"];
    const child = spawn(process.execPath, again, { env: killedEnv, stdio: "ignore" });
    const tools = join(killedCache, "tools");
    const staged = () => existsSync(tools) && readdirSync(tools).some((name) => name.startsWith(".staging-"));
    while (!staged()) await sleep(10);
    child.kill("SIGKILL");
    await once(child, "close");
    expect(staged()).to.equal(true);
    const { status } = spawnSync(process.execPath, again, { env: killedEnv });
    expect(status).to.equal(0);
    expect(readdirSync(tools).filter((name) => name.startsWith("."))).to.deep.equal([]);
  });
});

/** A directory with these tools of the machine and no others; each still finds on PATH what it needs itself. */
function onlyTools(directory: string, names: string[]): string {
  mkdirSync(directory);
  for (const name of names) {
    const path = execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh\nPATH='${process.env["PATH"]}' exec '${path}' "$@"\n`;
    writeFileSync(join(directory, name), script, { mode: 0o755 });
  }
  return directory;
}
