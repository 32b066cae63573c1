import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { PulumiStacks } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { trust } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";

describe("outputs of regions", () => {
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-outputs-"));
  const outputsOf = (region: string) =>
    JSON.stringify({
      contract: 1,
      region,
      peer: "other",
      role: "active",
      epoch: 1,
      objectives: { rtoMinutes: 30, rpoMinutes: 15 },
      qdrant: { peers: ["http://127.0.0.1:6333"], apiKey: "key" },
      repository: { kind: "file", folder: join(folder, "repository") },
      control: { kind: "file", folder: join(folder, "control") },
      keys: { recipients: ["age1a", "age1b"], identity: "AGE-SECRET-KEY-1" },
      trust,
    });

  before(() => {
    for (const region of ["prod", "dr"]) writeFileSync(join(folder, `${region}.json`), outputsOf(region));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("a folder holds those of each stack by its name; a file those of one", async () => {
    const deps = await compose({ progress: () => {}, onInterrupt: () => () => {} });
    for (const name of ["prod", "dr"]) {
      expect((await deps.access(name, { outputs: folder })).region.region).to.equal(name);
    }
    expect((await deps.access("prod", { outputs: join(folder, "prod.json") })).region.region).to.equal("prod");
    expect(await codeOf(deps.access("prod", { outputs: join(folder, "dr.json") }))).to.equal("USAGE");
    expect(await codeOf(deps.access("third", { outputs: folder }))).to.equal("SETTING_INVALID");
  });

  it("the stacks of an estate are those that the program opens; a program that opens none refuses its name", async () => {
    const surroundings = { progress: () => {}, onInterrupt: () => () => {} };
    const stacks = new PulumiStacks({ folder, env: {} });
    const opened: string[] = [];
    const openEstate = async (id: string) => {
      opened.push(id);
      return stacks;
    };
    expect(await (await compose({ ...surroundings, openEstate })).stacks({ estate: "e1" })).to.equal(stacks);
    expect(opened).to.deep.equal(["e1"]);
    expect(await codeOf((await compose(surroundings)).stacks({ estate: "e1" }))).to.equal("NOT_SUPPORTED");
  });
});
