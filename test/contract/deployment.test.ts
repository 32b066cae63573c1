/**
 * The files of deploy/: Compose's own library reads the Compose file, systemd its units and times, croner the crontab, the product the settings;
 * and every command in them is one of the product. That they are what the code makes is proven in test/unit/documents.test.ts, that the
 * commands run in test/e2e/package.test.ts.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Cron } from "croner";
import { parse } from "yaml";
import { leafCommands, readProgram } from "../../docs/references.ts";
import { environmentExample } from "../../package/deployment/environment.ts";
import { onCalendar } from "../../package/deployment/on-calendar.ts";
import { exampleSettings, noExample } from "../../package/deployment/settings-example.ts";
import { parseRegionSettings, regionSettingsSchema } from "../../runtime/domain/settings/region-settings.ts";
import { composeConfig, filledEnvironment } from "../support/documents/compose-file.ts";
import { checkout } from "../support/documents/shown-commands.ts";

const deploy = join(checkout, "deploy");
const read = (path: string) => readFileSync(join(deploy, path), "utf8");

describe("deploy/", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-deploy-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  describe("compose.yaml", () => {
    it("is read by Compose with .env.example filled in: what starts when, as whom, and what the machine shows", () => {
      const { services, volumes } = composeConfig(folder, filledEnvironment({ QDRANT_API_KEY: "a-key" }));
      expect(Object.keys(services).sort()).to.deep.equal(["init", "qdrant", "qdrant-dr", "store"]);
      expect(Object.keys(volumes).sort()).to.deep.equal(["qdrant", "settings", "store"]);
      expect(services["init"]?.depends_on).to.deep.include({
        qdrant: { condition: "service_healthy", required: true },
      });
      expect(services["qdrant-dr"]?.depends_on).to.deep.equal({
        init: { condition: "service_completed_successfully", required: true },
      });
      for (const name of ["init", "qdrant-dr"]) {
        expect(services[name]?.cap_drop, name).to.deep.equal(["ALL"]);
        expect(services[name]?.environment?.["QDRANT_API_KEY"], name).to.equal("a-key");
      }
      const ports = Object.values(services).flatMap((service) => service.ports ?? []);
      expect(ports.map(({ host_ip, published, target }) => `${host_ip}:${published}:${target}`)).to.deep.equal([
        "127.0.0.1:6333:6333",
        "127.0.0.1:9464:9464",
      ]);
    });

    it("starts nothing without its secrets, and says what to do", () => {
      for (const name of ["QDRANT_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) {
        expect(() => composeConfig(folder, filledEnvironment({ [name]: "" })), name).to.throw(
          `required variable ${name} is missing a value: copy .env.example to .env and fill it in`,
        );
      }
    });

    it("uses no variable that .env.example does not show, and takes each from it", () => {
      const used = new Set([...read("compose.yaml").matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
      const shown = [...environmentExample().matchAll(/^(?:# )?([A-Z0-9_]+)=(.*)$/gm)];
      expect(shown.map(([, name]) => name)).to.include.members([...used]);
      const others = Object.fromEntries([...used].map((name = "", at) => [name, String(20_000 + at)]));
      const text = JSON.stringify(composeConfig(folder, others));
      for (const [name, value] of Object.entries(others)) expect(text, name).to.contain(value);
    });
  });

  describe("qdrant-dr.example.yaml", () => {
    it("is a settings file, and with all that it shows besides, too", () => {
      const text = read("qdrant-dr.example.yaml");
      parseRegionSettings("the example", parse(text));
      const alone = ({
        peers: _,
        ...qdrant
      }: (typeof exampleSettings)["qdrant"] | (typeof exampleSettings)["peer"]["qdrant"]) => qdrant;
      const peer = { ...exampleSettings.peer, qdrant: alone(exampleSettings.peer.qdrant) };
      parseRegionSettings("the example in full", { ...exampleSettings, peer, qdrant: alone(exampleSettings.qdrant) });
    });

    it("shows every setting with its meaning", () => {
      const text = read("qdrant-dr.example.yaml");
      const named = Object.keys(regionSettingsSchema.shape);
      expect(text, "exampleSettings has a value for each").not.to.contain(`: ${noExample}`);
      for (const name of named) expect(text, name).to.match(new RegExp(`^# .+\\n(# )?${name}:`, "m"));
    });
  });

  describe("systemd", () => {
    const units = readdirSync(join(deploy, "systemd"));

    it("takes every unit, and finds each confined", () => {
      const own = join(folder, "systemd");
      for (const unit of units) {
        cpSync(join(deploy, "systemd", unit), join(own, unit));
        // What is started has to be there.
        const text = readFileSync(join(own, unit), "utf8");
        writeFileSync(join(own, unit), text.replace("/usr/local/bin/qdrant-dr", join(checkout, "bin/qdrant-dr")));
      }
      const paths = units.map((unit) => join(own, unit));
      expect(analyze("verify", "--man=no", ...paths)).to.equal("");
      const services = paths.filter((path) => path.endsWith(".service"));
      // Above 2.5 of 10 it would end with an error; without any of the settings it is 9.6.
      analyze("security", "--offline=yes", "--threshold=25", "--no-pager", ...services);
    });

    it("has a timer for each service but those that run all the time, at the times of the schedules", () => {
      const named = (ending: string) =>
        units.filter((unit) => unit.endsWith(ending)).map((unit) => unit.replace(ending, ""));
      expect(named(".timer").sort()).to.deep.equal(
        named(".service")
          .filter((name) => !["qdrant-dr", "qdrant-dr-gate"].includes(name))
          .sort(),
      );
    });

    for (const cron of [
      "0 2 * * *",
      "0 */4 * * *",
      "30 5 * * *",
      "0 5 * * 0",
      "15,45 8-18/2 * * 1,3,7",
      "5 0 1 */3 *",
      "*/10 * * * *",
    ]) {
      it(`means by the time that is made of \`${cron}\` what cron means`, () => {
        const from = new Date("2026-02-27T23:59:00Z");
        const wanted = new Cron(cron, { mode: "5-part", timezone: "UTC", paused: true }).nextRuns(20, from);
        const said = analyze("calendar", "--iterations=20", "--base-time=2026-02-27 23:59:00 UTC", onCalendar(cron));
        const times = [...said.matchAll(/(?:Next elapse|Iteration #\d+|Iter\. #\d+): \w+ (\S+) (\S+) UTC/g)];
        expect(times.map(([, day, time]) => `${day}T${time}.000Z`)).to.deep.equal(
          wanted.map((time) => time.toISOString()),
        );
      });
    }

    it("a time that systemd would take for another one is refused", () => {
      expect(() => onCalendar("0 0 1 * 1")).to.throw("either day");
    });
  });

  it("the crontab's times are cron's, in UTC, and its commands the product's", async () => {
    const lines = read("crontab")
      .split("\n")
      .filter((line) => /^[\d*]/.test(line));
    expect(lines).to.have.length(5);
    for (const line of lines) {
      const [, cron = "", command = ""] = /^((?:\S+ ){5})(.+)$/.exec(line) ?? [];
      expect(new Cron(cron.trim(), { mode: "5-part", paused: true }).nextRuns(2), line).to.have.length(2);
      expect(command).not.to.contain("%");
    }
    expect(read("crontab")).to.match(/^CRON_TZ=UTC$/m);
  });

  it("every command in it is understood", async () => {
    const ofUnits = readdirSync(join(deploy, "systemd")).flatMap((unit) => [
      ...read(join("systemd", unit)).matchAll(/^ExecStart=\S+ (.+)$/gm),
    ]);
    const ofCron = [...read("crontab").matchAll(/^[\d*].* qdrant-dr (.+)$/gm)];
    const { services } = composeConfig(folder, filledEnvironment({}));
    const ofCompose = ["init", "qdrant-dr"].map((name) => services[name]?.command?.slice(1) ?? []);
    const commands = [...ofCompose, ...[...ofUnits, ...ofCron].map(([, line = ""]) => line.split(" "))];
    expect(commands).to.have.length(14);
    for (const args of commands) {
      let reached = 0;
      const program = readProgram().exitOverride();
      for (const command of leafCommands(program)) command.exitOverride().action(() => void reached++);
      await program.parseAsync(args, { from: "user" });
      expect(reached, args.join(" ")).to.equal(1);
    }
  });
});

function analyze(...args: string[]): string {
  try {
    return execFileSync("systemd-analyze", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TZ: "UTC", SYSTEMD_COLORS: "0" },
    });
  } catch (error) {
    const { stderr, stdout } = error as { stderr: string; stdout: string };
    throw new Error(`systemd-analyze ${args.join(" ")}: ${stdout}${stderr}`);
  }
}
