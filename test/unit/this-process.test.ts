import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect } from "chai";
import { ThisProcess } from "../../runtime/adapters/this-process.ts";
import type { Runner } from "../../runtime/ports/runner.ts";
import { FailoverRecords } from "../../runtime/repository/control/failover-records.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

describe("a process of this machine, by its mark", () => {
  const here = new ThisProcess();
  const [boot, namespace, pid, began] = (here.mark ?? "").split("/");

  it("is not dead while it lives", () => {
    expect(here.mark).to.be.a("string");
    expect(here.isDead(here.mark ?? "")).to.equal(false);
  });

  it("is dead when it has ended, also when another has its PID", async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    await once(child, "spawn");
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
    expect(here.isDead(`${boot}/${namespace}/${child.pid}/${began}`)).to.equal(true);
    expect(here.isDead(`${boot}/${namespace}/${pid}/1`)).to.equal(true);
  });

  it("is dead when its mark names no PID: no process that lives has made it", () => {
    for (const nobody of ["?", "", "0", "-1"]) {
      expect(here.isDead(`${boot}/${namespace}/${nobody}/1`), nobody).to.equal(true);
    }
  });

  it("is never called dead when it ran on another machine, before another start, or in another namespace", () => {
    for (const place of [`other/${namespace}`, `${boot}/pid:[1]`]) {
      expect(here.isDead(`${place}/${pid}/1`)).to.equal(false);
    }
    expect(here.isDead("nonsense")).to.equal(false);
  });
});

describe("who owns a failover", () => {
  it("a run whose owner is known to be dead takes over at once; of several, one", async () => {
    const control = new MemoryStore();
    const runnerOf = (mark: string): Runner => ({ mark, isDead: (other) => other === "dead" });
    const first = await new FailoverRecords(control, 2, "run-1", systemClock, runnerOf("dead")).takeOver();
    first();
    const later = ["run-2", "run-3"].map((run) => new FailoverRecords(control, 2, run, systemClock, runnerOf("alive")));
    const outcomes = await Promise.all(
      later.map(async (records) => {
        try {
          (await records.takeOver())();
          return "owner";
        } catch (error) {
          return codeOf(Promise.reject(error));
        }
      }),
    );
    expect(outcomes.sort()).to.deep.equal(["EPOCH_CONFLICT", "owner"]);
  });
});
