import { expect } from "chai";
import { measureHistoryReads } from "../support/estates/large-history.ts";

describe("reading a history that nobody thins", function () {
  this.timeout(60_000);

  it("costs what it answers: the newest, the last 50 and a scrape, however many recovery points there are", async () => {
    const { listRequests, newestRequests, peakRssMiB, scrapeRequests } = await measureHistoryReads(1_000);
    const larger = await measureHistoryReads(3_000);
    const { copyPlanRequests, ...same } = larger;
    expect(copyPlanRequests).to.be.at.most(100);
    expect({ ...same, peakRssMiB }, "the same of three times as many").to.deep.equal({
      ...{ listRequests, newestRequests, peakRssMiB, scrapeRequests },
    });
    expect(newestRequests).to.be.at.most(100);
    expect(listRequests).to.be.at.most(100);
    expect(scrapeRequests).to.be.at.most(100);
  });
});
