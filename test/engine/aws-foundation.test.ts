/**
 * Proves the life of the foundation in AWS under the real engine, with a stand-in for the provider and an emulator of AWS. That
 * AWS takes it, and keeps what it promises, is not proven.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GetBucketPolicyCommand, GetObjectCommand, HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { openObject } from "../../runtime/domain/trust/envelope.ts";
import { trustSchema } from "../../runtime/domain/trust/trust.ts";
import { saidIn } from "../support/estates/test-trust.ts";
import { installStandIns } from "../support/providers/plugins.ts";
import { AwsEmulator } from "../support/servers/aws-emulator.ts";
import { executablePolicyPack } from "../support/stacks/policy-pack.ts";

const program = fileURLToPath(new URL("../../bootstrap", import.meta.url));
const product = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));
const buckets = ["prod", "dr"].flatMap((region) =>
  ["repository", "control", "audit", "state"].map((kind) => `example-qdr-${region}-${kind}`),
);

describe("the foundation in AWS", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-foundation-"));
  const settings = join(folder, "project", "Pulumi.estate.yaml");
  let emulator: AwsEmulator;
  let pack: string;

  before(async () => {
    for (const name of ["state", "project"]) mkdirSync(join(folder, name));
    for (const name of ["Pulumi.yaml", "Pulumi.estate.yaml"])
      cpSync(join(program, name), join(folder, "project", name));
    installStandIns(join(folder, "home"), ["aws"]);
    pack = executablePolicyPack(folder);
    emulator = await AwsEmulator.start();
    const made = await pulumi(["stack", "init", "estate", "--no-select"], join(folder, "project"));
    expect(made.exitCode, made.output).to.equal(0);
  });
  after(async () => {
    await emulator?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function pulumi(args: readonly string[], cwd = program) {
    return run("pulumi", [...args, "--non-interactive", "--color", "never"], cwd);
  }

  function qdrantDr(args: readonly string[]) {
    return run(process.execPath, ["--disable-warning=ExperimentalWarning", product, ...args], folder);
  }

  async function run(command: string, args: readonly string[], cwd: string) {
    const child = spawn(command, args, {
      cwd,
      env: {
        ...process.env,
        ...emulator.env,
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        PULUMI_HOME: join(folder, "home"),
        PULUMI_CONFIG_PASSPHRASE: "of-a-test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (output += String(piece)));
    await once(child, "close");
    return { exitCode: child.exitCode, output };
  }

  const ofStack = ["--stack", "estate", "--config-file", settings];
  const up = (...more: string[]) =>
    pulumi(["up", "--yes", "--skip-preview", ...ofStack, "--policy-pack", pack, ...more]);

  function s3(): S3Client {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const endpoint = emulator.env["AWS_ENDPOINT_URL"] as string;
    return new S3Client({
      region: "eu-central-1",
      endpoint,
      credentials,
      forcePathStyle: true,
      followRegionRedirects: true,
    });
  }

  it("comes up with every rule kept, from the settings that are committed as an example; again, nothing changes", async () => {
    const first = await up();
    expect(first.exitCode, first.output).to.equal(0);
    const client = s3();
    for (const Bucket of buckets) {
      const { Policy } = await client.send(new GetBucketPolicyCommand({ Bucket }));
      expect(JSON.parse(Policy ?? "").Statement.length, Bucket).to.be.greaterThan(4);
    }
    const second = await up("--expect-no-changes");
    expect(second.exitCode, second.output).to.equal(0);
    expect(second.output).not.to.contain("can't run policy");
  });

  it("init writes the first epoch into both control stores, once, and shows the settings of both stacks", async () => {
    const outputs = await pulumi(["stack", "output", "--json", "--stack", "estate"]);
    const file = join(folder, "foundation.json");
    writeFileSync(file, outputs.output);
    expect((await qdrantDr(["keys", "new", "--name", "alice"])).exitCode).to.equal(0);
    const init = ["estate", "init", "--foundation", file, "--signing-key-file", join(folder, "alice.signing-key")];
    const first = await qdrantDr([...init, "--json"]);
    expect(first.exitCode, first.output).to.equal(0);
    const { first: epoch, settings: lines } = JSON.parse(first.output.trim().split("\n").at(-1) ?? "");
    expect(epoch).to.include({ epoch: 1, active: "prod", reason: "initial" });
    const { keyArn } = JSON.parse(outputs.output).regions.dr.aws;
    expect(lines.dr).to.contain(
      'qdrant-dr:stores: {"repository":{"bucket":"example-qdr-dr-repository","region":"eu-west-1"}',
    );
    expect(lines.dr).to.contain(`"keyArn":"${keyArn}"`);
    const believed = /qdrant-dr:trust: (.*)/;
    const trust = trustSchema.parse(JSON.parse(believed.exec(lines.dr)?.[1] ?? ""));
    expect(believed.exec(lines.prod)?.[1]).to.equal(JSON.stringify(trust));
    const again = await qdrantDr(init);
    expect(again.output).to.contain("Epoch 1 stands in both control stores: prod serves first.");
    for (const region of ["prod", "dr"]) {
      const command = new GetObjectCommand({ Bucket: `example-qdr-${region}-control`, Key: "epochs/0000000001.json" });
      const { Body } = await s3().send(command);
      const stored = Buffer.from((await Body?.transformToByteArray()) ?? []);
      const opened = openObject(
        trust,
        { trustId: trust.id, region, store: "control" },
        command.input.Key ?? "",
        stored,
      );
      expect(opened).not.to.have.property("problem");
      expect(JSON.parse(saidIn(stored.toString()))).to.deep.equal(epoch);
    }
    const other = JSON.stringify({ ...JSON.parse(outputs.output), initialActive: "dr" });
    writeFileSync(file, other);
    const refused = await qdrantDr(init);
    expect(refused.exitCode).to.equal(11);
    expect(refused.output).to.contain("begins with prod as active");
  });

  it("settings that break a rule of the policy pack are told before anything changes, by the rule's name", async () => {
    const committed = readFileSync(settings, "utf8");
    const name = "qdrant-dr-bootstrap:initialActive: prod";
    writeFileSync(settings, committed.replace(name, `${name}\n  qdrant-dr-bootstrap:auditLockDays: 7`));
    try {
      const { exitCode, output } = await pulumi(["preview", ...ofStack, "--policy-pack", pack]);
      expect(exitCode, output).not.to.equal(0);
      expect(output).to.match(/\[mandatory\] +locked-as-long-as-kept/);
      expect(output).to.contain("it locks for 7 days, not for 730");
      // That of each region.
      expect(output.match(/\[mandatory\]/g)).to.have.length(2);
    } finally {
      writeFileSync(settings, committed);
    }
  });

  it("settings that do not fit are refused before any resource, with what is allowed", async () => {
    const committed = readFileSync(settings, "utf8");
    writeFileSync(settings, committed.replace("initialActive: prod", "initialActive: elsewhere"));
    try {
      const { exitCode, output } = await pulumi(["preview", ...ofStack]);
      expect(exitCode).not.to.equal(0);
      expect(output).to.contain("initialActive: one of dr, prod");
      expect(output).not.to.contain("StoreBucket");
    } finally {
      writeFileSync(settings, committed);
    }
  });

  it("destroy is refused and takes nothing away; unprotected and destroyed nevertheless, every bucket stays with its guards", async () => {
    const refused = await pulumi(["destroy", "--yes", "--skip-preview", ...ofStack]);
    expect(refused.exitCode).not.to.equal(0);
    expect(refused.output).to.contain("cannot be deleted");
    expect(refused.output).not.to.match(/- \d+ deleted/);
    const unprotected = await pulumi(["state", "unprotect", "--all", "--yes", "--stack", "estate"]);
    expect(unprotected.exitCode, unprotected.output).to.equal(0);
    const destroyed = await pulumi(["destroy", "--yes", "--skip-preview", ...ofStack]);
    expect(destroyed.exitCode, destroyed.output).to.equal(0);
    const client = s3();
    for (const Bucket of buckets) {
      await client.send(new HeadBucketCommand({ Bucket }));
      const { Policy } = await client.send(new GetBucketPolicyCommand({ Bucket }));
      expect(Policy, Bucket).to.contain("RefusePlainHttp");
    }
  });
});
