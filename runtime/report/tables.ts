/** Tables of report pages. */
import { formatSeconds } from "../domain/format.ts";
import type { TimedStep } from "../domain/timed-step.ts";
import { type Html, html } from "./html.ts";

/** The first column names the row. The frame scrolls when a phone is too narrow, hence reachable by keyboard. */
export function table(
  caption: string,
  columns: readonly string[],
  body: readonly Html[],
  foot: readonly Html[] = [],
): Html {
  return html`<div class="frame" role="region" tabindex="0" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
${body}
${foot}
</table></div>`;
}

export function stepTable(caption: string, steps: readonly TimedStep[], origin: string): Html {
  const rows = steps.map(
    (step) => html`<tr><th scope="row">${step.title}<small>${step.detail}</small></th>
<td>${formatSeconds(Math.max(0, Date.parse(step.startedAt) - Date.parse(origin)) / 1000)}</td>
<td>${formatSeconds(step.seconds)}</td></tr>`,
  );
  return table(caption, ["Step", "Began at", "Took"], [html`<tbody>${rows}</tbody>`]);
}

/** What something was, each by its name. */
export function factTable(rows: readonly (readonly [name: string, value: string])[]): Html {
  const body = rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td><code>${value}</code></td></tr>`);
  return table("What it was", ["", "Value"], [html`<tbody>${body}</tbody>`]);
}
