/**
 * `export monitoring`: what it writes is taken by Prometheus and Alertmanager, and led to the right people; and whatever somebody else wrote or
 * changed in the folder stays. That each alert fires when it should is proven in test/contract/alerts.test.ts.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { compose } from "../../runtime/composition/compose.ts";
import { alertmanagerConfig, placeholderEmail, receiverKinds } from "../../runtime/domain/monitoring/alertmanager.ts";
import { alertsOf } from "../../runtime/domain/monitoring/alerts.ts";
import { kubernetesSchema } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { TextFiles } from "../../runtime/ports/text-files.ts";
import { exportFiles } from "../../runtime/workflows/export/export-files.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { trust } from "../support/estates/test-trust.ts";

const names = [
  "alertmanager/alertmanager.yml",
  "grafana/qdrant-dr-overview.json",
  "grafana/qdrant-dr-points.json",
  "prometheus/prometheus.yml",
  "prometheus/qdrant-dr-main.rules.yml",
];

describe("export monitoring", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-export-"));
  const settings = join(folder, "qdrant-dr.yaml");
  after(() => rmSync(folder, { recursive: true, force: true }));

  const usual = {
    qdrant: { url: "http://127.0.0.1:6333", apiKey: { env: "NOT_SET_HERE" } },
    store: "recovery-points",
    keys: {
      recipients: ["age1operational", "age1offline"],
      identity: { file: "no-such-file" },
      signing: { file: "no-such-file" },
    },
    trust,
  };
  const write = (more: object = {}) => writeFileSync(settings, JSON.stringify({ ...usual, ...more }));
  beforeEach(() => write());

  async function run(into: string, ...args: string[]) {
    let [out, err] = ["", ""];
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const exitCode = await runCheckedCli(["export", "monitoring", into, ...args, "--json"], deps, {
      out: (text) => (out += `${text}\n`),
      err: (text) => (err += text),
    });
    return { exitCode, err, answer: JSON.parse(out.trimEnd().split("\n").at(-1) ?? "{}") };
  }
  const exported = async (name: string, ...args: string[]) => {
    const into = join(folder, name);
    const { answer, err, exitCode } = await run(into, "--settings", settings, ...args);
    expect(exitCode, err).to.equal(0);
    return { into, answer };
  };
  const filesIn = (path: string) =>
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
      .sort();
  const rulesIn = (into: string) => readFileSync(join(into, "prometheus/qdrant-dr-main.rules.yml"), "utf8");

  it("needs no secret, and writes what Prometheus takes: rules, and a configuration that reads them", async () => {
    const { answer, into } = await exported("all");
    expect(answer.written.toSorted()).to.deep.equal(names);
    expect(filesIn(into)).to.deep.equal([".qdrant-dr-export.json", ...names]);
    const said = tool("promtool", ["check", "config", "prometheus.yml"], join(into, "prometheus"));
    const alerts = parse(rulesIn(into)).groups.flatMap(({ rules }: { rules: object[] }) => rules);
    expect(alerts.length).to.be.at.least(12);
    expect(said).to.contain("SUCCESS: 1 rule files found").and.contain(`SUCCESS: ${alerts.length} rules found`);
    const text = JSON.stringify(alerts);
    expect(text, "there is no pod on a machine, and no other region").not.to.match(
      /pod|job qdrant|namespace|failover|copy|Gate/,
    );
    for (const each of readdirSync(join(into, "grafana")))
      JSON.parse(readFileSync(join(into, "grafana", each), "utf8"));
  });

  it("judges what is late by the schedules of the settings; what is off is never late", async () => {
    write({ schedules: { full: "0 2 * * 0", incremental: "off", testRestore: "off", verify: "off" } });
    const { into } = await exported("weekly");
    const rules = rulesIn(into);
    expect(rules).to.contain("> 612000)").and.contain("QdrantDrCaptureOverdue");
    expect(rules).not.to.match(/TestRestoreOverdue|VerificationOverdue/);
  });

  it("by the outputs of a stack's region the same, and it is said when they tell no schedules", async () => {
    const { outputs } = await lonelyRegion("prod", folder);
    const file = join(folder, "prod.json");
    writeFileSync(file, JSON.stringify(outputs));
    const into = join(folder, "stack");
    const { answer, err, exitCode } = await run(
      into,
      "--stack",
      "prod",
      "--outputs",
      file,
      "--target",
      "10.0.0.5:9464",
    );
    expect(exitCode, err).to.equal(0);
    expect(answer.knowsSchedules).to.equal(false);
    expect(readFileSync(join(into, "prometheus/qdrant-dr-prod.rules.yml"), "utf8")).to.contain("QdrantDrPeerStoreDown");
    expect(readFileSync(join(into, "prometheus/prometheus.yml"), "utf8")).to.contain("10.0.0.5:9464");
  });

  describe("Alertmanager's configuration", () => {
    for (const kinds of [receiverKinds.join(), "email", "slack,webhook", "pagerduty"]) {
      it(`is taken by Alertmanager, holds no secret, and leads by severity: ${kinds}`, async () => {
        const { into } = await exported(`receivers-${kinds}`, "--receivers", kinds);
        const place = join(into, "alertmanager");
        expect(tool("amtool", ["check-config", "alertmanager.yml"], place)).to.contain("SUCCESS");
        const to = (severity: string) =>
          tool(
            "amtool",
            ["config", "routes", "test", "--config.file=alertmanager.yml", `severity=${severity}`],
            place,
          ).trim();
        expect([to("critical"), to("warning")]).to.deep.equal(["qdrant-dr-critical", "qdrant-dr-warning"]);
        const { receivers } = parse(readFileSync(join(place, "alertmanager.yml"), "utf8"));
        const told = receivers.map((receiver: object) => Object.keys(receiver).filter((key) => key !== "name"));
        const wanted = kinds.split(",").map((kind) => `${kind}_configs`);
        const quiet = wanted.filter((kind) => kind !== "pagerduty_configs");
        expect(told).to.deep.equal([wanted, quiet.length === 0 ? wanted : quiet]);
      });
    }

    it("takes addresses of e-mail from the settings", async () => {
      const email = { host: "mail.example.org", from: "dr@example.org", to: ["a@example.org", "b@example.org"] };
      write({ alerts: { email } });
      const { into } = await exported("email", "--receivers", "email");
      const { receivers } = parse(readFileSync(join(into, "alertmanager/alertmanager.yml"), "utf8"));
      expect(receivers[0].email_configs).to.deep.equal([
        {
          to: "a@example.org, b@example.org",
          from: "dr@example.org",
          smarthost: "mail.example.org:587",
          send_resolved: true,
        },
      ]);
    });

    it("holds back only alerts that are there, beside a cause that is there", () => {
      const all = alertsOf({
        ...{ region: "dr", peer: "prod", hasGate: true, objectives: { rpoMinutes: 15 } },
        schedules: kubernetesSchema.shape.schedules.parse({}),
        replicate: { everySeconds: 10, tiers: {} },
      }).map(({ alert }) => alert);
      const { inhibit_rules } = alertmanagerConfig({ kinds: receiverKinds, email: placeholderEmail });
      for (const { source_matchers, target_matchers } of inhibit_rules) {
        const [, cause] = /^alertname="(.+)"$/.exec(source_matchers[0] ?? "") ?? [];
        expect(all).to.include(cause);
        const [, pattern = ""] = /^alertname=~"(.+)"$/.exec(target_matchers[0] ?? "") ?? [];
        for (const part of pattern.split("|")) {
          const held = all.filter((alert) => new RegExp(`^(?:${part})$`).test(alert));
          expect(held, part).to.have.length.above(0);
        }
      }
    });

    it("refuses a kind that it does not know", async () => {
      const { err, exitCode } = await run(join(folder, "fax"), "--settings", settings, "--receivers", "fax");
      expect([exitCode, err]).to.deep.equal([2, err]);
      expect(err).to.contain("It must be of email, slack, pagerduty, webhook");
    });
  });

  describe("in a folder that is there", () => {
    it("written again, nothing changes; after a change of the settings, what follows from them", async () => {
      const { into } = await exported("again");
      const { answer } = await exported("again");
      expect([answer.written, answer.unchanged.toSorted()]).to.deep.equal([[], names]);
      write({ schedules: { full: "0 2 * * 0" } });
      const { answer: changed } = await exported("again");
      expect(changed.written).to.deep.equal(["prometheus/qdrant-dr-main.rules.yml"]);
      expect(rulesIn(into)).to.contain("> 612000)");
    });

    it("a file that somebody changed stays, with the text of now beside it", async () => {
      const { into } = await exported("changed");
      const file = join(into, "alertmanager/alertmanager.yml");
      writeFileSync(file, "mine: true\n");
      for (const _ of [1, 2]) {
        const { answer } = await exported("changed", "--receivers", "email");
        expect(answer.kept).to.deep.equal([
          { file: "alertmanager/alertmanager.yml", newer: "alertmanager/alertmanager.yml.new" },
        ]);
        expect(readFileSync(file, "utf8")).to.equal("mine: true\n");
        expect(readFileSync(`${file}.new`, "utf8")).to.contain("email_configs");
      }
    });

    it("a file that is nobody's stops all of it, before anything is written", async () => {
      const into = join(folder, "foreign");
      mkdirSync(join(into, "grafana"), { recursive: true });
      writeFileSync(join(into, "grafana/qdrant-dr-points.json"), "{}");
      const { err, exitCode } = await run(into, "--settings", settings);
      expect(exitCode).to.equal(11);
      expect(err).to.contain("grafana/qdrant-dr-points.json");
      expect(filesIn(into)).to.deep.equal(["grafana/qdrant-dr-points.json"]);
    });

    it("a folder that cannot be one, or a record that cannot be read, is one clear error", async () => {
      const { err, exitCode } = await run(join(settings, "below"), "--settings", settings);
      expect(exitCode).to.equal(2);
      expect(err).to.contain("cannot be read (ENOTDIR)").and.contain("hint: ");
      const { into } = await exported("record");
      writeFileSync(join(into, ".qdrant-dr-export.json"), "no JSON");
      write({ schedules: { full: "0 2 * * 0" } });
      expect((await run(into, "--settings", settings)).exitCode).to.equal(11);
    });

    it("cut off after any write and run again, it goes on, and takes nothing of its own for somebody else's", async () => {
      const texts = (version: number) => new Map(["a", "b", "c"].map((name) => [name, `${name} ${version}`]));
      for (let writes = 0; writes <= 4; writes++) {
        const files = new MemoryFiles();
        await exportFiles(files, texts(1));
        files.writesLeft = writes;
        const ended = await exportFiles(files, texts(2)).then(
          () => "done",
          () => "cut off",
        );
        expect(ended).to.equal(writes < 4 ? "cut off" : "done");
        files.writesLeft = Number.POSITIVE_INFINITY;
        const { kept } = await exportFiles(files, texts(3));
        expect(kept).to.deep.equal([]);
        expect(["a", "b", "c"].map((name) => files.texts.get(name))).to.deep.equal(["a 3", "b 3", "c 3"]);
      }
    });
  });
});

/** A folder that breaks down after some writes. */
class MemoryFiles implements TextFiles {
  readonly texts = new Map<string, string>();
  writesLeft = Number.POSITIVE_INFINITY;

  async read(path: string): Promise<string | undefined> {
    return this.texts.get(path);
  }

  async write(path: string, text: string): Promise<void> {
    if (this.writesLeft-- <= 0) throw new Error("cut off");
    this.texts.set(path, text);
  }
}

function tool(program: string, args: string[], cwd: string): string {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stderr, stdout } = error as { stderr: string; stdout: string };
    throw new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}`);
  }
}
