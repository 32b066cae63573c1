import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { isAlive } from "../../runtime/adapters/process-identity.ts";
import { PulumiStacks, runPulumi } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { errorOf } from "../support/expect-code.ts";

describe("stacks of a state backend that hangs", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-pulumi-stacks-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("are given up after a while, in so many words, and nothing goes on waiting", async () => {
    const pulumi = join(folder, "pulumi");
    writeFileSync(pulumi, `#!/bin/sh\necho $$ > ${folder}/pid\nexec sleep 600\n`);
    chmodSync(pulumi, 0o755);
    const env = { PATH: `${folder}:${process.env["PATH"]}` };
    const stacks = new PulumiStacks({ folder, env, answerMs: 1_000 });

    const error = await errorOf(stacks.region("dr"));

    expect(error?.code).to.equal("PULUMI_FAILED");
    expect(error?.message).to.contain("the state backend does not answer within 1 s");
    expect(isAlive(Number(readFileSync(join(folder, "pid"), "utf8")))).to.equal(false);
  });
});

describe("an update that the engine refuses", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-pulumi-refused-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("says why, also where the engine says it beside its errors", async () => {
    const env = {
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "of a test",
      PULUMI_HOME: join(folder, "home"),
    };
    symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(folder, "node_modules"));
    writeFileSync(join(folder, "Pulumi.yaml"), "name: qdrant-dr\nruntime: nodejs\n");
    writeFileSync(join(folder, "index.js"), 'throw new Error("there is no region nowhere");\n');
    const run = (...args: readonly string[]) => runPulumi(args, { cwd: folder, env });
    await run("stack", "init", "dr");
    const { message } = (await run("up", "--yes", "--stack", "dr").catch((error: Error) => error)) as Error;
    expect(message).to.contain("there is no region nowhere");
  });
});
