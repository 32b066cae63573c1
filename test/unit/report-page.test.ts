import { expect } from "chai";
import fc from "fast-check";
import { reportPage } from "../../quickstart/report/report-page.ts";
import { practiceResult, withTexts } from "../support/documents/practice-result.ts";

describe("report page", () => {
  it("says the outcome first, with the objectives", () => {
    const page = visibleText(reportPage(practiceResult({ lostWrites: 37, acknowledgedWrites: 1204 })));
    expect(page).to.match(/The primary region was killed; clients were served again after 8\.4 s\.\s+37 of 1,204/);
    expect(page).to.include("✓ Met: 29 min 52 s below the objective of 30 min");
    expect(page).to.include("✓ Met: 14 min 55 s below the objective of 15 min");
    expect(page).to.include("22,913 → 22,795");
    expect(page).to.include("Both objectives are met");
    expect(page).to.not.include("✗");
  });

  it("says that nothing was lost, and that one was", () => {
    expect(visibleText(reportPage(practiceResult({ lostWrites: 0 })))).to.include(
      "None of 913 acknowledged writes was lost.",
    );
    expect(visibleText(reportPage(practiceResult({ lostWrites: 1 })))).to.include(
      "1 of 913 acknowledged writes was lost.",
    );
  });

  it("says in words, before all else, that a result is not verified", () => {
    const page = reportPage(practiceResult({ verified: false }));
    const text = visibleText(page);
    expect(page).to.include("<title>FAILED: ");
    expect(text.indexOf("Do not count this practice as passed")).to.be.within(
      0,
      text.indexOf("The primary region was killed"),
    );
    expect(text).to.include("Not verified");
    expect(text).to.not.include("objectives are met");
    expect(text).to.not.include("What was proven");
  });

  it("says in words which objectives are missed, and by how much", () => {
    const text = visibleText(reportPage(practiceResult({ rtoSeconds: 2405, rpoSeconds: 961 })));
    expect(text).to.include("RTO missed: 40 min 5 s is 10 min 5 s above the objective of 30 min.");
    expect(text).to.include("RPO missed: 16 min 1 s is 1 min 1 s above the objective of 15 min.");
    expect(text).to.include("✗ Missed:");
  });

  it("counts an objective as met when it is reached exactly", () => {
    const text = visibleText(reportPage(practiceResult({ rtoSeconds: 1800 })));
    expect(text).to.include("✓ Met: exactly the objective of 30 min");
  });

  it("draws all steps, and marks the kill and the first client served on both axes", () => {
    const result = practiceResult();
    const page = reportPage(result);
    const figure = visibleText(page.slice(page.indexOf("<figure>"), page.indexOf("</figure>")));
    for (const { title } of [...result.steps, ...result.failover]) expect(figure).to.include(title);
    for (const mark of ["Killed at 45.0 s", "Served at 53.4 s", "Killed at 0 s", "Served at 8.4 s"]) {
      expect(figure).to.include(mark);
    }
  });

  it("keeps every bar within its track, whatever the times", () => {
    const seconds = fc.double({ min: 0, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(fc.array(seconds, { minLength: 10, maxLength: 10 }), (durations) => {
        const sample = practiceResult();
        const steps = sample.steps.map((step, at) => ({ ...step, seconds: durations[at] ?? 0 }));
        for (const [, left, width] of reportPage({ ...sample, steps }).matchAll(/left:([\d.]+)%;width:([\d.]+)%/g)) {
          expect(Number(left) + Number(width)).to.be.within(0, 100.02);
        }
      }),
    );
  });

  it("marks the restored point, and only it", () => {
    const page = reportPage(practiceResult());
    expect(page.match(/class="badge"/g)).to.have.length(1);
    expect(visibleText(page)).to.match(/2026-10-14 12:03:51 UTC\s+restored/);
    expect(visibleText(page)).to.include("The restored point was 5.0 s old");
  });

  it("shows lost ids as ranges, and no list where none was lost", () => {
    const page = reportPage(practiceResult());
    expect(page.match(/<details>/g)).to.have.length(3);
    expect(visibleText(page)).to.include("8263–8300, 8302–8304");
    const collections = practiceResult().collections.map((each) => ({ ...each, lostIds: [] }));
    expect(reportPage(practiceResult({ collections }))).to.not.include("<details>");
  });

  it("is one file: no script, nothing from elsewhere", () => {
    expect(reportPage(practiceResult())).to.not.match(/<script|<link|<img|\ssrc=|\shref=|url\(|@import|https?:/i);
  });

  it("is structured for those who do not see it", () => {
    const page = reportPage(practiceResult());
    const count = (pattern: RegExp) => page.match(pattern)?.length ?? 0;
    expect(page).to.include('<html lang="en">');
    expect(count(/<h1>/g)).to.equal(1);
    expect(count(/<caption>/g)).to.equal(count(/<table>/g));
    expect(count(/<th>/g)).to.equal(0);
    expect(page).to.match(/role="img" aria-label="Timeline of the 10 steps/);
  });

  it("lets no text become markup", () => {
    const hostile = `<script>alert(1)</script>"'&<b onclick=x>`;
    const page = reportPage(withTexts(practiceResult(), hostile));
    expect(page).to.not.match(/<script|<b onclick/i);
    expect(page).to.include("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;");
  });

  it("has the same tags whatever the texts say", () => {
    const expected = tags(reportPage(withTexts(practiceResult(), "x")));
    const pieces = fc.constantFrom("<", ">", '"', "'", "&", "</td>", "<script>", "<!--", " ", "a");
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces, { minLength: 1 }).map((list) => list.join("")),
    );
    fc.assert(
      fc.property(text, (hostile) => {
        expect(tags(reportPage(withTexts(practiceResult(), hostile)))).to.deep.equal(expected);
      }),
    );
  });
});

function tags(page: string): readonly string[] {
  return [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag);
}

/** As a reader gets it: without style and tags, and each stretch of space as one. */
function visibleText(page: string): string {
  return page
    .replace(/<head>.*<\/head>/s, "")
    .replaceAll(/<[^>]*>/g, "")
    .replaceAll(/\s+/g, " ");
}
