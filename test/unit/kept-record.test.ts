import { expect } from "chai";
import { type KeptRecord, keepsAt, keptInWords } from "../../runtime/domain/history/kept-record.ts";
import { controlLayout, placesOfOperators } from "../../runtime/domain/recovery-points/store-layout.ts";

describe("what a person said of how long a recovery point is kept", () => {
  const said: KeptRecord = { recoveryPoint: "id", at: "2026-01-01T00:00:00.000Z", isKept: true };
  const until = "2026-06-01T00:00:00.000Z";

  const cases: readonly [string, Partial<KeptRecord>, string, boolean][] = [
    ["for good", {}, "2199-01-01T00:00:00Z", true],
    ["until a time that is to come", { until }, "2026-05-31T23:59:59.999Z", true],
    ["until a time that is there", { until }, until, false],
    ["ended", { isKept: false }, "2026-01-02T00:00:00Z", false],
  ];
  for (const [name, more, now, keeps] of cases) {
    it(`${name}: ${keeps ? "keeps" : "keeps no longer"}`, () => {
      expect(keepsAt({ ...said, ...more }, new Date(now))).to.equal(keeps);
    });
  }

  it("is told with its time and its reason", () => {
    expect(keptInWords({})).to.equal("kept");
    expect(keptInWords({ until, reason: "audit" })).to.equal(`kept until ${until}: audit`);
  });

  it("is for operators alone to say", () => {
    expect(placesOfOperators.control.test(controlLayout.keptStatement("id", 1))).to.equal(true);
  });
});
