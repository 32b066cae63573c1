/** Tells progress: to a person on a terminal with one line that is written over, to everyone else as one JSON line an event. */

import { formatBytes, formatSeconds } from "./domain/format.ts";
import { printable } from "./domain/printable.ts";
import type { Progress, ProgressEvent } from "./ports/progress.ts";

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const clearLine = "\r\u001b[2K";

export function progressTo(output: ProgressOutput): Progress {
  if (output.isTTY !== true) {
    return (event) => void output.write(`${printable(JSON.stringify({ event: "progress", ...event }))}\n`);
  }
  let isLineOpen = false;
  return (event) => {
    const text = printable(formatEvent(event)).replaceAll("\n", "\\u000a");
    const isPassing = event.amount !== undefined && event.amount.done < event.amount.total;
    output.write(
      `${isLineOpen ? clearLine : ""}${isPassing ? text.slice(0, (output.columns ?? 80) - 1) : `${text}\n`}`,
    );
    isLineOpen = isPassing;
  };
}

/** `capture: notes shard 0 · 1.2 GB · 240.0 MB/s · 3 of 8 shards · about 12.0 s left` */
function formatEvent({ amount, detail, step }: ProgressEvent): string {
  const what = detail === undefined ? step : `${step}: ${detail}`;
  if (amount === undefined) return what;
  const { bytes, done, seconds, total, unit } = amount;
  const rate = seconds > 0 ? [`${formatBytes(Math.round(bytes / seconds))}/s`] : [];
  const left = done > 0 && done < total ? [`about ${formatSeconds((seconds / done) * (total - done))} left`] : [];
  return [what, formatBytes(bytes), ...rate, `${done} of ${total} ${unit}`, ...left].join(" · ");
}
