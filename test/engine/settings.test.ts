/** What the real engine makes of settings files: the committed ones, and broken copies of them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { signed, trust } from "../support/estates/test-trust.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

describe("settings files by the engine", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-settings-"));
  const env = {
    ...process.env,
    PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
    PULUMI_HOME: join(folder, "home"),
    PULUMI_CONFIG_PASSPHRASE: "of-a-test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const entriesBefore = readdirSync(checkout).sort();

  before(() => {
    for (const name of ["state", "home"]) mkdirSync(join(folder, name));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function pulumi(args: readonly string[], cwd: string) {
    const child = spawn("pulumi", [...args, "--non-interactive", "--color", "never"], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += String(piece)));
    await once(child, "close");
    return { exitCode: child.exitCode, output };
  }

  /** Previews the checkout's program with a copy of a stack's settings, changed or made anew by `edit`. */
  async function preview(stack: string, edit: (settings: string) => string, more: readonly (readonly string[])[] = []) {
    const settings = mkdtempSync(join(folder, `${stack}-`));
    cpSync(join(checkout, "Pulumi.yaml"), join(settings, "Pulumi.yaml"));
    const file = join(settings, `Pulumi.${stack}.yaml`);
    const committed = readdirSync(checkout).includes(`Pulumi.${stack}.yaml`);
    writeFileSync(file, edit(committed ? readFileSync(join(checkout, `Pulumi.${stack}.yaml`), "utf8") : ""));
    const made = await pulumi(["stack", "init", stack, "--no-select"], settings);
    expect(made.exitCode, made.output).to.equal(0);
    try {
      for (const args of more) {
        const set = await pulumi([...args, "--stack", stack], settings);
        expect(set.exitCode, set.output).to.equal(0);
      }
      return await pulumi(["preview", "--stack", stack, "--config-file", file], checkout);
    } finally {
      await pulumi(["stack", "rm", stack, "--yes", "--force"], settings);
      expect(readdirSync(checkout).sort()).to.deep.equal(entriesBefore);
    }
  }

  for (const stack of ["prod", "dr"]) {
    it(`Pulumi.${stack}.yaml asks for exactly what only its operator knows`, async () => {
      const { exitCode, output } = await preview(stack, (settings) => settings);
      expect(exitCode).not.to.equal(0);
      // The engine tells it twice: as the program says it, and in the summary.
      const asked = [...output.matchAll(/([\w.]+): nothing is not allowed/g)].map(([, setting]) => setting);
      expect([...new Set(asked)]).to.deep.equal([
        "trust",
        "stores",
        "kubernetes.image",
        "kubernetes.qdrant.image",
        "kubernetes.recipients",
        "aws",
      ]);
      expect(output)
        .to.contain(`error: SETTING_INVALID: stack ${stack}: `)
        .and.not.match(/^\s+at /m);
    });
  }

  it("a broken copy of Pulumi.prod.yaml is refused with every wrong setting, what was given, and what is allowed", async () => {
    const { exitCode, output } = await preview("prod", (settings) =>
      settings
        .replace("initialRole: active", "initialRole: leader")
        .replace("rtoMinutes: 30", "rtoMinutes: -1")
        .replace("namespace: qdrant", "namespace: qdrant\n    nodes: 3")
        .replace(
          "config:",
          "config:\n  qdrant-dr:pear: dr\n  qdrant-dr:userData:\n    - name: uploads\n      path: uploads",
        ),
    );
    expect(exitCode).not.to.equal(0);
    expect(output).to.contain("error: SETTING_INVALID: stack prod: ");
    for (const problem of [
      'initialRole: "leader" is not allowed (Invalid option: expected one of "active"|"standby")',
      "objectives.rtoMinutes: -1 is not allowed (Too small: expected number to be >0)",
      "kubernetes.nodes: there is no such setting",
      "pear: there is no such setting",
      'userData.0.path: "uploads" is not allowed (an absolute path)',
      "(correct it in Pulumi.prod.yaml; Pulumi.yaml describes every setting)",
    ]) {
      expect(output).to.contain(problem);
    }
    expect(output)
      .not.to.contain("NOT_SUPPORTED")
      .and.not.match(/^\s+at /m);
  });

  it("a secret in a wrong form is refused by its name, and is not shown", async () => {
    const control = join(folder, "control");
    mkdirSync(control);
    const at = new Date().toISOString();
    await claimEpoch(signed(new FileStore(control), "one", "control"), {
      epoch: 1,
      active: "one",
      reason: "initial",
      run: "r",
      at,
    });
    const settings = {
      peer: "two",
      initialRole: "active",
      platform: "processes",
      trust,
      store: "s3",
      processes: {
        estate: "test",
        folder: join(folder, "disk"),
        control,
        ports: { gate: 20_011, gateControl: 20_009, qdrant: 20_000, qdrantGrpc: 20_001, store: 20_002 },
        endpoint: { port: 20_010, runsHere: false, upstreams: { one: "http://127.0.0.1:20000" } },
        recipients: ["age1operational", "age1recovery"],
      },
    };
    const config = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`qdrant-dr:${name}`, value]));
    const secrets = { qdrantApiKeys: { one: "short-secret" }, clientKey: "tiny-secret" };
    const { exitCode, output } = await preview("one", () => JSON.stringify({ config }), [
      ["config", "set", "--secret", "secrets", JSON.stringify(secrets)],
    ]);
    expect(exitCode).not.to.equal(0);
    expect(output).to.contain("SETTING_INVALID: stack one: secrets.qdrantApiKeys.one");
    expect(output).to.contain("secrets.clientKey").and.contain("secrets.identity");
    expect(output)
      .not.to.contain("short-secret")
      .and.not.contain("tiny-secret")
      .and.not.match(/^\s+at /m);
  });
});
