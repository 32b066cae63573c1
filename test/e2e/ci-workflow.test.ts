/** The example of a failover from CI: its own commands, as a runner's shell runs them, on an estate whose primary is lost. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadYaml } from "@kubernetes/client-node";
import { expect } from "chai";
import { runCli } from "../../runtime/cli.ts";
import type { Deps } from "../../runtime/compose.ts";
import { longestGapMinutes } from "../../runtime/domain/estate/schedule.ts";
import { DrError } from "../../runtime/errors.ts";
import { type LostPrimary, loseThePrimary } from "../support/lost-primary.ts";
import { Product } from "../support/product.ts";

interface Workflow {
  readonly on: {
    readonly workflow_dispatch: { readonly inputs: Readonly<Record<string, object>> };
    readonly schedule: readonly { readonly cron: string }[];
  };
  readonly permissions: object;
  readonly concurrency: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly defaults: object;
  readonly jobs: {
    readonly failover: {
      readonly if: string;
      readonly env: Readonly<Record<string, string>>;
      readonly steps: readonly Step[];
    };
  };
}

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly if?: string;
}

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const workflow = loadYaml<Workflow>(readFileSync(join(checkout, ".github", "workflows", "failover.yml"), "utf8"));
const { env, steps } = workflow.jobs.failover;

describe("the workflow that fails over from CI", function () {
  this.timeout(240_000);
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-ci-workflow-"));
  const estates = join(root, "estates");
  let lost: LostPrimary;

  before(async () => {
    mkdirSync(estates);
    lost = await loseThePrimary(estates, 300);
  });

  after(async () => {
    await lost?.client.stop();
    await Product.start(["quickstart", "--stop"], estates).end();
    rmSync(root, { recursive: true, force: true });
  });

  /** Runs a step in the shell that `shell: bash` stands for; `killAt` kills all of it when a line on stderr matches. */
  async function run(name: string, killAt?: RegExp): Promise<{ exitCode: number | null; said: string; json: object }> {
    const command = steps.find((step) => step.name === name)?.run;
    if (command === undefined) throw new Error(`there is no step ${name}`);
    const here = command.replaceAll(
      /\.\/bin\/qdrant-dr (\w+)/g,
      `${checkout}bin/qdrant-dr $1 --estate ${lost.estate.id}`,
    );
    const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", here], {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, QDRANT_DR_ESTATES: estates, TO: "standby", ACCEPT_DATA_LOSS: "3600" },
    });
    let said = "";
    let out = "";
    child.stdout.on("data", (piece) => (out += String(piece)));
    child.stderr.on("data", (piece) => {
      said += String(piece);
      if (killAt?.test(said) && child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
    });
    const [exitCode] = (await once(child, "close")) as [number | null];
    const last = out.trimEnd().split("\n").at(-1) ?? "";
    return { exitCode, said, json: last.startsWith("{") ? JSON.parse(last) : {} };
  }

  it("runs one at a time to its end, with no rights but to read, and puts no input into a command's text", () => {
    expect(workflow.concurrency).to.deep.equal({ group: "failover", "cancel-in-progress": false });
    expect(workflow.permissions).to.deep.equal({ contents: "read" });
    expect(workflow.defaults).to.deep.equal({ run: { shell: "bash" } });
    const inputs = Object.keys(workflow.on.workflow_dispatch.inputs);
    const used = `${JSON.stringify(env)} ${steps.map((step) => step.if ?? "").join(" ")}`;
    for (const input of inputs) expect(used).to.contain(`inputs.${input}`);
    for (const { run: text = "" } of steps) expect(text).to.not.contain("${{");
  });

  it("by the clock it drills once a month, if a stack is named for that, and does nothing else", () => {
    const [{ cron } = { cron: "" }, ...more] = workflow.on.schedule;
    expect(longestGapMinutes(cron)).to.equal(31 * 24 * 60);
    expect(more).to.deep.equal([]);
    expect(workflow.jobs.failover.if).to.equal("github.event_name != 'schedule' || vars.DRILL_TO != ''");
    expect(env["TO"]).to.contain("vars.DRILL_TO");
    const mayAct = steps.filter(({ if: when, run: text = "" }) => when !== undefined && text.includes("failover --to"));
    const byTheClock = mayAct.filter(({ if: when }) => when?.includes("github.event_name == 'schedule'"));
    expect(byTheClock.map(({ name }) => name)).to.deep.equal(["Drill"]);
    // An input is empty then.
    for (const step of mayAct) expect(step.if).to.match(/^inputs\.mode == '\w+'/);
  });

  it("calls the command line with options that it has", async () => {
    const calls = steps.flatMap(({ run: text = "" }) => [...text.matchAll(/\.\/bin\/qdrant-dr ([^|\n]+)/g)]);
    expect(calls).to.not.be.empty;
    const reached = () => Promise.reject(new DrError("UNREACHABLE", "the region would be asked now"));
    const deps = { access: reached, stacks: reached, progress: () => undefined, toolVersion: "0" } as unknown as Deps;
    for (const [, args = ""] of calls) {
      const given = args
        .trim()
        .replaceAll(/"\$[A-Z_]+"/g, "1")
        .split(" ");
      let said = "";
      await runCli(given, deps, { out: () => undefined, err: (text) => (said += text) });
      expect(said, args).to.contain("the region would be asked now");
    }
  });

  it("looks first: the active region is down, by several signals, and does not stop what follows", async () => {
    const { exitCode, json, said } = await run("Look at both regions");
    expect(exitCode, said).to.equal(0);
    expect(json).to.have.nested.property("primary.verdict", "down");
    expect(json).to.have.nested.property("readiness.score").that.is.greaterThan(50);
    expect((await run("Refuse while the active region serves")).exitCode).to.equal(0);
    const plan = await run("Say what would happen");
    expect(plan.exitCode, plan.said).to.equal(0);
    expect(plan.json).to.include({ continues: false, epoch: 2 });
  });

  it("fails over; cut off in the middle, the job goes on when it is run again", async () => {
    const cut = await run("Fail over", /"step":"restore"/);
    expect(cut.exitCode).to.equal(null);
    const plan = await run("Say what would happen");
    expect(plan.json).to.include({ continues: true, epoch: 2 });
    const again = await run("Fail over");
    expect(again.exitCode, again.said).to.equal(0);
    expect(again.json).to.include({ region: "standby", epoch: 2, isVerified: true });
    expect(JSON.parse(readFileSync(join(root, "failover.json"), "utf8").trimEnd().split("\n").at(-1) ?? "")).to.include(
      {
        region: "standby",
      },
    );
  });
});
