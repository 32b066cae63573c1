/**
 * The run as bars on one time axis and, below it, the failover on an axis of its own. One CSS grid holds both, so that
 * their tracks align; its text keeps its size at every width, unlike the text of a drawing that is scaled.
 */
import { formatSeconds, formatShare } from "../../runtime/domain/format.ts";
import type { TimedStep } from "../../runtime/domain/timed-step.ts";
import { type Html, html } from "../../runtime/report/html.ts";
import type { PracticeResult } from "../domain/practice-result.ts";

/** A stretch of the run, in milliseconds since 1970. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** What is marked on both axes, and what its labels count from. */
interface Marks {
  readonly killed: number;
  readonly served: number;
  readonly origin: number;
}

export function timeline(result: PracticeResult): Html {
  const killed = Date.parse(result.killedAt);
  const served = Date.parse(result.servedAt);
  const run = spanOf(result.steps, Date.parse(result.startedAt), served);
  const enlarged = spanOf(result.failover, killed, served);
  const whole = result.steps.find(({ name }) => name === "failover")?.seconds ?? (enlarged.to - enlarged.from) / 1000;
  const firstRow = chartRows(result.steps.length);
  return html`<figure>
<div class="timeline" role="img" aria-label="${summary(result, run)}">
${chart("run", 1, result.steps, run, { killed, served, origin: run.from }, (run.to - run.from) / 1000)}
${lens(firstRow + 1, run, enlarged)}
${chart("failover", firstRow + 2, result.failover, enlarged, { killed, served, origin: killed }, whole)}
</div>
<figcaption>Above: the whole run, counted from its start. Below: the failover, counted from the kill. Served: the
first write of a client was acknowledged and read back. Shares are of the run
and of the failover’s ${formatSeconds(whole)}; where steps overlap, they add up to more than 100%.</figcaption>
</figure>`;
}

function clock(milliseconds: number): string {
  return formatSeconds(Math.max(0, milliseconds) / 1000);
}

function summary(result: PracticeResult, run: Span): string {
  const killed = clock(Date.parse(result.killedAt) - run.from);
  return (
    `Timeline of the ${result.steps.length} steps of the run, ${clock(run.to - run.from)} long: primary killed at ${killed}, ` +
    `first client served ${formatSeconds(result.rtoSeconds)} later. The tables of steps below hold the same numbers.`
  );
}

function spanOf(steps: readonly TimedStep[], from: number, atLeastTo: number): Span {
  const ends = steps.map((step) => Date.parse(step.startedAt) + 1000 * step.seconds);
  // One millisecond at least: positions are fractions of it.
  return { from, to: Math.max(from + 1, atLeastTo, ...ends) };
}

/** Two rows for the marks, one for each step, one for the axis. */
function chartRows(steps: number): number {
  return steps + 3;
}

function chart(
  kind: "run" | "failover",
  row: number,
  steps: readonly TimedStep[],
  span: Span,
  marks: Marks,
  wholeSeconds: number,
): Html {
  const killed = position(marks.killed, span);
  const served = position(marks.served, span);
  return html`<div class="chart" style="--killed:${percent(killed)};--served:${percent(served)}">
${flag("served", row, served, `Served at ${clock(marks.served - marks.origin)}`)}
${flag("killed", row + 1, killed, `Killed at ${clock(marks.killed - marks.origin)}`)}
${steps.map((step, at) => bar(kind, row + 2 + at, step, span, wholeSeconds))}
<span class="axis" style="--row:${row + steps.length + 2}">${ticks(span)}</span>
</div>`;
}

/** The text stands where there is room: before a late mark, after an early one. */
function flag(kind: "killed" | "served", row: number, at: number, text: string): Html {
  const side = at > 0.55 ? `right:${percent(1 - at)}` : `left:${percent(at)}`;
  return html`<span class="flag ${kind}" style="--row:${row}"><b style="${side}">${text}</b></span>`;
}

function bar(kind: string, row: number, step: TimedStep, span: Span, wholeSeconds: number): Html {
  const start = Date.parse(step.startedAt);
  const left = position(start, span);
  const width = position(start + 1000 * step.seconds, span) - left;
  const isFailover = kind === "failover" || step.name === "failover";
  return html`<span class="label" style="--row:${row}">${step.title}</span>
<span class="track" style="--row:${row}"><i class="bar${isFailover ? " failover" : ""}" style="left:${percent(left)};width:${percent(width)}"></i></span>
<span class="seconds" style="--row:${row}">${formatSeconds(step.seconds)}</span>
<span class="share" style="--row:${row}">${formatShare(step.seconds, wholeSeconds)}</span>`;
}

function ticks(span: Span): readonly Html[] {
  const seconds = (span.to - span.from) / 1000;
  const step = tickSeconds(seconds);
  // None at the very end: its label would reach beyond the page on a phone.
  const count = Math.floor((0.96 * seconds) / step);
  return Array.from({ length: count + 1 }, (_, at) => {
    const label = formatSeconds(at * step, step < 1 ? 1 : 0);
    return html`<i class="tick" style="left:${percent((at * step) / seconds)}">${label}</i>`;
  });
}

const tickSteps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

/** At most six intervals: their labels must not touch on a phone. */
function tickSeconds(seconds: number): number {
  return tickSteps.find((step) => seconds / step <= 6) ?? 3600 * Math.ceil(seconds / 3600 / 6);
}

/** Leads the eye from the stretch of the run to the same stretch, enlarged. */
function lens(row: number, run: Span, enlarged: Span): Html {
  const left = position(enlarged.from, run);
  const right = position(enlarged.to, run);
  const points = `${100 * left},0 ${100 * right},0 100,10 0,10`;
  return html`<strong class="label" style="--row:${row}">The failover, enlarged</strong>
<svg class="lens" style="--row:${row}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><polygon points="${points}"/></svg>`;
}

function position(at: number, span: Span): number {
  return Math.min(1, Math.max(0, (at - span.from) / (span.to - span.from)));
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)}%`;
}
