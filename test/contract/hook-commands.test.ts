import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { readHooks } from "../../runtime/adapters/hook-commands.ts";
import type { FailoverHookEvent } from "../../runtime/ports/failover-hooks.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { errorOf } from "../support/expect-code.ts";

const event: FailoverHookEvent = { when: "after", step: "open", epoch: 7, region: "west", run: "run-1" };

describe("hooks of a failover", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-hooks-"));
  const file = join(folder, "hooks.json");
  const told: ProgressEvent[] = [];

  after(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => told.splice(0));

  /** How long the slowest search takes, look by look; a look of "never" does not end. */
  let searches: (number | "never")[] = [];

  function hooks(...given: readonly object[]) {
    writeFileSync(file, JSON.stringify(given));
    const ask = async () => {
      const ms = searches.shift() ?? 0;
      return ms === "never" ? new Promise<never>(() => undefined) : { ms, collection: "notes" };
    };
    return readHooks(file, ["open", "promote"], (progress) => told.push(progress), ask, systemClock);
  }

  it("run a program without a shell, told by its environment which step it is, and of their own step only", async () => {
    const out = join(folder, "out");
    const script = `require("node:fs").appendFileSync(process.argv[1], [process.env.QDRANT_DR_WHEN, process.env.QDRANT_DR_STEP,
      process.env.QDRANT_DR_EPOCH, process.env.QDRANT_DR_REGION, process.env.QDRANT_DR_RUN, process.argv[2]].join(" ") + "\\n")`;
    const command = [process.execPath, "-e", script, out, "$HOME; true"];
    const run = await hooks({ when: "after", step: "open", command }, { when: "before", step: "promote", command });
    await run(event);
    await run({ ...event, when: "before" });
    await run({ ...event, step: "traffic" });
    expect(readFileSync(out, "utf8")).to.equal("after open 7 west run-1 $HOME; true\n");
  });

  it("that fail stop the failover with HOOK_FAILED, or are told, as they are set", async () => {
    const failing = { when: "after", step: "open", command: ["sh", "-c", "echo no approval >&2; exit 3"] };
    const error = await errorOf((await hooks({ ...failing, onFailure: "stop" }))(event));
    expect(error).to.include({ code: "HOOK_FAILED", exitCode: 14 });
    expect(error?.message).to.equal("the hook sh after open ended with 3: no approval");
    await (await hooks(failing))(event);
    expect(told.map(({ detail }) => detail)).to.deep.equal([
      "the hook sh after open ended with 3: no approval; the failover goes on",
    ]);
  });

  it("that hang are ended, and programs that are not there count as failed", async () => {
    const hanging = { when: "after", step: "open", command: ["sleep", "60"], timeoutSeconds: 0.2, onFailure: "stop" };
    expect((await errorOf((await hooks(hanging))(event)))?.message).to.contain("was ended after 0.2 s");
    const missing = { ...hanging, command: ["/no/such/program"] };
    expect((await errorOf((await hooks(missing))(event)))?.message).to.contain("could not be started");
  });

  it("that limit searches wait until these are fast enough, and fail when they are not in time", async () => {
    const limit = { when: "after", step: "open", queries: { slowestMs: 50 }, onFailure: "stop" };
    searches = [400, 20, 400];
    await (await hooks(limit))(event);
    expect(searches).to.deep.equal([400]);
    searches = [400, 400];
    const error = await errorOf((await hooks({ ...limit, timeoutSeconds: 0.2 }))(event));
    expect(error).to.include({ code: "HOOK_FAILED", exitCode: 14 });
    expect(error?.message).to.equal(
      "the check of queries after open found one in notes that took 0.4 s, and 50 ms are allowed",
    );
    searches = [400, "never"];
    const cutOff = await errorOf((await hooks({ ...limit, timeoutSeconds: 0.8 }))(event));
    expect(cutOff?.message).to.equal(error?.message);
    searches = ["never"];
    const silent = await errorOf((await hooks({ ...limit, timeoutSeconds: 0.2 }))(event));
    expect(silent?.message).to.contain("failed: Qdrant");
  });

  it("in a file that is wrong are refused before anything is begun", async () => {
    for (const wrong of [
      { when: "during", step: "open", command: ["true"] },
      { when: "after", step: "open", command: "true" },
      { when: "after", step: "lunch", command: ["true"] },
      { when: "after", step: "open" },
      { when: "after", step: "open", command: ["true"], queries: { slowestMs: 50 } },
    ]) {
      expect((await errorOf(hooks(wrong)))?.code).to.equal("SETTING_INVALID");
    }
    expect(
      (
        await errorOf(
          readHooks(
            join(folder, "none"),
            [],
            () => undefined,
            async () => ({ ms: 0 }),
            systemClock,
          ),
        )
      )?.code,
    ).to.equal("SETTING_INVALID");
  });
});
