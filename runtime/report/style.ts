/** How the report looks: one accent colour, red for the kill, green for what is well; never colour alone. */
import { html } from "./html.ts";

export const style = html`<style>
:root {
  color-scheme: light;
  --page: #ffffff; --raised: #f4f6f8; --line: #d9dee5; --ink: #16202c; --quiet: #55606e;
  --bar: #7a8797; --accent: #2458c5; --bad: #b3231b; --bad-wash: #fdecea; --outage: #fbeeed; --good: #17703a; --good-wash: #e6f4ea;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --page: #12161c; --raised: #1b212a; --line: #333d4a; --ink: #e8ecf1; --quiet: #a3afbd;
    --bar: #66758a; --accent: #7aa5ff; --bad: #ff8a80; --bad-wash: #3a1b1c; --outage: #2a1c21; --good: #6fd492; --good-wash: #16301f;
  }
}
* { box-sizing: border-box; }
html { background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%; }
body {
  max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 4rem;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.22; letter-spacing: -0.015em; margin: 0 0 1.25rem; text-wrap: balance; }
h1 span { display: block; }
h1 span + span { font-weight: 500; font-size: 0.72em; letter-spacing: 0; line-height: 1.35; margin-top: 0.35rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 3.25rem 0 1rem; }
p, ul, dl, figure { margin: 0; }
small { display: block; font-size: 0.875rem; font-weight: 400; color: var(--quiet); }
code { font: 0.875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
.eyebrow { color: var(--quiet); font-size: 0.9375rem; margin-bottom: 0.75rem; }
.note { color: var(--quiet); font-size: 0.9375rem; margin-top: 0.75rem; max-width: 46rem; }

.verdict { padding: 0.75rem 1rem; border-radius: 0.5rem; border: 1px solid var(--good); background: var(--good-wash); color: var(--good); }
.verdict.failed { border: 3px solid var(--bad); background: var(--bad-wash); color: var(--bad); margin-bottom: 1.5rem; }
.verdict.failed strong { display: block; font-size: 1.25rem; line-height: 1.3; margin-bottom: 0.25rem; }
.verdict ul { padding-left: 1.25rem; }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin-top: 1.5rem; }
.figures > div { background: var(--raised); border-radius: 0.75rem; padding: 1.1rem 1.25rem 1.2rem; }
.figures dt { font-weight: 600; color: var(--quiet); font-size: 0.9375rem; }
.figures dd { margin: 0; font-size: 0.875rem; color: var(--quiet); line-height: 1.45; }
.figures .number { font-size: 2.125rem; font-weight: 650; line-height: 1.25; letter-spacing: -0.02em; color: var(--ink); margin: 0.15rem 0 0.4rem; }
.figures .pair { font-size: 1.25rem; line-height: 2.65625rem; }
.figures .missed { color: var(--bad); }
.figures dd b { color: var(--good); }
.figures dd + dd + dd { margin-top: 0.4rem; }
.figures dd.missed b { color: inherit; }
.meter { display: block; height: 0.3rem; border-radius: 1rem; background: var(--line); margin: 0 0 0.55rem; overflow: hidden; }
.meter i { display: block; height: 100%; min-width: 0.3rem; border-radius: 1rem; background: var(--good); }
.missed .meter i { background: var(--bad); }

.timeline { display: grid; grid-template-columns: fit-content(19rem) minmax(0, 1fr) auto auto; column-gap: 0.75rem; font-size: 0.875rem; line-height: 1.75rem; }
.timeline > *, .chart > * { grid-row: var(--row); min-height: 1.75rem; }
.label, .seconds, .share { align-self: center; }
.label { grid-column: 1; line-height: 1.3; display: flex; align-items: center; padding: 0.15rem 0; }
.chart { display: contents; }
.track, .flag, .axis { grid-column: 2; position: relative; }
.track, .flag { background:
  linear-gradient(var(--bad), var(--bad)) var(--killed) 0 / 2px 100% no-repeat,
  repeating-linear-gradient(var(--good) 0 4px, transparent 4px 7px) var(--served) 0 / 2px 100% no-repeat,
  linear-gradient(90deg, transparent var(--killed), var(--outage) var(--killed) var(--served), transparent var(--served)); }
.track::before { content: ""; position: absolute; left: 0; right: 0; top: 50%; border-top: 1px solid var(--line); }
.flag { background: repeating-linear-gradient(var(--good) 0 4px, transparent 4px 7px) var(--served) 0 / 2px 100% no-repeat; }
.flag.killed { background:
  linear-gradient(var(--bad), var(--bad)) var(--killed) 0 / 2px 100% no-repeat,
  repeating-linear-gradient(var(--good) 0 4px, transparent 4px 7px) var(--served) 0 / 2px 100% no-repeat; }
.flag b { position: absolute; margin: 0 2px; white-space: nowrap; font-weight: 600; padding: 0 0.4rem; color: var(--good); background: var(--page); }
.flag.killed b { color: var(--bad); }
.seconds { grid-column: 3; text-align: right; white-space: nowrap; font-weight: 600; }
.share { grid-column: 4; text-align: right; color: var(--quiet); }
.bar { position: absolute; top: calc(50% - 0.475rem); height: 0.95rem; min-width: 2px; border-radius: 2px; background: var(--bar); }
.bar.failover { background: var(--accent); }
.axis { border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.8125rem; }
.tick { position: absolute; font-style: normal; transform: translateX(-50%); white-space: nowrap; line-height: 1.5rem; padding-top: 0.2rem; }
.tick:first-child { transform: none; }
.tick::before { content: ""; position: absolute; left: 50%; top: 0; height: 0.3rem; border-left: 1px solid var(--quiet); }
.tick:first-child::before { left: 0; }
.lens { grid-column: 2; width: 100%; height: 2.5rem; margin: 0.25rem 0 0; fill: var(--accent); opacity: 0.14; }
.timeline > strong { align-self: end; }
figcaption { color: var(--quiet); font-size: 0.875rem; margin-top: 0.75rem; max-width: 46rem; }

.frame { overflow-x: auto; margin-top: 1.5rem; }
main > .frame:last-child { max-width: 26rem; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.4rem; }
th, td { padding: 0.5rem 0 0.5rem 1rem; text-align: right; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; }
td { white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
thead th { border-top: 0; color: var(--quiet); font-size: 0.875rem; vertical-align: bottom; line-height: 1.3; }
tbody th { font-weight: 500; }
tfoot th, tfoot td { font-weight: 650; border-top: 2px solid var(--ink); }
.more { break-before: avoid; }
.more td { border-top: 0; padding-top: 0; white-space: normal; color: var(--quiet); font-size: 0.875rem; }
summary { cursor: pointer; }
.badge { font-style: normal; font-size: 0.8125rem; font-weight: 600; color: var(--accent); border: 1px solid; border-radius: 1rem; padding: 0 0.5rem; white-space: nowrap; }

.claims { list-style: none; padding: 0; display: grid; gap: 0.9rem; }
.claims li { padding-left: 1.75rem; position: relative; max-width: 48rem; text-wrap: pretty; }
.claims li::before { content: "✓" / ""; position: absolute; left: 0; font-weight: 700; color: var(--good); }
.claims.unsettled li::before, .claims.limits li::before { content: "–" / ""; color: var(--quiet); }
.claims b { font-weight: 600; }

footer { margin-top: 3.25rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.9375rem; }

@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  .figures { grid-template-columns: 1fr 1fr; gap: 0.6rem; }
  .figures > div { padding: 0.8rem 0.85rem 0.9rem; }
  .figures .number { font-size: 1.75rem; }
  .figures .pair { font-size: 1rem; line-height: 2.1875rem; }
  .timeline { grid-template-columns: minmax(0, 1fr) auto 3rem; line-height: 1.5rem; }
  .timeline > *, .chart > * { grid-row: calc(2 * var(--row)); min-height: 0; }
  .timeline .label, .timeline .seconds, .timeline .share { grid-row: calc(2 * var(--row) - 1); }
  .seconds { grid-column: 2; }
  .share { grid-column: 3; }
  .timeline .track, .timeline .flag, .timeline .axis, .timeline .lens { grid-column: 1 / -1; }
  .timeline > strong.label { grid-column: 1 / -1; margin-top: 0.75rem; }
  .flag, .axis { height: 1.5rem; }
  .track { height: 1.3125rem; }
  .bar { top: calc(50% - 0.35rem); height: 0.7rem; }
  th, td { padding-left: 0.6rem; }
  table { font-size: 0.875rem; }
  small, .more td { font-size: 0.8125rem; }
}
@media print {
  :root { font-size: 9pt; }
  body { max-width: none; padding: 0; }
  h2 { break-after: avoid; margin-top: 1.75rem; }
  .figures, figure, tr, li, .verdict { break-inside: avoid; }
  .figures { grid-template-columns: repeat(4, 1fr); }
  .timeline { line-height: 1.4rem; }
  .timeline > *, .chart > * { min-height: 1.4rem; }
  .frame { overflow: visible; }
  main > .frame:last-child { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
@page { margin: 14mm; }
</style>`;
