import { createTransport } from "nodemailer";
import { asEmail } from "../../domain/alerts/alert-forms.ts";
import { oneLine } from "../../domain/one-line.ts";
import { DrError } from "../../errors.ts";
import type { AlertReceiver, Told } from "../../ports/alert-receiver.ts";

const patienceMs = 15_000;

export interface SmtpSettings {
  readonly host: string;
  readonly port: number;
  readonly security: "starttls" | "tls" | "none";
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  readonly from: string;
  readonly to: string;
}

/** One address: one that is refused keeps nobody else from being told. */
export class EmailAddress implements AlertReceiver {
  readonly name: string;
  readonly #settings: SmtpSettings;

  /** @param number its place among the addresses of the settings, from 1. */
  constructor(number: number, settings: SmtpSettings) {
    this.name = `email-${number}`;
    this.#settings = settings;
  }

  async tell(told: Told): Promise<void> {
    const { from, host, login, port, security, to } = this.#settings;
    const transport = createTransport({
      host,
      port,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password } }),
      connectionTimeout: patienceMs,
      greetingTimeout: patienceMs,
      socketTimeout: patienceMs,
      // What is told is text: nothing in it is read from a file or fetched.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      await transport.sendMail({ from, to, ...asEmail(told) });
    } catch (error) {
      throw new DrError("UNREACHABLE", `e-mail to ${to} by ${host}:${port} was not taken: ${reasonOf(error, login)}`, {
        hint: "check the settings of alerts.email, and whether this machine may reach the server",
      });
    } finally {
      transport.close();
    }
  }
}

/** A server may repeat what it was sent, the password too, as it is or in the forms that SMTP sends it in. */
function reasonOf(error: unknown, login: SmtpSettings["login"]): string {
  const reason = oneLine(error instanceof Error ? error.message : String(error), 300);
  if (login === undefined) return reason;
  const { password, user } = login;
  const sent = [password, `\0${user}\0${password}`].map((text) => Buffer.from(text).toString("base64"));
  return [password, ...sent].reduce((text, secret) => text.replaceAll(secret, "…"), reason);
}
