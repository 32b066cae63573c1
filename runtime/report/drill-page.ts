/** The report of one drill as one HTML page: no script, nothing from elsewhere, to be read, printed and filed. */
import { type DrillEvidence, missedObjectives } from "../domain/drill-evidence.ts";
import { formatCount, formatSeconds, formatTime } from "../domain/format.ts";
import { type Html, html } from "./html.ts";
import { style } from "./style.ts";
import { stepTable, table } from "./tables.ts";

type Done = Extract<DrillEvidence["outcome"], { isDone: true }>;

export function drillPage(evidence: DrillEvidence): string {
  const { outcome, region, startedAt, steps } = evidence;
  const what = `drill of ${region}, ${formatTime(startedAt)}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${outcome.isDone ? "" : "NOT DONE: "}${what}</title>
${style}
</head>
<body>
<header>
<p class="eyebrow">qdrant-dr, ${what}</p>
${outcome.isDone ? success(evidence, outcome) : failure(evidence, outcome)}
</header>
<main>
${outcome.isDone ? figures(outcome) : html``}
<h2>Steps</h2>
${stepTable("Steps of the failover that was rehearsed, counted from the start of the drill", steps, startedAt)}
<h2>About this drill</h2>
${facts(evidence)}
</main>
<footer>Made by <code>qdrant-dr drill</code>. A throwaway region was promoted and thrown away: no role changed, and no client was led
anywhere. The time until somebody notices a loss and decides is before the first step.</footer>
</body>
</html>
`;
  return page.markup;
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
  const body = rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td><code>${value}</code></td></tr>`);
  return table("What it was", ["", "Value"], [html`<tbody>${body}</tbody>`]);
}
