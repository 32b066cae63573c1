/** `serve` as a process, on a real Qdrant, with a real webhook and mailbox: killed in the middle of a run, started again, and stopped. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { runningProcesses } from "../support/estates/estate-remains.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { Product } from "../support/product.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SmtpServer } from "../support/servers/smtp-server.ts";
import { WebhookServer } from "../support/servers/webhook-server.ts";
import { eventually } from "../support/time/eventually.ts";

describe("qdrant-dr serve", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-serve-"));
  const settings = join(folder, "qdrant-dr.yaml");
  const stateBefore = process.env["XDG_STATE_HOME"];
  let qdrant: QdrantServer;
  let web: WebhookServer;
  let mailbox: SmtpServer;
  let serving: Product | undefined;

  before(async () => {
    process.env["XDG_STATE_HOME"] = join(folder, "state");
    [qdrant, web, mailbox] = await Promise.all([
      QdrantServer.start(),
      WebhookServer.start(),
      SmtpServer.start({ security: "none" }),
    ]);
    const client = clientOf(qdrant);
    await client.createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.upsert("notes", { wait: true, points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    writeFileSync(join(folder, "key"), qdrant.apiKey, { mode: 0o600 });
    const where = ["--qdrant", qdrant.url, "--api-key-file", join(folder, "key"), "--store", join(folder, "store")];
    await run(["init", "--yes", ...where, "--offline-key-file", join(folder, "offline")]);
    writeFileSync(join(folder, "hook"), `${web.url}/hook-that-is-a-secret`, { mode: 0o600 });
    writeFileSync(join(folder, "beat"), `${web.url}/beat`, { mode: 0o600 });
    const made = parse(readFileSync(settings, "utf8"));
    const yearly = "0 0 1 1 *";
    writeFileSync(
      settings,
      stringify({
        ...made,
        schedules: { full: yearly, incremental: "off", verify: yearly, testRestore: "off", prune: "off" },
        objectives: { rpoMinutes: 530_000 },
        serve: { port: 0 },
        alerts: {
          webhooks: [{ url: { file: "hook" } }],
          heartbeat: { file: "beat" },
          email: {
            host: "127.0.0.1",
            port: mailbox.port,
            security: "none",
            from: "dr@example.org",
            to: ["ops@example.org"],
          },
        },
      }),
    );
  });

  after(async () => {
    serving?.signal("SIGKILL");
    await Promise.all([qdrant?.stop(), web?.stop(), mailbox?.stop()]);
    if (stateBefore === undefined) delete process.env["XDG_STATE_HOME"];
    else process.env["XDG_STATE_HOME"] = stateBefore;
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(args: readonly string[], expected = 0): Promise<Product> {
    const product = Product.startDirect([...args, "--settings", settings], folder);
    expect(await product.end(), `${args.join(" ")}\n${product.stderr}`).to.equal(expected);
    return product;
  }

  const titles = () =>
    web.of("/hook-that-is-a-secret").map(({ body }) => (JSON.parse(body) as { title: string }).title);
  const beats = () => web.of("/beat").length;
  const serve = () => (serving = Product.startDirect(["serve", "--settings", settings], folder));
  const commandsOf = () => runningProcesses().filter(({ commandLine }) => commandLine.includes(settings));

  it("`alerts test` reaches everybody, and says who does not take it, without a URL", async () => {
    const told = await run(["alerts", "test", "--json"]);
    expect(told.json).to.deep.equal({ receivers: ["webhook-1", "email-1", "heartbeat"] });
    expect(mailbox.mails.map(({ subject }) => subject)).to.deep.equal(["[qdrant-dr] main: this is a test"]);
    web.status = 404;
    const failed = await run(["alerts", "test"], 5);
    web.status = 200;
    expect(failed.stderr).to.contain("2 of 3 did not take the test: webhook-1 answered 404; email-1 took it");
    expect(failed.stderr).not.to.contain("hook-that-is-a-secret");
    web.calls.length = 0;
    mailbox.mails.length = 0;
  });

  it("killed in the middle of a run: its run ends with it, the next one says so, goes on, and is well again", async () => {
    const first = serve();
    await first.says(/^full: begins/);
    expect(beats()).to.equal(0);
    first.signal("SIGKILL");
    await first.end();
    await eventually("its run to end with it", () => commandsOf().length === 0, { withinMs: 20_000 });
    expect(titles(), "a dead process tells nothing").to.deep.equal([]);

    const second = serve();
    await second.says(/^full: ended well/);
    await second.says(/^verify: ended well/);
    const both = ["the full capture was cut off", "the full capture went well"];
    await eventually("the alerts", () => titles().length >= 2 && mailbox.mails.length >= 2 && beats() >= 2);
    expect(titles().filter((title) => title.includes("full"))).to.deep.equal(both);

    const url = /^serve: (http:\S+)\/metrics$/m.exec(second.stderr)?.[1];
    expect((await fetch(`${url}/healthz`)).status).to.equal(200);
    expect((await fetch(`${url}/readyz`)).status).to.equal(200);
    const metrics = async () => (await fetch(`${url}/metrics`)).text();
    expect(await metrics()).to.contain('qdrant_dr_source_up{region="main",source="qdrant"} 1');
    second.signal("SIGTERM");
    expect(await second.end(), second.stderr).to.equal(0);
    expect(second.stderr).not.to.contain("hook-that-is-a-secret");
  });

  it("started again: nothing is done or told twice; stopped in the middle of nothing it ends with 0", async () => {
    const before = { told: titles().length, mails: mailbox.mails.length, beats: beats() };
    const third = serve();
    await third.says(/^serve: http/);
    const url = /^serve: (http:\S+)\/metrics$/m.exec(third.stderr)?.[1];
    await eventually("it to have looked", async () => (await fetch(`${url}/readyz`)).status === 200);
    third.signal("SIGTERM");
    expect(await third.end(), third.stderr).to.equal(0);
    expect(third.stderr).not.to.match(/begins/);
    expect({ told: titles().length, mails: mailbox.mails.length, beats: beats() }).to.deep.equal(before);
  });

  it("`logs` shows how the runs ended and why", async () => {
    await run(["verify", "--recovery-point", "no-such-point"], 10);
    const shown = (await run(["logs"])).stdout;
    expect(shown).to.match(/^BEGAN +KIND +TOOK +ENDED\n/);
    expect(shown).to.match(/ UTC {2}verify {2}.* failed: RECOVERY_POINT_NOT_FOUND \(10\)\n {4}\S/);
    expect(shown).to.match(/ UTC {2}full +.* well$/m);
    const { json } = (await run(["logs", "--failed", "--kind", "verify", "--json"])) as { json: unknown };
    expect(json).to.have.property("runs").with.length(1);
    expect(json).to.have.nested.property("runs[0].message").that.contains("no-such-point");
  });
});
