/** How an alert is written for each kind of receiver. */
import { formatTime } from "../format.ts";
import type { Alert } from "./alert.ts";

type Told = Omit<Alert, "event" | "subject"> & { readonly event: Alert["event"] | "test"; readonly subject: string };

export const webhookForms = ["json", "slack", "teams"] as const;
export type WebhookForm = (typeof webhookForms)[number];

/** `main: the full capture failed`. */
function headline({ region, title }: Told): string {
  return `${region}: ${title}`;
}

function marked(told: Told): string {
  const signs = { failure: "🔴", silence: "🟠", recovery: "🟢", test: "🔵" } as const;
  return `${signs[told.event]} ${headline(told)}`;
}

function paragraphs({ at, hint, message }: Told): string[] {
  return [...(message === undefined ? [] : [message]), ...(hint === undefined ? [] : [`Now: ${hint}`]), formatTime(at)];
}

export function asWebhookBody(form: WebhookForm, told: Told): object {
  if (form === "slack")
    return { text: [`*${slackText(marked(told))}*`, ...paragraphs(told).map(slackText)].join("\n") };
  if (form === "teams") return teamsCard(told);
  return { source: "qdrant-dr", ...told };
}

export function asEmail(told: Told): { readonly subject: string; readonly text: string } {
  return { subject: `[qdrant-dr] ${headline(told)}`, text: `${[headline(told), ...paragraphs(told)].join("\n\n")}\n` };
}

/** Slack reads mentions and links in these signs; a message of a server shall make none. */
function slackText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** An adaptive card, as Teams' workflow "when a webhook request is received" posts it. */
function teamsCard(told: Told): object {
  const block = (text: string, more: object = {}) => ({
    type: "TextBlock",
    text: teamsText(text),
    wrap: true,
    ...more,
  });
  return {
    type: "message",
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          body: [
            block(marked(told), { weight: "Bolder", size: "Medium" }),
            ...paragraphs(told).map((text) => block(text)),
          ],
        },
      },
    ],
  };
}

/** A card's text is Markdown: a message of a server shall make no links in it. */
function teamsText(text: string): string {
  return text.replaceAll(/[\\[\]*_`]/g, "\\$&");
}
