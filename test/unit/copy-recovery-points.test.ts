import { expect } from "chai";
import { retentionSchema } from "../../runtime/domain/history/retention.ts";
import { newId } from "../../runtime/domain/identifier.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import { ageKeys, silently, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { Faults, type Method } from "../support/faults/faulty-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

describe("a copy of recovery points", function () {
  this.timeout(60_000);

  const now = () => new Date(Date.UTC(2026, 1, 1, 12));

  /** Requests to the destination while so many are copied. */
  async function requestsFor(copies: number): Promise<Record<"get" | "list" | "create", number>> {
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

  it("brings the newest first, and of each time what retention keeps: also what a newer one of another kind hides", async () => {
    const { wrap } = await ageKeys();
    const from = await OpenRepository.openOrCreate(storesWithEpoch(), wrap);
    const make = async (
      day: number,
      hour: number,
      minute: number,
      more: Partial<RecoveryPoint> & { isExact?: boolean },
    ) => {
      const at = new Date(Date.UTC(2026, 0, day, hour, minute));
      const id = newId(at);
      await makeRecoveryPoint(from, at, { id, ...more });
      return id;
    };
    const qdrant: { day: number; id: string }[] = [];
    const folders: string[] = [];
    const inexact: string[] = [];
    for (let day = 1; day <= 28; day += 1) {
      qdrant.push({ day, id: await make(day, 2, 0, { kinds: ["qdrant"], folders: [] }) });
      // In the same quarter of an hour: all that a listing shows is that they are newer.
      if (day > 20) inexact.push(await make(day, 2, 2, { kinds: ["config"], isExact: false }));
      folders.push(await make(day, 2, 1, { kinds: ["config"] }));
    }
    const retention = retentionSchema.parse({ days: 20, fourHourlyDays: 2, atLeast: 1 });
    const clock = clockShowing(() => new Date(Date.UTC(2026, 0, 28, 12)));
    const destination = { stores: storesWithEpoch(), wrap, region: { retention } };
    const week = new Date(Date.UTC(2026, 0, 22));
    const first = await copyRecoveryPoints(from, destination, silently, clock, { since: week });
    const isOf = (days: number) => (id: string) =>
      id >= new Date(Date.UTC(2026, 0, days)).toISOString().replaceAll(/[-:.]/g, "");
    const wanted = (day: number) => [...qdrant.map(({ id }) => id), ...folders].filter(isOf(day)).sort().reverse();
    expect(
      first.copied.filter((id) => !inexact.includes(id)),
      "since",
    ).to.deep.equal(wanted(22));
    expect(first.copied[0], "the newest of all, though it is not exact").to.equal(inexact.at(-1));
    expect(first.copied.filter((id) => inexact.includes(id))).to.have.length(1);
    const { copied, unwanted } = await copyRecoveryPoints(from, destination, silently, clock);
    expect([...first.copied.slice(1), ...copied], "the newest first").to.deep.equal(wanted(9));
    expect(unwanted).to.be.greaterThan(0);
    const again = await copyRecoveryPoints(from, destination, silently, clock);
    expect(again.copied).to.deep.equal([]);
  });

  it("costs the destination the same requests for each, however many there are, and no further listing", async () => {
    const [few, more, many] = [await requestsFor(3), await requestsFor(6), await requestsFor(9)];
    expect([more.list, many.list]).to.deep.equal([few.list, few.list]);
    expect([many.get - more.get, many.create - more.create]).to.deep.equal([
      more.get - few.get,
      more.create - few.create,
    ]);
  });
});
