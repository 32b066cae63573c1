/** The command `prune` on a region with stores in folders: its plan, its two phases a day apart, and what it leaves. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import { retentionSchema } from "../../runtime/domain/history/retention.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";
import { saidIn, storedAs, storeOf } from "../support/estates/test-trust.ts";

describe("the command prune", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prune-command-"));
  const repository = join(folder, "repository");
  const outputs = join(folder, "east.json");

  before(async () => {
    const { outputs: lonely } = await lonelyRegion("east", folder);
    mkdirSync(repository);
    mkdirSync(join(folder, "etc"));
    const region: Region = {
      ...lonely,
      repository: { kind: "file", folder: repository },
      configuration: [{ name: "etc", path: join(folder, "etc") }] as Region["configuration"],
      retention: retentionSchema.parse({ atLeast: 1 }),
    };
    writeFileSync(outputs, JSON.stringify(region));
    await storeOf(region, "control").create(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  async function run(...args: string[]) {
    const said = { out: "", err: "" };
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const exitCode = await runCheckedCli([...args, "--stack", "east", "--outputs", outputs], deps, {
      out: (text) => {
        said.out += `${text}\n`;
      },
      err: (text) => {
        said.err += `${text}\n`;
      },
    });
    expect(exitCode, said.err).to.equal(0);
    return said.out;
  }

  const json = async (...args: string[]) =>
    JSON.parse((await run(...args, "--json")).trimEnd().split("\n").at(-1) ?? "");

  function filesBelow(path: string): string[] {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  }

  /** A day and an hour pass, for the stores and for the plan that is in them. */
  function letADayPass(): void {
    const back = 25 * 3_600_000;
    for (const file of [...filesBelow(repository), ...filesBelow(join(folder, "control"))]) {
      if (file.endsWith("plan.json")) {
        const plan = JSON.parse(saidIn(readFileSync(file, "utf8")));
        const earlier = JSON.stringify({ ...plan, at: new Date(Date.parse(plan.at) - back).toISOString() });
        writeFileSync(file, storedAs("east", relative(join(folder, "control"), file), earlier));
      }
      const at = new Date(statSync(file).mtimeMs - back);
      utimesSync(file, at, at);
    }
  }

  it("shows a plan and changes nothing, plans, and a day later deletes it: what is left is whole", async () => {
    // Within four hours, of which one is kept when the plan is executed, a day later.
    for (let n = 0; n < 4; n += 1) {
      writeFileSync(join(folder, "etc", "settings"), `state ${n}`.repeat(10_000));
      await run("backup", "--only", "config");
    }
    const before = filesBelow(repository);
    const [{ id: first }] = (await json("recovery-points", "list")).recoveryPoints;
    await run("recovery-points", "keep", "--recovery-point", first, "--reason", "for a moment");
    expect(await run("recovery-points", "list")).to.match(new RegExp(`^${first} .* {2}kept: for a moment$`, "m"));
    expect(await run("prune", "--plan")).to.match(new RegExp(`^keep {2}${first} {2}kept: for a moment`, "m"));
    await run("recovery-points", "keep", "--recovery-point", first, "--until", "2199-01-31T00:00:00Z");
    const kept = (await json("recovery-points", "list")).recoveryPoints.map((each: { kept?: object }) => each.kept);
    expect(kept).to.deep.equal([{ until: "2199-01-31T00:00:00.000Z" }, undefined, undefined, undefined]);
    expect(await json("recovery-points", "keep", "--recovery-point", first, "--end")).to.include({ isKept: false });

    const shown = await run("prune", "--plan");
    expect(shown)
      .to.match(/^keep {2}\S+ {2}one of the 1 newest$/m)
      .and.match(/^drop {2}\S+ {2}\S+ is kept of its 4 hours$/m);
    expect(filesBelow(repository)).to.deep.equal(before);

    const { executed, planned } = await json("prune");
    expect([executed, planned.plan]).to.deep.equal([undefined, 1]);
    expect(planned.recoveryPoints).to.be.within(1, 3);
    expect(await run("prune")).to.match(/^Plan 1: \d recovery points? and \d+ objects .* will go, not before/m);
    expect(filesBelow(repository)).to.deep.equal(before);

    letADayPass();
    await run("backup", "--only", "config");
    const second = await json("prune");
    expect(second.executed.recoveryPoints).to.equal(planned.recoveryPoints);
    expect(second.executed.objects).to.equal(planned.objects);
    const { recoveryPoints } = await json("recovery-points", "list");
    expect(recoveryPoints).to.have.length(5 - planned.recoveryPoints);
    for (const { id, state } of recoveryPoints) {
      expect(state).to.equal("complete");
      await run("verify", "--recovery-point", id);
    }
    const runs = filesBelow(join(folder, "control", "runs")).filter((file) => file.endsWith(".prune.json"));
    expect(runs).to.have.length(3);
  });
});
