/** Numbers as people read them: one notation for the terminal and for the report page. */

/** A duration in the two largest units that say something: `50 ms`, `8.4 s`, `29 min 52 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number, digits = 1): string {
  const milliseconds = Math.round(seconds * 1000);
  if (seconds > 0 && milliseconds < 100) return milliseconds === 0 ? "< 1 ms" : `${milliseconds} ms`;
  const scale = 10 ** digits;
  const rounded = Math.round(seconds * scale) / scale;
  if (rounded < 60) return rounded === 0 ? "0 s" : `${rounded.toFixed(digits)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return twoUnits(whole, 60, "min", "s");
  return twoUnits(Math.round(seconds / 60), 60, "h", "min");
}

function twoUnits(amount: number, size: number, large: string, small: string): string {
  const rest = amount % size;
  const head = `${formatCount((amount - rest) / size)} ${large}`;
  return rest === 0 ? head : `${head} ${rest} ${small}`;
}

/** Decimal units, as storage is sold and billed. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = bytes / 1000;
  let unit = 0;
  // 999.95 would be written as 1000.0.
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** A part of a whole; something is never written as nothing, and not all is never written as all. */
export function formatShare(part: number, whole: number): string {
  if (part <= 0 || whole <= 0) return "0%";
  const percent = (100 * part) / whole;
  if (percent < 0.1) return "<0.1%";
  if (percent < 9.95) return `${percent.toFixed(1)}%`;
  if (percent < 100 && percent >= 99.5) return ">99%";
  return `${Math.round(percent)}%`;
}

/** Ascending, each id once, neighbours as a range: `3, 7–12, 15`. */
export function formatIdRanges(ids: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const id of [...new Set(ids)].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && id === run.last + 1) run.last = id;
    else runs.push({ first: id, last: id });
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}

/** In UTC to the second: a report is read elsewhere than where it was made. */
export function formatTime(time: string): string {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
