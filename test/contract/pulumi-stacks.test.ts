import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { isAlive } from "../../runtime/adapters/process-identity.ts";
import { PulumiStacks } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
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
