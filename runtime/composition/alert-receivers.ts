/** Makes those who are told of problems, of a settings file and the secrets that it refers to. */
import { HeartbeatUrl } from "../adapters/alerts/heartbeat-url.ts";
import { Webhook } from "../adapters/alerts/webhook.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";
import { DrError } from "../errors.ts";
import type { AlertReceiver } from "../ports/alert-receiver.ts";
import type { SettingsFile } from "../ports/settings-file.ts";
import type { AlertReceivers } from "./deps.ts";

export async function readAlertReceivers(file: SettingsFile): Promise<AlertReceivers> {
  const { heartbeat, webhooks } = file.settings.alerts;
  const receivers: AlertReceiver[] = [];
  for (const [index, { form, url }] of webhooks.entries()) {
    const number = index + 1;
    receivers.push(new Webhook(number, { form, url: await readUrl(file, url, `alerts.webhooks.${index}.url`) }));
  }
  return {
    receivers: [...receivers, ...(await readAddresses(file))],
    heartbeat: heartbeat && new HeartbeatUrl(await readUrl(file, heartbeat, "alerts.heartbeat")),
  };
}

async function readAddresses(file: SettingsFile): Promise<AlertReceiver[]> {
  const { email } = file.settings.alerts;
  if (email === undefined) return [];
  const { password, to, user, ...server } = email;
  const login =
    user === undefined || password === undefined
      ? undefined
      : { user, password: await file.secret(password, "alerts.email.password") };
  // Loaded on demand: only who sends e-mail needs the library.
  const { EmailAddress } = await import("../adapters/alerts/smtp.ts");
  return to.map((address, index) => new EmailAddress(index + 1, { ...server, login, to: address }));
}

/** The URL is a secret: nothing that is thrown shows it. */
async function readUrl(file: SettingsFile, reference: SecretReference, setting: string): Promise<string> {
  const url = await file.secret(reference, setting);
  const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
  if (protocol === "https:" || protocol === "http:") return url;
  throw new DrError("SETTING_INVALID", `${setting} in ${file.path} leads to no URL`, {
    hint: "let it lead to a URL that begins with https://, alone in its file or variable",
  });
}
