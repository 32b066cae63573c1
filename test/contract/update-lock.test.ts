import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { runPulumi } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { locksIn, removeDeadLocks } from "../../runtime/adapters/pulumi/update-lock.ts";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { allOf } from "../support/all-of.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

/** Above the largest PID that a kernel gives (proc(5): pid_max). */
const nobody = 4_194_305;

describe("lock of an update", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-update-lock-"));
  let locks = 0;
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** A lock's file and its line in pulumi's refusal. */
  function lock({ host = hostname(), pid = nobody }: { host?: string; pid?: number } = {}) {
    const file = join(folder, `${++locks}.json`);
    writeFileSync(file, "{}");
    const line = `  ${pathToFileURL(file)}?no_tmp_dir=true: created by root@${host} (pid ${pid}) at 2026-01-01T00:00:00Z`;
    return { file, line };
  }
  const refusal = (...lines: string[]) =>
    ["code: 255", " stderr: error: the stack is currently locked by 1 lock(s). Either wait", ...lines, ""].join("\n");

  it("is removed when its owner ran here and is dead, also when several are left", async () => {
    const [one, other] = [lock(), lock()];
    expect(await removeDeadLocks(refusal(one.line, other.line))).to.equal(true);
    expect([existsSync(one.file), existsSync(other.file)]).to.deep.equal([false, false]);
  });

  for (const [what, owner] of Object.entries({
    "its owner lives": { pid: process.pid },
    "its owner ran on another machine, where that PID may live": { host: `not-${hostname()}` },
  })) {
    it(`stays when ${what}, and so does a dead one beside it`, async () => {
      const [alive, dead] = [lock(owner), lock()];
      expect(await removeDeadLocks(refusal(dead.line, alive.line))).to.equal(false);
      expect([existsSync(alive.file), existsSync(dead.file)]).to.deep.equal([true, true]);
    });
  }

  it("of a store that nobody here can reach into stays", async () => {
    const line = `  gs://bucket/.pulumi/locks/a.json: created by root@${hostname()} (pid ${nobody}) at 2026-01-01T00:00:00Z`;
    expect(await removeDeadLocks(refusal(line))).to.equal(false);
  });

  it("is not looked for in other failures", async () => {
    expect(await removeDeadLocks("code: 255\n stderr: error: no stack named 'prdo' found")).to.equal(false);
  });
});

describe("lock of an update in a bucket", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-bucket-lock-"));
  const credentials = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const;
  const given = credentials.map((name) => process.env[name]);
  let server: SeaweedServer;
  let locks: ObjectStore;
  let env: Record<string, string>;

  before(async () => {
    server = await SeaweedServer.start();
    const address = await server.bucket("states");
    locks = openStore(address);
    [process.env["AWS_ACCESS_KEY_ID"], process.env["AWS_SECRET_ACCESS_KEY"]] = Object.values(server.credentials);
    const query = new URLSearchParams({
      endpoint: server.endpoint,
      region: address.region ?? "",
      s3ForcePathStyle: "true",
    });
    env = {
      PULUMI_BACKEND_URL: `s3://states?${query}`,
      PULUMI_CONFIG_PASSPHRASE: "of a test",
      PULUMI_HOME: join(folder, "home"),
    };
    writeFileSync(join(folder, "Pulumi.yaml"), "name: qdrant-dr\nruntime: nodejs\n");
    await run("stack", "init", "dr");
  });

  after(async () => {
    credentials.forEach((name, index) => {
      const value = given[index];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    });
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (...args: readonly string[]) => runPulumi(args, { cwd: folder, env });
  const destroy = () => run("destroy", "--yes", "--stack", "dr");
  const lock = async (name: string, owner: { pid: number; hostname: string }) => {
    const content = { ...owner, username: "root", timestamp: "2026-01-01T00:00:00Z" };
    const key = `.pulumi/locks/organization/qdrant-dr/dr/${name}.json`;
    await locks.create(key, Buffer.from(JSON.stringify(content)));
  };
  const standing = async () => (await allOf(locks.list(".pulumi/locks/"))).map(({ key }) => key.split("/").at(-1));

  it("is removed by pulumi's own word when its owner ran here and is dead", async () => {
    await lock("dead", { pid: nobody, hostname: hostname() });
    const { message } = (await destroy().catch((error: Error) => error)) as Error;
    expect(message).to.contain("currently locked by 1 lock");
    expect(await removeDeadLocks(message)).to.equal(true);
    expect(await standing()).to.deep.equal([]);
  });

  it("stays when its owner lives or ran elsewhere, and who that is can be told", async () => {
    await lock("elsewhere", { pid: nobody, hostname: "ci-7" });
    const { message } = (await destroy().catch((error: Error) => error)) as Error;
    expect(await removeDeadLocks(message)).to.equal(false);
    expect(await standing()).to.deep.equal(["elsewhere.json"]);
    expect(locksIn(message).map(({ host, pid, user }) => [host, pid, user])).to.deep.equal([["ci-7", nobody, "root"]]);
  });
});
