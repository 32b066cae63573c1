/** The report of one run of a failover as one HTML page. */
import type { FailoverEvidence } from "../domain/failover-evidence.ts";
import { formatCount, formatSeconds, formatTime } from "../domain/format.ts";
import { type Html, html } from "./html.ts";
import { htmlPage } from "./page.ts";
import { factTable, stepTable } from "./tables.ts";

type Outcome = FailoverEvidence["outcome"];
type Done = Extract<Outcome, { isDone: true }>;

export function failoverPage(evidence: FailoverEvidence): string {
  const { mode, outcome, region, run, startedAt, steps } = evidence;
  const what = `${mode} to ${region}, ${formatTime(startedAt)}`;
  return htmlPage({
    title: `${outcome.isDone ? "" : "NOT DONE: "}${what}`,
    about: what,
    headline: outcome.isDone ? success(evidence, outcome) : failure(evidence, outcome),
    main: html`${outcome.isDone ? figures(evidence, outcome) : html``}
<h2>Steps</h2>
${stepTable("Steps that this run finished, counted from its start", steps, startedAt)}
<h2>About this run</h2>
${facts(evidence)}`,
    footer: html`Made by <code>qdrant-dr failover</code>, run <code>${run}</code>. All times are of one machine’s clock: the one that ran it. The
time until somebody noticed and decided is before its first step, and what clients saw is told by them alone.`,
  });
}

function success({ region }: FailoverEvidence, done: Done): Html {
  return html`<h1><span>${region} is the active region in epoch ${done.epoch}.</span><span>${lossOf(done)}</span></h1>
${verdict(done)}`;
}

function verdict({ isVerified }: Done): Html {
  if (!isVerified) {
    return html`<p class="verdict failed">✗ Not verified: no step compared what it serves with what was captured.</p>`;
  }
  return html`<p class="verdict">✓ Verified: what it serves is what was captured, by counts, samples and canary queries.</p>`;
}

function lossOf(done: Done): string {
  const { absent = [] } = done;
  const lacked = absent.length === 0 ? "" : ` Not served, because no capture could read them: ${absent.join(", ")}.`;
  return `${lostWritesOf(done)}${lacked}`;
}

function lostWritesOf({ dataLossSeconds, from, isExact, pauseSeconds }: Done): string {
  if (pauseSeconds !== undefined)
    return `Nothing of ${from} was lost; writes paused for ${formatSeconds(pauseSeconds)}.`;
  if (dataLossSeconds === 0) return `Nothing of ${from} was lost.`;
  const deletes = isExact ? "" : " Acknowledged deletes may be undone: the state is provisional.";
  return `What ${from} acknowledged in the last ${formatSeconds(dataLossSeconds)} may be lost.${deletes}`;
}

function failure({ region, steps }: FailoverEvidence, outcome: Extract<Outcome, { isDone: false }>): Html {
  const last = steps.at(-1);
  const notes = [
    outcome.message,
    ...(outcome.hint === undefined ? [] : [`What to do: ${outcome.hint}.`]),
    last === undefined ? "No step was finished." : `The last step that was finished: ${last.title}.`,
  ];
  return html`<div class="verdict failed"><strong>✗ This run did not make ${region} the active region, or did not see it through</strong>
<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul></div><h1><span>Ended with ${outcome.code}.</span></h1>`;
}

function figures(evidence: FailoverEvidence, { dataLossSeconds, isWarm, pauseSeconds, points }: Done): Html {
  const served = evidence.steps.find(({ name }) => name === "traffic");
  const begun = Date.parse(evidence.startedAt);
  const servedAfter = served && (Date.parse(served.startedAt) - begun) / 1000 + served.seconds;
  const loss =
    pauseSeconds === undefined
      ? {
          name: "Writes that may be lost",
          value: dataLossSeconds,
          meaning: "Writes that were acknowledged in the last seconds before this run.",
        }
      : { name: "Writes paused for", value: pauseSeconds, meaning: "From the fence until the gate here was open." };
  return html`<dl class="figures">
<div><dt>Clients led here after</dt><dd class="number">${servedAfter === undefined ? "–" : formatSeconds(servedAfter)}</dd><dd>From the start of this run.</dd></div>
<div><dt>${loss.name}</dt><dd class="number">${formatSeconds(loss.value)}</dd><dd>${loss.meaning}</dd></div>
<div><dt>Points</dt><dd class="number">${formatCount(points)}</dd><dd>${isWarm ? "Held here already, and brought up to date." : "Restored from this region’s own bucket."}</dd></div>
</dl>`;
}

function facts({ endedAt, outcome, run, startedAt, toolVersion }: FailoverEvidence): Html {
  const rows: [string, string][] = [
    ["Run", run],
    ["Began", formatTime(startedAt)],
    ["Ended", formatTime(endedAt)],
    ["qdrant-dr", toolVersion],
    ...(outcome.isDone
      ? ([
          ["Recovery point", outcome.recoveryPoint],
          ["Active before", outcome.from],
        ] as [string, string][])
      : []),
  ];
  return factTable(rows);
}
