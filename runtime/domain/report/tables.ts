/** The numbers of the report, one table for each kind. */
import { formatBytes, formatCount, formatIdRanges, formatSeconds, formatTime } from "../format.ts";
import type { PracticeCollection, PracticePoint, PracticeResult, PracticeStep } from "../practice/practice-result.ts";
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

export function runTable(result: PracticeResult): Html {
  return stepTable("Steps of the run, counted from its start", result.steps, result.startedAt);
}

export function failoverTable(result: PracticeResult): Html {
  return stepTable("Steps of the failover, counted from the kill", result.failover, result.killedAt);
}

export function stepTable(caption: string, steps: readonly PracticeStep[], origin: string): Html {
  const rows = steps.map(
    (step) => html`<tr><th scope="row">${step.title}<small>${step.detail}</small></th>
<td>${formatSeconds(Math.max(0, Date.parse(step.startedAt) - Date.parse(origin)) / 1000)}</td>
<td>${formatSeconds(step.seconds)}</td></tr>`,
  );
  return table(caption, ["Step", "Began at", "Took"], [html`<tbody>${rows}</tbody>`]);
}

export function collectionTable(result: PracticeResult): Html {
  const columns = ["Collection", "Points before", "Points after", "Writes acknow\u00adledged", "Writes lost"];
  const total = html`<tfoot><tr><th scope="row">Total</th><td>${formatCount(result.pointsBefore)}</td>
<td>${formatCount(result.pointsAfter)}</td><td>${formatCount(result.acknowledgedWrites)}</td>
<td>${formatCount(result.lostWrites)}</td></tr></tfoot>`;
  return table("Collections, counted exactly by the servers", columns, result.collections.map(collectionRows), [total]);
}

function collectionRows(collection: PracticeCollection): Html {
  const { lostIds } = collection;
  const ids =
    lostIds.length === 0
      ? html``
      : html`<tr class="more"><td colspan="5"><details><summary>Lost ids in ${collection.name}</summary>
<code>${formatIdRanges(lostIds)}</code></details></td></tr>`;
  return html`<tbody><tr><th scope="row">${collection.name}</th><td>${formatCount(collection.pointsBefore)}</td>
<td>${formatCount(collection.pointsAfter)}</td><td>${formatCount(collection.acknowledgedWrites)}</td>
<td>${formatCount(lostIds.length)}</td></tr>${ids}</tbody>`;
}

export function pointTable(result: PracticeResult): Html {
  const rows = result.points.map((point) => pointRow(point, point.id === result.restoredPoint));
  const columns = ["Recovery point", "Type", "Exact", "Read", "Stored"];
  return table("Recovery points, as captured in the primary region", columns, [html`<tbody>${rows}</tbody>`]);
}

function pointRow(point: PracticePoint, isRestored: boolean): Html {
  const badge = isRestored ? html` <em class="badge">restored</em>` : html``;
  return html`<tr><th scope="row">${formatTime(point.time)}${badge}</th>
<td>${point.type}</td><td>${point.isExact ? "yes" : "no"}</td>
<td>${formatBytes(point.readBytes)}</td><td>${formatBytes(point.storedBytes)}</td></tr>
<tr class="more"><td colspan="5"><code>${point.id}</code></td></tr>`;
}

export function versionTable(result: PracticeResult): Html {
  const rows = Object.entries(result.versions).map(
    ([name, version]) => html`<tr><th scope="row">${name}</th><td><code>${version}</code></td></tr>`,
  );
  return table("Versions", ["Part", "Version"], [html`<tbody>${rows}</tbody>`]);
}
