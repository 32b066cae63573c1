import { expect } from "chai";
import { bucketRpoMinutes } from "../../runtime/domain/settings/objectives.ts";
import { cronSchema, longestGapMinutes } from "../../runtime/domain/settings/schedule.ts";

describe("schedules", () => {
  const gaps: [expression: string, minutes: number][] = [
    ["* * * * *", 1],
    ["*/15 * * * *", 15],
    ["*/7 * * * *", 7],
    ["*/45 * * * *", 45],
    ["0 */4 * * *", 240],
    ["0 */5 * * *", 300],
    ["0 2 * * *", 1440],
    ["30 2 * * MON-FRI", 3 * 1440],
    ["0 5 * * 0", 7 * 1440],
    ["0 4 1 * *", 31 * 1440],
  ];
  for (const [expression, minutes] of gaps) {
    it(`${expression} leaves ${minutes} minutes at most`, () => {
      expect(longestGapMinutes(expression)).to.equal(minutes);
    });
  }

  for (const expression of ["0 2 * * *", "*/5 * * * *", "0 0 29 2 *", "0 6 * * MON", "15 1,13 1-7 JAN-MAR *"]) {
    it(`takes ${expression}`, () => expect(cronSchema.safeParse(expression).success).to.equal(true));
  }

  // What croner knows, and Kubernetes does not, would be refused by the cluster after half an estate is up.
  const refused = ["", "0 2 * *", "0 0 2 * * *", "@daily", "60 * * * *", "0 0 31 2 *", "0 0 L * *", "0 0 * * 5#2", "x"];
  for (const expression of refused) {
    it(`refuses ${JSON.stringify(expression)}`, () => expect(cronSchema.safeParse(expression).success).to.equal(false));
  }

  it("copied points alone lose a capture's gap and a copy's at worst", () => {
    expect(bucketRpoMinutes({ incremental: "0 */4 * * *", copy: "30 * * * *" })).to.equal(300);
  });
});
