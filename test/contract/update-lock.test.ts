import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { removeDeadLocks } from "../../runtime/adapters/pulumi/update-lock.ts";

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

  it("of a bucket stays: only a file can be removed without taking a newer lock as well", async () => {
    const line = `  s3://bucket/.pulumi/locks/a.json: created by root@${hostname()} (pid ${nobody}) at 2026-01-01T00:00:00Z`;
    expect(await removeDeadLocks(refusal(line))).to.equal(false);
  });

  it("is not looked for in other failures", async () => {
    expect(await removeDeadLocks("code: 255\n stderr: error: no stack named 'prdo' found")).to.equal(false);
  });
});
