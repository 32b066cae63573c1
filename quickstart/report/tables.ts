/** The numbers of the report, one table for each kind. */
import { formatBytes, formatCount, formatIdRanges, formatTime } from "../../runtime/domain/format.ts";
import { type Html, html } from "../../runtime/report/html.ts";
import { stepTable, table } from "../../runtime/report/tables.ts";
import type { PracticeCollection, PracticeRecoveryPoint, PracticeResult } from "../domain/practice-result.ts";

export function runTable(result: PracticeResult): Html {
  return stepTable("Steps of the run, counted from its start", result.steps, result.startedAt);
}

export function failoverTable(result: PracticeResult): Html {
  return stepTable("Steps of the failover, counted from the kill", result.failover, result.killedAt);
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

export function recoveryPointTable(result: PracticeResult): Html {
  const rows = result.points.map((recoveryPoint) =>
    recoveryPointRow(recoveryPoint, recoveryPoint.id === result.restoredPoint),
  );
  const columns = ["Recovery point", "Type", "Exact", "Read", "Stored"];
  return table("Recovery points, as captured in the primary region", columns, [html`<tbody>${rows}</tbody>`]);
}

function recoveryPointRow(recoveryPoint: PracticeRecoveryPoint, isRestored: boolean): Html {
  const badge = isRestored ? html` <em class="badge">restored</em>` : html``;
  return html`<tr><th scope="row">${formatTime(recoveryPoint.time)}${badge}</th>
<td>${recoveryPoint.type}</td><td>${recoveryPoint.isExact ? "yes" : "no"}</td>
<td>${formatBytes(recoveryPoint.readBytes)}</td><td>${formatBytes(recoveryPoint.storedBytes)}</td></tr>
<tr class="more"><td colspan="5"><code>${recoveryPoint.id}</code></td></tr>`;
}

export function versionTable(result: PracticeResult): Html {
  const rows = Object.entries(result.versions).map(
    ([name, version]) => html`<tr><th scope="row">${name}</th><td><code>${version}</code></td></tr>`,
  );
  return table("Versions", ["Part", "Version"], [html`<tbody>${rows}</tbody>`]);
}
