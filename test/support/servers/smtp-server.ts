/** A real SMTP server for a test, with a certificate of its own for 127.0.0.1; it keeps the mails that it took. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";

export interface TakenMail {
  readonly to: readonly string[];
  readonly subject: string;
  readonly body: string;
  readonly isEncrypted: boolean;
  /** Who logged in. */
  readonly user: string | undefined;
}

export class SmtpServer {
  readonly mails: TakenMail[] = [];
  readonly port: number;
  /** A file with its certificate, which is its authority as well. */
  readonly certificate: string;
  readonly #server: SMTPServer;
  readonly #folder: string;

  private constructor(server: SMTPServer, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.port = (server.server.address() as AddressInfo).port;
    this.certificate = join(folder, "server.crt");
  }

  /** @param login who may send; everybody when left out. */
  static async start({
    login,
    security = "starttls",
  }: {
    readonly security?: "starttls" | "tls" | "none";
    readonly login?: { readonly user: string; readonly password: string };
  } = {}): Promise<SmtpServer> {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-smtp-"));
    makeCertificate(folder);
    const mails: TakenMail[] = [];
    const server = new SMTPServer({
      secure: security === "tls",
      key: readFileSync(join(folder, "server.key")),
      cert: readFileSync(join(folder, "server.crt")),
      authOptional: login === undefined,
      disabledCommands: [...(security === "starttls" ? [] : ["STARTTLS"]), ...(login === undefined ? ["AUTH"] : [])],
      onAuth: ({ password, username }, _, done) => {
        if (username === login?.user && password === login?.password) done(null, { user: username });
        // Some servers repeat what they refuse.
        else done(new Error(`refused: ${username} with ${password}`));
      },
      onRcptTo: ({ address }, _, done) => (address.startsWith("nobody@") ? done(new Error("no such mailbox")) : done()),
      onData: (stream, session, done) => {
        void text(stream).then((mail) => {
          const [head = "", ...body] = mail.split("\r\n\r\n");
          mails.push({
            to: session.envelope.rcptTo.map(({ address }) => address),
            subject: /^Subject: (.*(?:\r\n .*)*)$/m.exec(head)?.[1]?.replaceAll("\r\n ", " ") ?? "",
            body: body.join("\r\n\r\n"),
            isEncrypted: session.secure,
            user: session.user,
          });
          done();
        });
      },
    });
    // A client that gives up ends the connection in an error, which is none of the server's.
    server.on("error", () => undefined);
    server.listen(0, "127.0.0.1");
    await once(server.server, "listening");
    return Object.assign(new SmtpServer(server, folder), { mails });
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function makeCertificate(folder: string): void {
  const options = ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", join(folder, "server.key"), "-out", join(folder, "server.crt")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...options, ...files], { stdio: "ignore" });
}
