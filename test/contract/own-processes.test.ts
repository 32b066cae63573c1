/** Commands as processes of their own: how each way to end is told, and that they end with the process that started them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { OwnProcesses } from "../../runtime/adapters/own-processes.ts";

const programs = {
  well: `console.log(JSON.stringify({ args: process.argv.slice(2) }));`,
  fails: `console.log(JSON.stringify({ error: { code: "DISK_FULL", exitCode: 4, message: "full", hint: "free some", retryable: true } })); process.exitCode = 4;`,
  partial: `console.log("{}"); console.error("error: p1 is partial: docs cannot be read\\nhint: see the log of Qdrant"); process.exitCode = 15;`,
  silent: `process.exitCode = 1;`,
  killed: `process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);`,
  waits: `process.on("SIGTERM", () => process.exit(130)); process.stderr.write('{"event":"progress","step":"capture","detail":"notes"}\\n'); setInterval(() => {}, 1000);`,
  colours: `process.stderr.write("\\u001b[31mred\\u001b[0m\\n"); process.stderr.write("x".repeat(5000) + "\\n");`,
};

describe("commands as processes of their own", function () {
  this.timeout(30_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-own-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function start(name: keyof typeof programs, said: string[] = [], heard: (line: string) => void = () => undefined) {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, programs[name]);
    return new OwnProcesses([process.execPath, file], ["--settings", "file"]).start(["verify"], (line) => {
      said.push(line);
      heard(line);
    });
  }

  it("done", async () => expect(await start("well").ended).to.deep.equal({ kind: "done" }));

  it("failed, with its error as the command says it", async () => {
    expect(await start("fails").ended).to.deep.equal({
      kind: "failed",
      error: { code: "DISK_FULL", exitCode: 4, message: "full", hint: "free some", retryable: true },
    });
  });

  it("not everything was done: failed, and not tried again at once", async () => {
    expect(await start("partial").ended).to.deep.equal({
      kind: "failed",
      error: {
        code: "RECOVERY_POINT_PARTIAL",
        exitCode: 15,
        message: "p1 is partial: docs cannot be read",
        hint: "see the log of Qdrant",
        retryable: false,
      },
    });
  });

  for (const [name, message] of [
    ["silent", "it ended with 1 and said no more"],
    ["killed", "it was ended by SIGKILL"],
  ] as const) {
    it(`lost, and worth trying again: ${message}`, async () => {
      const end = await start(name).ended;
      expect(end.kind).to.equal("lost");
      expect(end).to.have.property("error").that.includes({ code: "PROCESS_FAILED", message, retryable: true });
    });
  }

  it("a program that is not there", async () => {
    const end = await new OwnProcesses([join(folder, "nothing")], []).start([], () => undefined).ended;
    expect(end.kind).to.equal("lost");
  });

  it("interrupted, when it says so", async () => {
    const said: string[] = [];
    const begun = Promise.withResolvers<string>();
    const command = start("waits", said, begun.resolve);
    await begun.promise;
    command.interrupt();
    expect(await command.ended).to.deep.equal({ kind: "interrupted" });
    expect(said).to.deep.equal(["capture: notes"]);
  });

  it("its lines change nothing on a terminal, and are bounded", async () => {
    const said: string[] = [];
    await start("colours", said).ended;
    expect(said[0]).to.equal("[31mred [0m");
    expect(said[1]).to.have.length(1000);
  });
});
