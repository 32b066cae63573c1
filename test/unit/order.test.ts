import { expect } from "chai";
import fc from "fast-check";
import { timeOfId } from "../../runtime/domain/identifier.ts";
import { believedTime, compareAge, doubtOf, idAfter, isWithin } from "../../runtime/domain/recovery-points/order.ts";

const at = (minutes: number) => new Date(Date.UTC(2026, 4, 31, 14, minutes));
const day = 24 * 60;

describe("the order of recovery points", () => {
  it("is that in which a bucket took them, whatever clocks the captures had, and by whomever it is read", () => {
    const clocks = fc.array(fc.integer({ min: -3 * day, max: 3 * day }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(clocks, fc.boolean(), (drawn, tells) => {
        const ids: string[] = [];
        // Stored one after another by the bucket's clock; each by a clock that is wrong by so much.
        const taken = drawn.map((wrongBy, minute) => {
          const id = idAfter(at(minute + wrongBy), ids);
          ids.push(id);
          return { id, storedAt: tells ? at(minute) : undefined };
        });
        const sorted = [...taken].reverse().sort(compareAge);

        expect(sorted.map(({ id }) => id)).to.deep.equal(ids);
        expect([...ids].sort()).to.deep.equal(ids);
      }),
    );
  });

  it("is that of the bucket's clock, where another bucket's captures were made by a clock that was ahead", () => {
    const ahead = { id: idAfter(at(day), []), storedAt: at(0) };
    const copied = { id: idAfter(at(30), []), storedAt: at(60) };
    expect([copied, ahead].sort(compareAge)).to.deep.equal([ahead, copied]);
    // Within what clocks differ by, the captures' own clocks decide.
    const [early, late] = [
      { id: idAfter(at(10), []), storedAt: at(12) },
      { id: idAfter(at(11), []), storedAt: at(11) },
    ];
    expect([late, early].sort(compareAge)).to.deep.equal([early, late]);
  });

  it("follows no id that could not be written, and none that is none", () => {
    const strange = ["99991231T235959999Z-00000000", "folder", "", "20260531T140000000Z"];
    expect(timeOfId(idAfter(at(5), strange))).to.deep.equal(at(5));
    expect(timeOfId(idAfter(at(5), ["20260601T000000000Z-ffffffff"]))?.toISOString()).to.equal(
      "2026-06-01T00:00:00.001Z",
    );
  });
});

describe("a time", () => {
  const now = at(0);

  it("is believed as it is told, as late as it was stored, or not at all", () => {
    const believed = (told: Date, storedAt?: Date) => believedTime(told, { now, storedAt });
    expect(believed(at(-5))).to.deep.equal(at(-5));
    expect(believed(at(0.5)), "as clocks differ").to.deep.equal(at(0.5));
    expect(believed(at(2))).to.equal(undefined);
    expect(believed(at(day), at(-5))).to.deep.equal(at(-5));
    expect(believed(at(-5), at(day)), "copied later").to.deep.equal(at(-5));
    expect(believed(at(day), at(day)), "read by a clock that is behind").to.equal(undefined);
    expect(believed(at(-5), at(-day)), "of a day ago by the store").to.deep.equal(at(-day));
    expect(believed(at(-5), new Date(0)), "of a store that keeps no times").to.deep.equal(at(-5));
  });

  it("that is not believed is told with what contradicts it", () => {
    const doubt = (told: Date, storedAt?: Date) => doubtOf("it", told.toISOString(), { now, storedAt });
    expect(doubt(at(-5))).to.equal(undefined);
    expect(doubt(at(day))).to.match(/24 h ahead of the clock here/);
    expect(doubt(at(-5), at(-65))).to.match(/1 h ahead of the clock of the bucket/);
  });

  it("ahead of the clock is within no span, however long", () => {
    expect(isWithin(60_000, at(-0.5), now)).to.equal(true);
    expect(isWithin(60_000, at(-2), now)).to.equal(false);
    expect(isWithin(1e12, at(day), now)).to.equal(false);
  });
});
