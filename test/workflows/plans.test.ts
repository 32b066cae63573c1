/** Plans of role changes, beside a switchover that stopped half-way: the state in which something could be changed by mistake. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { writeFence } from "../../runtime/repository/control/gate-records.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { type RegionPair, regionPair } from "../support/estates/region-pair.ts";
import { storeOf } from "../support/estates/test-trust.ts";

describe("a plan of a change of roles", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-plans-"));
  let regions: RegionPair;

  before("a switchover to west has fenced east and was killed", async () => {
    regions = await regionPair(folder, {});
    await new RegionAccess(regions.west).repositoryForWriting();
    const fence = { epoch: 2, region: "east", run: "killed", at: new Date().toISOString() };
    for (const region of Object.values(regions)) await writeFence(storeOf(region, "control"), fence);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  async function run(...args: string[]) {
    let output = "";
    const say = (text: string) => {
      output += `${text}\n`;
    };
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const exitCode = await runCheckedCli([...args, "--to", "west", "--outputs", join(folder, "regions")], deps, {
      out: say,
      err: say,
    });
    return { exitCode, output };
  }

  /** Every file of every store, with what it holds. */
  const stored = () =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(folder, path)).isFile())
      .sort()
      .map((path) => [path, readFileSync(join(folder, path), "utf8")]);

  it("changes nothing, and no option makes it act", async () => {
    const before = stored();
    const planned = await run("switchover", "plan", "--json");
    expect(planned.exitCode, planned.output).to.equal(0);
    expect(JSON.parse(planned.output)).to.include({ region: "west", from: "east", epoch: 2, continues: false });
    // No recovery point is there.
    expect((await run("failover", "plan", "--json")).exitCode).to.equal(10);
    for (const acting of ["--abort", "--planned", "--unplanned", "--drill"]) {
      for (const change of ["switchover", "failover"]) {
        expect((await run(change, "plan", acting)).output).to.contain(`unknown option '${acting}'`);
      }
    }
    for (const command of [["switchover", "abort"], ["switchover", "run"], ["failover", "run"], ["drill"]]) {
      expect((await run(...command, "--plan")).output).to.contain("unknown option '--plan'");
    }
    expect(stored()).to.deep.equal(before);
  });

  it("leaves it to `switchover abort` to abort the switchover", async () => {
    const { exitCode, output } = await run("switchover", "abort", "--json");
    expect(exitCode, output).to.equal(0);
    expect(JSON.parse(output)).to.deep.equal({ epoch: 2, active: "east" });
  });
});
