/** The report of one drill as one HTML page. */
import { type DrillEvidence, missedObjectives } from "../domain/drill-evidence.ts";
import { formatCount, formatSeconds, formatTime } from "../domain/format.ts";
import { type Html, html } from "./html.ts";
import { htmlPage } from "./page.ts";
import { factTable, stepTable } from "./tables.ts";

type Done = Extract<DrillEvidence["outcome"], { isDone: true }>;

export function drillPage(evidence: DrillEvidence): string {
  const { outcome, region, startedAt, steps } = evidence;
  const what = `drill of ${region}, ${formatTime(startedAt)}`;
  return htmlPage({
    title: `${outcome.isDone ? "" : "NOT DONE: "}${what}`,
    about: what,
    headline: outcome.isDone ? success(evidence, outcome) : failure(evidence, outcome),
    main: html`${outcome.isDone ? figures(outcome) : html``}
<h2>Steps</h2>
${stepTable("Steps of the failover that was rehearsed, counted from the start of the drill", steps, startedAt)}
<h2>About this drill</h2>
${facts(evidence)}`,
    footer: html`Made by <code>qdrant-dr drill</code>. A throwaway region was promoted and thrown away: no role changed, and no client was led
anywhere. The time until somebody notices a loss and decides is before the first step.`,
  });
}

function success({ objectives, region }: DrillEvidence, done: Done): Html {
  const missed = missedObjectives(done, objectives);
  const verdict =
    missed.length === 0
      ? html`<p class="verdict">✓ Within what is promised: ${objectives.rtoMinutes} min to serve, ${objectives.rpoMinutes} min of writes.</p>`
      : html`<div class="verdict failed"><strong>✗ Not what is promised</strong><ul>${missed.map((each) => html`<li>${each}</li>`)}</ul></div>`;
  const absent =
    done.absent.length === 0 ? "" : ` Not served, because no capture could read them: ${done.absent.join(", ")}.`;
  return html`<h1><span>${region} can take over from ${done.from} in ${formatSeconds(done.rtoSeconds)}.</span><span>What ${done.from} acknowledged in the last ${formatSeconds(done.rpoSeconds)} would be lost.${absent}</span></h1>
${verdict}`;
}

function failure({ region }: DrillEvidence, outcome: Extract<DrillEvidence["outcome"], { isDone: false }>): Html {
  const notes = [outcome.message, ...(outcome.hint === undefined ? [] : [`What to do: ${outcome.hint}.`])];
  return html`<div class="verdict failed"><strong>✗ It is not shown that ${region} can take over</strong>
<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul></div><h1><span>Ended with ${outcome.code}.</span></h1>`;
}

function figures({ isWarm, points, rpoSeconds, rtoSeconds, searches, slowestSearchMs }: Done): Html {
  return html`<dl class="figures">
<div><dt>Clients would be served after</dt><dd class="number">${formatSeconds(rtoSeconds)}</dd><dd>From the command until the gate is open.</dd></div>
<div><dt>Writes that would be lost</dt><dd class="number">${formatSeconds(rpoSeconds)}</dd><dd>Acknowledged in the last seconds before the drill.</dd></div>
<div><dt>Points</dt><dd class="number">${formatCount(points)}</dd><dd>${isWarm ? "As the standby holds them." : "Restored from this region’s own bucket."} ${formatCount(searches)} searches by the index found points; the slowest took ${formatSeconds(slowestSearchMs / 1000)}.</dd></div>
</dl>`;
}

function facts({ endedAt, outcome, startedAt, toolVersion }: DrillEvidence): Html {
  const rows: [string, string][] = [
    ["Began", formatTime(startedAt)],
    ["Ended", formatTime(endedAt)],
    ["qdrant-dr", toolVersion],
    ...(outcome.isDone
      ? ([
          ["Recovery point", outcome.recoveryPoint],
          ["Known to be exact", outcome.isExact ? "yes" : "no: deletes may be undone"],
          ["Not rehearsed", outcome.notRehearsed.join("; ") || "–"],
        ] as [string, string][])
      : []),
  ];
  return factTable(rows);
}
