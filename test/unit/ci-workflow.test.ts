import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { parse } from "yaml";
import { runCli } from "../../runtime/cli.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { DrError } from "../../runtime/errors.ts";
import { ciWorkflow } from "../support/documents/ci-workflow.ts";

interface Workflow {
  readonly jobs: Readonly<
    Record<string, { readonly steps: readonly { readonly uses?: string; readonly with?: Record<string, unknown> }[] }>
  >;
}

const { env, steps } = ciWorkflow.jobs.failover;

describe("the workflow that fails over from CI", () => {
  it("runs one at a time to its end, with no rights but to read, and puts no input into a command's text", () => {
    expect(ciWorkflow.concurrency).to.deep.equal({ group: "failover", "cancel-in-progress": false });
    expect(ciWorkflow.permissions).to.deep.equal({ contents: "read" });
    expect(ciWorkflow.defaults).to.deep.equal({ run: { shell: "bash" } });
    const inputs = Object.keys(ciWorkflow.on.workflow_dispatch.inputs);
    const used = `${JSON.stringify(env)} ${steps.map((step) => step.if ?? "").join(" ")}`;
    for (const input of inputs) expect(used).to.contain(`inputs.${input}`);
    for (const { run: text = "" } of steps) expect(text).to.not.contain("${{");
  });

  it("runs nothing that another workflow left, and no action that its makers can change: no cache, actions by commit, no credentials kept", () => {
    const folder = new URL("../../.github/workflows/", import.meta.url);
    const used = readdirSync(folder).flatMap((name) => {
      const { jobs } = parse(readFileSync(new URL(name, folder), "utf8")) as Workflow;
      return Object.values(jobs).flatMap((job) => job.steps.map((step) => ({ ...step, name })));
    });
    const actions = used.filter(({ uses }) => uses !== undefined);
    expect(actions.length).to.be.above(4);
    for (const { name, uses, with: given } of actions) {
      expect(uses, name).to.match(/^[a-z-]+\/[a-z-]+@[0-9a-f]{40}$/);
      if (uses?.startsWith("actions/checkout@")) expect(given, name).to.include({ "persist-credentials": false });
      if (name === "failover.yml") expect(`${uses} ${Object.keys(given ?? {})}`).to.not.contain("cache");
    }
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
});
