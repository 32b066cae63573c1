/** The closing table in a terminal: what the report page shows at a glance, as text that needs no colour. */
import { styleText } from "node:util";
import { formatCount, formatSeconds, formatShare } from "../../runtime/domain/format.ts";
import { oneLine } from "../../runtime/domain/one-line.ts";
import type { TimedStep } from "../../runtime/domain/timed-step.ts";
import type { PracticeCollection, PracticeResult } from "../domain/practice-result.ts";
import { headline, objectiveVerdicts, shortcomings } from "./outcome.ts";

type Style = "bold" | "dim" | "green" | "red";

interface Cell {
  readonly text: string;
  readonly style?: Style;
  readonly align?: "right";
}

/** A row of cells, or a line across the table. */
type Row = readonly Cell[] | "rule";

const narrowest = 80;
const widest = 100;
const gap = "  ";
const minimalBar = 20;
const longestName = 26;

/** The report's path stays whole, also when that is wider: it is there to be copied. */
export function resultTable(
  result: PracticeResult,
  { width: wanted, colour }: { readonly width: number; readonly colour: boolean },
): string {
  const width = Math.min(widest, Math.max(narrowest, Math.floor(wanted)));
  const paint = (text: string, style: Style | undefined) =>
    // Whether there is a terminal was decided by whoever asked for colour.
    style === undefined || !colour ? text : styleText(style, text, { validateStream: false });
  const draw = (rows: readonly Row[]) => layOut(rows, width, paint);
  const sections = [
    headline(result).map((sentence) => paint(sentence, "bold")),
    shortcomings(result).flatMap((text) => wrap(`✗ ${text}`, width).map((line) => paint(line, "red"))),
    draw(stepRows(result, width)),
    draw(figureRows(result)),
    draw(collectionRows(result)),
    [`Report  ${plain(result.report)}`],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function stepRows(result: PracticeResult, width: number): readonly Row[] {
  const seconds = [...result.steps, ...result.failover].map((step) => formatSeconds(step.seconds).length);
  const timeWidth = Math.max("Time".length, ...seconds);
  const titles = [...result.steps, ...result.failover].map(({ title }) => length(plain(title)) + 2);
  const titleWidth = Math.min(Math.max("Step".length, ...titles), width - minimalBar - timeWidth - 2 * gap.length);
  const barWidth = width - titleWidth - timeWidth - 2 * gap.length;
  const begun = Date.parse(result.startedAt);
  const ends = result.steps.map((step) => Date.parse(step.startedAt) + 1000 * step.seconds);
  const scale = barWidth / Math.max(1, ...ends.map((end) => end - begun));
  const row = (step: TimedStep, branch: string): Row => [
    { text: cut(`${branch}${plain(step.title)}`, titleWidth) },
    { text: formatSeconds(step.seconds), align: "right" },
    {
      text: bar(Date.parse(step.startedAt) - begun, 1000 * step.seconds, scale, barWidth),
      style: step.name === "disaster" ? "red" : "dim",
    },
  ];
  const branches = result.failover.map((step, at) => row(step, at === result.failover.length - 1 ? "└ " : "├ "));
  return [
    [
      { text: "Step", style: "dim" },
      { text: "Time", style: "dim", align: "right" },
    ],
    "rule",
    ...result.steps.flatMap((step) => (step.name === "failover" ? [row(step, ""), ...branches] : [row(step, "")])),
  ];
}

/** At least one character long, and never beyond the end of the axis. */
function bar(start: number, duration: number, scale: number, width: number): string {
  const from = Math.min(width - 1, Math.max(0, Math.floor(start * scale)));
  const long = Math.min(width - from, Math.max(1, Math.round(duration * scale)));
  return `${" ".repeat(from)}${"━".repeat(long)}`;
}

function figureRows(result: PracticeResult): readonly Row[] {
  const { lostWrites, acknowledgedWrites, verified } = result;
  const figure = (name: string, value: string, note: Cell): Row => [
    { text: name },
    { text: value, style: "bold", align: "right" },
    note,
  ];
  return [
    ...objectiveVerdicts(result).map(({ name, seconds, isMet, distance }) =>
      figure(name, formatSeconds(seconds), {
        text: `${isMet ? "✓" : "✗"} ${distance}`,
        style: isMet ? "green" : "red",
      }),
    ),
    figure("Lost writes", formatCount(lostWrites), {
      text: `of ${formatCount(acknowledgedWrites)} acknowledged (${formatShare(lostWrites, acknowledgedWrites)})`,
    }),
    figure("Verified", verified ? "yes" : "NO", {
      text: verified
        ? "✓ the copies, the restored data and the writes after the failover"
        : "✗ do not count this practice as passed",
      style: verified ? "green" : "red",
    }),
  ];
}

function collectionRows(result: PracticeResult): readonly Row[] {
  const counts = (name: string, numbers: readonly number[]): Row => [
    { text: cut(plain(name), longestName) },
    ...numbers.map((number): Cell => ({ text: formatCount(number), align: "right" })),
  ];
  const heads = ["Points before", "After", "Acknowledged", "Lost"];
  const each = ({ name, pointsBefore, pointsAfter, acknowledgedWrites, lostIds }: PracticeCollection) =>
    counts(name, [pointsBefore, pointsAfter, acknowledgedWrites, lostIds.length]);
  return [
    [{ text: "Collection", style: "dim" }, ...heads.map((text): Cell => ({ text, style: "dim", align: "right" }))],
    "rule",
    ...result.collections.map(each),
    "rule",
    counts("Total", [result.pointsBefore, result.pointsAfter, result.acknowledgedWrites, result.lostWrites]),
  ];
}

/** Every column as wide as its widest cell; a rule as wide as the widest row. */
function layOut(
  rows: readonly Row[],
  most: number,
  paint: (text: string, style: Style | undefined) => string,
): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    if (row === "rule") continue;
    for (const [at, { text }] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, length(text));
  }
  const total = widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  return rows.map((row) => {
    if (row === "rule") return paint("─".repeat(Math.min(most, total)), "dim");
    return row
      .map(({ text, style, align }, at) => {
        const room = " ".repeat((widths[at] ?? 0) - length(text));
        if (align === "right") return room + paint(text, style);
        // Nothing follows the last cell: no room after it.
        return paint(text, style) + (at === row.length - 1 ? "" : room);
      })
      .join(gap);
  });
}

/** Names come from outside: nothing in them may steer the terminal. */
function plain(text: string): string {
  return oneLine(text, Number.POSITIVE_INFINITY);
}

function length(text: string): number {
  return [...text].length;
}

function cut(text: string, most: number): string {
  return length(text) <= most ? text : `${[...text].slice(0, most - 1).join("")}…`;
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || length(line) + 1 + length(word) > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
