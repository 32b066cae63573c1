import { expect } from "chai";
import type { FailoverEvidence } from "../../runtime/domain/failover-evidence.ts";
import { failoverPage } from "../../runtime/report/failover-page.ts";

const startedAt = "2026-10-14T12:03:11.123Z";
const later = (seconds: number) => new Date(Date.parse(startedAt) + 1000 * seconds).toISOString();
const steps = [
  { name: "assess", title: "Find what this region can serve from", startedAt, seconds: 0.2, detail: "a point" },
  { name: "epoch", title: "Claim the epoch", startedAt: later(0.2), seconds: 0.1, detail: "epoch 7, told" },
  { name: "traffic", title: "Lead clients here", startedAt: later(3), seconds: 0.5, detail: "the endpoint leads here" },
];
const done = {
  isDone: true,
  from: "east",
  epoch: 7,
  recoveryPoint: "20261014T120300000Z-5f0c2a91",
  dataLossSeconds: 4,
  isExact: true,
  isWarm: true,
  points: 22_913,
  isVerified: true,
} as const;

function evidence(changes: Partial<FailoverEvidence> = {}): FailoverEvidence {
  const about = { format: 1, region: "west", mode: "failover", run: "run-1", toolVersion: "0.1.0" } as const;
  return { ...about, startedAt, endedAt: later(9), steps, outcome: done, ...changes };
}

describe("report of a failover", () => {
  it("says first who serves, in which epoch, and what may be lost; then each step, when, and how long", () => {
    const page = failoverPage(evidence());
    const text = visibleText(page);
    expect(text).to.include("west is the active region in epoch 7.");
    expect(text).to.include("What east acknowledged in the last 4.0 s may be lost.");
    expect(text).to.match(/Clients led here after\s*3\.5 s/);
    for (const { detail, title } of steps) expect(text).to.include(title).and.include(detail);
    expect(text).to.include("20261014T120300000Z-5f0c2a91");
  });

  it("of a switchover, that nothing was lost and how long writes paused; of a provisional state, what that means", () => {
    const planned = { ...done, dataLossSeconds: 0, pauseSeconds: 5 };
    const text = visibleText(failoverPage(evidence({ mode: "switchover", outcome: planned })));
    expect(text).to.include("Nothing of east was lost; writes paused for 5.0 s.");
    const provisional = failoverPage(evidence({ outcome: { ...done, isExact: false } }));
    expect(visibleText(provisional)).to.include("Acknowledged deletes may be undone");
  });

  it("says that it was verified only when a step has found so", () => {
    expect(visibleText(failoverPage(evidence()))).to.include("✓ Verified");
    const text = visibleText(failoverPage(evidence({ outcome: { ...done, isVerified: false } })));
    expect(text).to.include("✗ Not verified").and.not.include("✓");
  });

  it("of one that did not end well: says so before all else, with what to do and the last step that was finished", () => {
    const outcome = { isDone: false, code: "UNREACHABLE", message: "the gate stays closed", hint: "open it" } as const;
    const page = failoverPage(evidence({ outcome }));
    const text = visibleText(page);
    expect(page).to.include("<title>NOT DONE: ");
    expect(text).to.include("the gate stays closed").and.include("What to do: open it.");
    expect(text).to.include("The last step that was finished: Lead clients here.");
    expect(text).to.not.include("✓").and.not.include("is the active region");
    expect(visibleText(failoverPage(evidence({ outcome, steps: [] })))).to.include("No step was finished.");
  });

  it("is one file in which no text becomes markup: no script, nothing from elsewhere", () => {
    const hostile = `<script>alert(1)</script>"'&`;
    const titled = steps.map((step) => ({ ...step, title: hostile, detail: hostile }));
    const outcome = { isDone: false, code: hostile, message: hostile, hint: hostile } as const;
    for (const page of [
      failoverPage(evidence({ steps: titled, region: hostile, run: hostile, outcome: { ...done, from: hostile } })),
      failoverPage(evidence({ steps: titled, outcome })),
    ]) {
      expect(page).to.not.match(/<script|<link|<img|\ssrc=|\shref=|url\(|@import|https?:/i);
      expect(page).to.include("&lt;script&gt;");
    }
  });
});

/** As a reader gets it: without style and tags, and each stretch of space as one. */
function visibleText(page: string): string {
  return page
    .replace(/<head>.*<\/head>/s, "")
    .replaceAll(/<[^>]*>/g, "")
    .replaceAll(/\s+/g, " ");
}
