/** Real processes: what the kernel says of them is the whole point. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { isAlive, isGone, ownIdentity, readProcess } from "../../runtime/adapters/process-identity.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { waitUntil } from "../../runtime/time/wait-until.ts";
import { killed } from "../support/faults/killed.ts";

/** Above the largest PID that a kernel gives (proc(5): pid_max). */
const nobody = 4_194_305;

describe("identity of a process", () => {
  const children: ChildProcess[] = [];

  async function start(command: string, ...args: string[]): Promise<{ child: ChildProcess; pid: number }> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    await once(child, "spawn");
    return { child, pid: child.pid ?? nobody };
  }

  afterEach(async () => {
    for (const child of children.splice(0)) await killed(child);
  });

  it("is that of one process as long as it lives, and gone when it was killed", async () => {
    const { child, pid } = await start("sleep", "60");
    const found = readProcess(pid);
    expect(found).to.deep.include({ pid, hasEnded: false });
    const identity = { pid, startTicks: found?.startTicks ?? "" };
    expect([isAlive(pid), isGone(identity)]).to.deep.equal([true, false]);
    expect(Number(identity.startTicks)).to.be.at.least(Number(ownIdentity().startTicks));
    await killed(child);
    expect([isAlive(pid), isGone(identity), readProcess(pid)]).to.deep.equal([false, true, undefined]);
  });

  it("is gone when another process has its PID", () => {
    const own = ownIdentity();
    expect(isGone(own)).to.equal(false);
    expect(isGone({ ...own, startTicks: String(Number(own.startTicks) - 1) })).to.equal(true);
    expect(isGone({ ...own, pid: nobody })).to.equal(true);
  });

  it("is nobody's when its PID is no number that a kernel gives", () => {
    for (const pid of [Number.NaN, Number.POSITIVE_INFINITY, 0, -process.pid, process.pid + 0.5, 2 ** 53]) {
      expect([isAlive(pid), isGone({ pid, startTicks: "1" })], String(pid)).to.deep.equal([false, true]);
    }
  });

  it("is gone as soon as it has ended, though its parent never looks", async () => {
    // The shell's own place is taken by one that waits for nobody.
    const { child } = await start("sh", "-c", "sleep 60 & echo $!; exec sleep 60");
    const [line] = await once(child.stdout ?? child, "data");
    const pid = Number(line);
    const startTicks = readProcess(pid)?.startTicks ?? "";
    expect(isGone({ pid, startTicks })).to.equal(false);
    // Until then the shell is there, and looks.
    const hasTakenOver = () => readFileSync(`/proc/${child.pid}/comm`, "utf8").trim() === "sleep";
    await waitUntil(systemClock, { what: "the shell to be replaced", withinMs: 10_000, everyMs: 5 }, hasTakenOver);
    process.kill(pid, "SIGKILL");
    await waitUntil(systemClock, { what: "the child to end", withinMs: 10_000, everyMs: 5 }, () => !isAlive(pid));
    expect([isGone({ pid, startTicks }), readProcess(pid)?.hasEnded]).to.deep.equal([true, true]);
  });

  it("is read behind a command that looks like the fields after it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-process-identity-"));
    try {
      const command = join(folder, "x) Z 1 (y) Z 9");
      copyFileSync(process.execPath, command);
      const { pid } = await start(command, "-e", "setInterval(() => undefined, 60_000)");
      const own = Number(ownIdentity().startTicks);
      expect(readProcess(pid)?.hasEnded).to.equal(false);
      expect(Number(readProcess(pid)?.startTicks)).to.be.within(own, own + 100 * 3_600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("tells the time that a process has used", () => {
    const before = readProcess(process.pid)?.cpuSeconds ?? Number.NaN;
    const begun = process.cpuUsage();
    while (process.cpuUsage(begun).user < 50_000);
    expect((readProcess(process.pid)?.cpuSeconds ?? Number.NaN) - before).to.be.within(0.03, 60);
  });
});
