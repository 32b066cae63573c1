/**
 * Who is told of problems, on real servers: each form of a webhook, e-mail in each security, and no secret in what is said of them; and `serve` on a
 * simulated clock, whose stopped schedule, failing store and dead process reach a real webhook and a real mailbox once each.
 */
import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { expect } from "chai";
import { HeartbeatUrl } from "../../runtime/adapters/alerts/heartbeat-url.ts";
import { EmailAddress, type SmtpSettings } from "../../runtime/adapters/alerts/smtp.ts";
import { Webhook } from "../../runtime/adapters/alerts/webhook.ts";
import type { Told } from "../../runtime/ports/alert-receiver.ts";
import { SimulatedMachine } from "../support/estates/simulated-serve.ts";
import { SmtpServer } from "../support/servers/smtp-server.ts";
import { WebhookServer } from "../support/servers/webhook-server.ts";
import { eventually } from "../support/time/eventually.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const hourMs = 3_600_000;
const login = { user: "backup", password: "the-password-of-the-mailbox" };
const told: Told = {
  event: "failure",
  subject: "full",
  region: "main",
  at: "2026-03-02T02:00:00.000Z",
  title: "the full capture failed",
  message: "Qdrant says <!channel> & [click](http://evil)",
  hint: "start Qdrant",
};

describe("receivers of alerts", function () {
  this.timeout(60_000);
  const trusted = getCACertificates();
  let web: WebhookServer;

  before(async () => {
    web = await WebhookServer.start();
  });
  after(() => web.stop());
  afterEach(() => {
    web.status = 200;
    web.calls.length = 0;
    setDefaultCACertificates(trusted);
  });

  // biome-ignore lint/suspicious/noExplicitAny: bodies are compared field by field
  const sent = (): any => JSON.parse(web.calls[0]?.body ?? "");

  it("a webhook in plain JSON: every field as it is", async () => {
    await new Webhook(1, { url: `${web.url}/hook`, form: "json" }).tell(told);
    expect(sent()).to.deep.equal({ source: "qdrant-dr", ...told });
    expect(web.calls[0]).to.include({ method: "POST", path: "/hook" });
  });

  it("Slack's form: text that mentions nobody", async () => {
    await new Webhook(1, { url: `${web.url}/hook`, form: "slack" }).tell(told);
    expect(sent().text).to.equal(
      "*🔴 main: the full capture failed*\nQdrant says &lt;!channel&gt; &amp; [click](http://evil)\nNow: start Qdrant\n2026-03-02 02:00:00 UTC",
    );
  });

  it("Teams' form: an adaptive card whose text is no link", async () => {
    await new Webhook(1, { url: `${web.url}/hook`, form: "teams" }).tell(told);
    const { attachments, type } = sent();
    expect(type).to.equal("message");
    expect(attachments[0].contentType).to.equal("application/vnd.microsoft.card.adaptive");
    const texts = attachments[0].content.body.map(({ text }: { text: string }) => text);
    expect(texts).to.deep.equal([
      "🔴 main: the full capture failed",
      "Qdrant says <!channel> & \\[click\\](http://evil)",
      "Now: start Qdrant",
      "2026-03-02 02:00:00 UTC",
    ]);
  });

  it("a heartbeat is a call and nothing more", async () => {
    await new HeartbeatUrl(`${web.url}/beat`).beat();
    expect(web.calls).to.deep.equal([{ method: "GET", path: "/beat", body: "" }]);
  });

  for (const status of [302, 404, 500]) {
    it(`a webhook that answers ${status} has not taken it, and its URL is not shown`, async () => {
      web.status = status;
      const error = await failureOf(new Webhook(2, { url: `${web.url}/secret-path`, form: "json" }).tell(told));
      expect(error.message).to.equal(`webhook-2 answered ${status}`);
    });
  }

  it("a webhook that is down: its URL is not shown, nor what the system says of it", async () => {
    const error = await failureOf(new Webhook(2, { url: "http://127.0.0.1:1/secret-path", form: "json" }).tell(told));
    expect(error.message).to.match(/^webhook-2 does not answer \(\w[\w ]+\)$/);
    expect(error.cause).to.equal(undefined);
  });

  for (const security of ["starttls", "tls", "none"] as const) {
    it(`an e-mail with ${security}, logged in`, async () => {
      const server = await SmtpServer.start({ security, login });
      try {
        if (security !== "none") trust(server);
        await addressOf(server, { security, login }).tell(told);
        expect(server.mails).to.have.length(1);
        const { body, ...mail } = server.mails[0] ?? { body: "" };
        expect(mail).to.deep.equal({
          to: ["ops@example.org"],
          subject: "[qdrant-dr] main: the full capture failed",
          isEncrypted: security !== "none",
          user: "backup",
        });
        expect(body).to.contain("Now: start Qdrant");
      } finally {
        await server.stop();
      }
    });
  }

  it("nothing is sent in the clear where encryption is wanted, nor to a server that nobody vouches for", async () => {
    const clear = await SmtpServer.start({ security: "none" });
    const unknown = await SmtpServer.start({ security: "starttls" });
    try {
      for (const server of [clear, unknown]) {
        await failureOf(addressOf(server, { security: "starttls" }).tell(told));
        expect(server.mails).to.deep.equal([]);
      }
    } finally {
      await Promise.all([clear.stop(), unknown.stop()]);
    }
  });

  it("a wrong password, which the server repeats, is not shown; an address that is refused is named", async () => {
    const server = await SmtpServer.start({ security: "none", login });
    try {
      const wrong = { user: "backup", password: "a-wrong-password" };
      const error = await failureOf(addressOf(server, { security: "none", login: wrong }).tell(told));
      expect(error.message).to.contain("was not taken").and.not.to.contain(wrong.password);
      const refused = addressOf(server, { security: "none", login, to: "nobody@example.org" });
      expect((await failureOf(refused.tell(told))).message).to.contain("nobody@example.org");
    } finally {
      await server.stop();
    }
  });

  it("a stopped schedule, a failing store, a dead process: told once each, and once when it is over", async () => {
    const mailbox = await SmtpServer.start({ security: "starttls", login });
    trust(mailbox);
    const clock = new SimulatedClock({ start: new Date("2026-03-02T00:00:00.000Z"), unattendedMs: 60_000 });
    const machine = new SimulatedMachine(clock);
    machine.heartbeat = new HeartbeatUrl(`${web.url}/beat`);
    machine.receivers.push(new Webhook(1, { url: `${web.url}/hook`, form: "json" }));
    machine.receivers.push(addressOf(mailbox, { security: "starttls", login }));
    const start = () => machine.start([{ run: "incremental", cron: "0 */4 * * *" }], []);
    const subjects = () =>
      web.of("/hook").map(({ body }) => `${JSON.parse(body).event} of ${JSON.parse(body).subject}`);
    const toldSince = async (count: number, wanted: readonly string[]) => {
      const look = () => subjects().length >= count + wanted.length && mailbox.mails.length >= count + wanted.length;
      await eventually(`${wanted}`, look, { withinMs: 20_000 });
      expect(subjects().slice(count)).to.deep.equal(wanted);
      expect(mailbox.mails.slice(count)).to.have.length(wanted.length);
    };
    const beatsAre = (count: number) =>
      eventually(`${count} heartbeats`, () => web.of("/beat").length === count, { withinMs: 20_000 });
    try {
      let serve = start();
      await clock.advance(hourMs / 2);
      await beatsAre(1);
      // A machine that stands still: no heartbeat comes, and what did not happen is told by who is started next.
      await serve.stop();
      await clock.advance(10 * hourMs);
      await beatsAre(1);
      serve = start();
      await clock.advance(hourMs / 2);
      await toldSince(0, ["silence of incremental", "recovery of incremental"]);
      await beatsAre(2);
      // In the middle of a run.
      await clock.advance(hourMs + 2 * 60_000);
      serve.kill();
      await clock.advance(60_000);
      serve = start();
      await clock.advance(hourMs / 2);
      await toldSince(2, ["failure of incremental", "recovery of incremental"]);
      machine.isStoreDown = true;
      await clock.advance(24 * hourMs);
      await toldSince(4, ["failure of store"]);
      await serve.stop();
      serve = start();
      await clock.advance(12 * hourMs);
      machine.isStoreDown = false;
      await clock.advance(hourMs / 2);
      await toldSince(5, ["recovery of store"]);
      await beatsAre(4);
      await clock.advance(12 * hourMs);
      await beatsAre(7);
      await serve.stop();
      expect(subjects(), "nothing else").to.have.length(6);
      expect(mailbox.mails, "nothing else").to.have.length(6);
    } finally {
      await mailbox.stop();
    }
  });

  function trust({ certificate }: SmtpServer): void {
    setDefaultCACertificates([...trusted, readFileSync(certificate, "utf8")]);
  }
});

function addressOf(server: SmtpServer, more: Pick<SmtpSettings, "security" | "login"> & { readonly to?: string }) {
  const common = { host: "127.0.0.1", port: server.port, from: "qdrant-dr@example.org", to: "ops@example.org" };
  return new EmailAddress(1, { ...common, ...more });
}

async function failureOf(telling: Promise<void>): Promise<Error> {
  try {
    await telling;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("it was taken");
}
