import { asWebhookBody, type WebhookForm } from "../../domain/alerts/alert-forms.ts";
import type { AlertReceiver, Told } from "../../ports/alert-receiver.ts";
import { callSecretUrl } from "./post.ts";

export class Webhook implements AlertReceiver {
  readonly name: string;
  readonly #url: string;
  readonly #form: WebhookForm;

  /** @param number its place among the webhooks of the settings, from 1: its URL is a secret. */
  constructor(number: number, { form, url }: { readonly url: string; readonly form: WebhookForm }) {
    this.name = `webhook-${number}`;
    this.#url = url;
    this.#form = form;
  }

  async tell(told: Told, signal?: AbortSignal): Promise<void> {
    await callSecretUrl(this.#url, { body: asWebhookBody(this.#form, told), signal, what: this.name });
  }
}
