/** The report of a practised disaster as one HTML page. */
import { formatCount, formatSeconds, formatShare, formatTime } from "../../runtime/domain/format.ts";
import { type Html, html } from "../../runtime/report/html.ts";
import { htmlPage } from "../../runtime/report/page.ts";
import type { PracticeResult } from "../domain/practice-result.ts";
import { headline, type ObjectiveVerdict, objectiveVerdicts, shortcomings } from "./outcome.ts";
import { collectionTable, failoverTable, recoveryPointTable, runTable, versionTable } from "./tables.ts";
import { timeline } from "./timeline.ts";

export function reportPage(result: PracticeResult): string {
  const title = `${shortcomings(result).length > 0 ? "FAILED: " : ""}Disaster practice, ${formatTime(result.startedAt)}`;
  return htmlPage({
    title,
    about: `practised disaster of ${formatTime(result.startedAt)}`,
    headline: verdict(result),
    main: html`${figures(result)}
<h2>What happened when</h2>
${timeline(result)}
${proofs(result)}
<h2>What this does not prove</h2>
<ul class="claims limits">
${limits(result).map((limit) => html`<li>${limit}</li>`)}
</ul>
<h2>Data</h2>
${collectionTable(result)}
${recoveryPointTable(result)}
${restoredNote(result)}
<h2>Steps</h2>
${runTable(result)}
${failoverTable(result)}
<h2>Made with</h2>
${versionTable(result)}`,
    footer: html`Made by <code>npm run quickstart</code>, begun ${formatTime(result.startedAt)}; primary killed
${formatTime(result.killedAt)}, first client served ${formatTime(result.servedAt)}. All times are of one machine’s clock.`,
  });
}

function verdict(result: PracticeResult): Html {
  const found = shortcomings(result);
  const outcome = html`<h1>${headline(result).map((sentence) => html`<span>${keepUnits(sentence)}</span>`)}</h1>`;
  if (found.length === 0) {
    return html`${outcome}<p class="verdict">✓ Verified: the copies, the restored data and the writes after the failover. Both objectives are met.</p>`;
  }
  return html`<div class="verdict failed"><strong>✗ Do not count this practice as passed</strong>
<ul>${found.map((text) => html`<li>${text}</li>`)}</ul></div>${outcome}`;
}

/** A number does not part from its unit at the end of a line. */
function keepUnits(text: string): string {
  return text.replaceAll(/(\d) (?=(?:ms|s|min|h)\b)/g, "$1\u00a0");
}

function figures(result: PracticeResult): Html {
  const { lostWrites, acknowledgedWrites, pointsBefore, pointsAfter } = result;
  const meanings = {
    RTO: "From the kill until a client’s write was acknowledged and read back.",
    RPO: "From the oldest acknowledged write that was lost until the kill.",
  };
  return html`<dl class="figures">
${objectiveVerdicts(result).map((verdict) => objectiveFigure(verdict, meanings[verdict.name]))}
<div><dt>Writes lost</dt><dd class="number">${formatCount(lostWrites)}</dd>
<dd>${formatShare(lostWrites, acknowledgedWrites)} of the ${formatCount(acknowledgedWrites)} that clients had been told are safe.</dd></div>
<div><dt>Points</dt><dd class="number pair">${formatCount(pointsBefore)} → ${formatCount(pointsAfter)}</dd>
<dd>In the primary before the kill; in the standby afterwards, with what was written since.</dd></div>
</dl>`;
}

function objectiveFigure(
  { name, seconds, objectiveSeconds, isMet, distance }: ObjectiveVerdict,
  meaning: string,
): Html {
  const used = Math.min(100, (100 * seconds) / Math.max(objectiveSeconds, 1)).toFixed(1);
  const missed = isMet ? "met" : "missed";
  return html`<div><dt>${name}</dt><dd class="number ${missed}">${keepUnits(formatSeconds(seconds))}</dd>
<dd class="${missed}"><span class="meter" aria-hidden="true"><i style="width:${used}%"></i></span>
<b>${isMet ? "✓ Met:" : "✗ Missed:"}</b> ${keepUnits(distance)}</dd><dd>${meaning}</dd></div>`;
}

/** Which of the claims failed is for their text to say; a tick beside each would contradict it. */
function proofs(result: PracticeResult): Html {
  const items = result.proofs.map(({ claim, evidence }) => html`<li><b>${claim}</b><small>${evidence}</small></li>`);
  if (result.verified) return html`<h2>What was proven</h2><ul class="claims">${items}</ul>`;
  return html`<h2>What was found, but not proven as a whole</h2><ul class="claims unsettled">${items}</ul>`;
}

/** Numbers invite more trust than they deserve; what a real region would add is said beside them. */
function limits(result: PracticeResult): readonly string[] {
  return [
    "Regions were processes of one machine: no distance between them, no cloud whose interfaces are slow or out of order.",
    "SeaweedFS stood in for AWS S3: its speed, limits and replication between regions were not measured.",
    "The standby was restored from the bucket for the first time; a warm standby, which follows all along, was not tried.",
    `Recovery takes longer with more data: these ${formatCount(result.pointsBefore)} points are few.`,
    "The failover began at once: the time until somebody notices and decides is not in the RTO.",
  ];
}

function restoredNote(result: PracticeResult): Html {
  const restored = result.points.find(({ id }) => id === result.restoredPoint);
  const exact =
    "“Exact” means that no deleted point can be back: the servers reorganised nothing while it was captured.";
  if (restored === undefined) return html`<p class="note">${exact}</p>`;
  const age = (Date.parse(result.killedAt) - Date.parse(restored.time)) / 1000;
  return html`<p class="note">The restored point was ${formatSeconds(age)} old when the primary was killed: what was written
after it is what could be lost. ${exact}</p>`;
}
