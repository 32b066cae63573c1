import { expect } from "chai";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { progressTo } from "../../runtime/progress.ts";

const amount = { bytes: 480_000_000, done: 2, total: 8, unit: "shards", seconds: 4 };
const events: ProgressEvent[] = [
  { step: "plan" },
  { step: "capture", detail: "notes shard 1", amount },
  { step: "capture", detail: "notes shard 7", amount: { ...amount, done: 8 } },
];

function told(isTTY: boolean): string {
  let text = "";
  const progress = progressTo({ isTTY, columns: 200, write: (piece) => (text += piece) });
  for (const event of events) progress(event);
  return text;
}

describe("progress", () => {
  it("on a terminal shows bytes, rate, shards and time left in a line that is written over, and leaves the last", () => {
    const clear = "\r\u001b[2K";
    expect(told(true)).to.equal(
      `plan\ncapture: notes shard 1 · 480.0 MB · 120.0 MB/s · 2 of 8 shards · about 12.0 s left${clear}` +
        "capture: notes shard 7 · 480.0 MB · 120.0 MB/s · 8 of 8 shards\n",
    );
  });

  it("elsewhere is one JSON line an event", () => {
    const lines = told(false).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).to.deep.equal(
      events.map((event) => ({ event: "progress", ...event })),
    );
  });
});
