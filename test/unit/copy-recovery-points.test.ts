import { expect } from "chai";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy-recovery-points.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import { ageKeys, silently, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { Faults, type Method } from "../support/faults/faulty-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

describe("a copy of recovery points", function () {
  this.timeout(60_000);

  const now = () => new Date(Date.UTC(2026, 1, 1, 12));

  /** Requests to the destination while so many are copied. */
  async function requestsFor(copies: number): Promise<Record<Exclude<Method, "delete">, number>> {
    const { wrap } = await ageKeys();
    const from = await OpenRepository.openOrCreate(storesWithEpoch(), wrap);
    for (let made = 1; made <= copies; made += 1) await makeRecoveryPoint(from, new Date(Date.UTC(2026, 1, 1, made)));
    const destination = storesWithEpoch();
    const requests = new Faults();
    const stores = {
      repository: requests.wrap(destination.repository),
      control: requests.wrap(destination.control),
    };
    const { copied } = await copyRecoveryPoints(from, { stores, wrap }, silently, clockShowing(now));
    expect(copied).to.have.length(copies);
    const count = (method: Method) => requests.log.filter((request) => request.method === method).length;
    return { get: count("get"), list: count("list"), create: count("create") };
  }

  it("costs the destination the same requests for each, however many there are, and no further listing", async () => {
    const [few, more, many] = [await requestsFor(3), await requestsFor(6), await requestsFor(9)];
    expect([more.list, many.list]).to.deep.equal([few.list, few.list]);
    expect([many.get - more.get, many.create - more.create]).to.deep.equal([
      more.get - few.get,
      more.create - few.create,
    ]);
  });
});
