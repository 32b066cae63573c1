import { stripVTControlCharacters } from "node:util";
import { expect } from "chai";
import fc from "fast-check";
import { resultTable } from "../../quickstart/report/result-table.ts";
import { practiceResult, withTexts } from "../support/documents/practice-result.ts";

const plainTable = (changes: Parameters<typeof practiceResult>[0] = {}, width = 100) =>
  resultTable(practiceResult(changes), { width, colour: false });

describe("result table", () => {
  it("shows steps, objectives, losses, counts, verification and the report's path", () => {
    const lines = plainTable().split("\n");
    for (const line of [
      "The primary region was killed; clients were served again after 8.4 s.",
      "118 of 913 acknowledged writes were lost.",
      "RTO          8.4 s  ✓ 29 min 52 s below the objective of 30 min",
      "RPO          4.9 s  ✓ 14 min 55 s below the objective of 15 min",
      "Lost writes    118  of 913 acknowledged (13%)",
      "Verified       yes  ✓ the copies, the restored data and the writes after the failover",
      "documents           8,304   8,263           304    41",
      "Total              22,913  22,795           913   118",
      "Report  /home/anna/qdrant-dr/.local/reports/2026-10-14T12-03-11Z/report.html",
    ]) {
      expect(lines).to.include(line);
    }
  });

  it("lists the failover's steps under the failover, and each step once", () => {
    const titles = plainTable()
      .split("\n")
      .flatMap((line) => /^(.*?) +[\d.]+ m?s /.exec(line)?.[1] ?? [])
      .filter((title) => !/^R[PT]O$/.test(title));
    const { steps, failover } = practiceResult();
    const under = failover.map(({ title }, at) => `${at === failover.length - 1 ? "└" : "├"} ${title}`);
    expect(titles).to.deep.equal(
      steps.flatMap(({ name, title }) => (name === "failover" ? [title, ...under] : [title])),
    );
  });

  it("says in words that it is not verified and which objective is missed", () => {
    const table = plainTable({ verified: false, rtoSeconds: 2405 }, 80);
    expect(table).to.include("✗ Not verified");
    expect(table).to.include("✗ RTO missed: 40 min 5 s is 10 min 5 s above the objective of 30 min.");
    expect(table).to.match(/Verified +NO {2}✗/);
  });

  it("says the same with and without colour", () => {
    const coloured = resultTable(practiceResult({ verified: false }), { width: 90, colour: true });
    expect(coloured).to.include("\u001b[31m");
    expect(stripVTControlCharacters(coloured)).to.equal(plainTable({ verified: false }, 90));
  });

  it("lets no name steer the terminal", () => {
    const table = resultTable(withTexts(practiceResult(), "\u001b[2J\r\nx\u009b31m"), { width: 100, colour: false });
    expect(table.replaceAll("\n", "")).to.not.match(/\p{Cc}/u);
  });

  it("fits the width it was given, from 80 to 100 columns, but for the path", () => {
    const seconds = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 80 }),
        fc.integer({ min: 1, max: 300 }),
        seconds,
        seconds,
        (text, width, rtoSeconds, rpoSeconds) => {
          const result = withTexts(practiceResult({ rtoSeconds, rpoSeconds, verified: false }), text);
          const lines = resultTable(result, { width, colour: false }).split("\n");
          for (const line of lines.filter((each) => !each.startsWith("Report  "))) {
            expect([...line].length, line).to.be.at.most(Math.min(100, Math.max(80, width)));
          }
        },
      ),
    );
  });
});
