/** The pace at which `verify` goes round a repository. */
import { expect } from "chai";
import fc from "fast-check";
import {
  coverageOf,
  dueSlots,
  joinedRotations,
  newRotation,
  type Rotation,
  readWithinMs,
  rotationSchema,
  slotOf,
  slotsInRound,
  withReading,
} from "../../runtime/domain/recovery-points/rotation.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const start = Date.parse("2026-03-01T04:00:00.000Z");

/** Reads what is due at a time; answers how many slots that were. */
function run(rotation: Rotation, at: number): { rotation: Rotation; slots: number[] } {
  const now = new Date(at);
  const slots = dueSlots(rotation, now);
  let read = rotation;
  for (const slot of slots) {
    const readAt = Math.floor(at / 1000);
    read = withReading(read, { slot, readAt, objects: 1, bytes: 100, damaged: [] }, now);
  }
  return { rotation: read, slots };
}

describe("the rotation of verify", () => {
  it("comes round to every slot within 30 days, however its runs are spread", () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 7 * 24 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(gaps, (hours) => {
        let rotation = newRotation("r", new Date(start));
        const seen = new Map<number, number>();
        let at = start;
        for (let turn = 0; at < start + 90 * dayMs; turn += 1) {
          const ran = run(rotation, at);
          rotation = rotationSchema.parse(ran.rotation);
          for (const slot of ran.slots) {
            expect(at - (seen.get(slot) ?? start)).to.be.at.most(readWithinMs);
            seen.set(slot, at);
          }
          at += (hours[turn % hours.length] ?? 24) * hourMs;
        }
        expect(seen.size).to.equal(slotsInRound);
      }),
      { numRuns: 30 },
    );
  });

  it("reads about as much each day, nothing twice in a day, and what it missed afterwards", () => {
    const first = run(newRotation("r", new Date(start)), start);
    expect(first.slots).to.have.length(11);
    const soon = run(first.rotation, start + hourMs).slots;
    expect(soon).to.have.length.at.most(1);
    expect(soon).to.not.include.members(first.slots);
    const late = run(first.rotation, start + 10 * dayMs);
    expect(late.slots).to.have.length.within(114, 118);
    expect(late.slots).to.not.include.members(first.slots);
    // A clock that went back a year, and one that is a year ahead.
    expect(run(first.rotation, start - 365 * dayMs).slots).to.deep.equal([]);
    const ahead = run(first.rotation, start + 365 * dayMs);
    expect(ahead.slots).to.have.length(slotsInRound);
    expect(run(ahead.rotation, start + 366 * dayMs).slots).to.have.length.within(11, 12);
  });

  it("tells the share of bytes that were read within 30 days, and since when all was read", () => {
    let rotation = newRotation("r", new Date(start));
    expect(coverageOf(rotation, new Date(start))).to.include({ share: 0, damaged: 0 });
    for (let day = 0; day < 11; day += 1) rotation = run(rotation, start + day * dayMs).rotation;
    const half = coverageOf(rotation, new Date(start + 10 * dayMs));
    expect(half.share).to.be.within(0.45, 0.55);
    expect(half.readSince.getTime()).to.equal(start);
    for (let day = 11; day < 30; day += 1) rotation = run(rotation, start + day * dayMs).rotation;
    const whole = coverageOf(rotation, new Date(start + 30 * dayMs));
    expect(whole.share).to.equal(1);
    expect(whole.readSince.getTime()).to.be.greaterThan(start);
    // Nobody reads any more.
    const later = coverageOf(rotation, new Date(start + 50 * dayMs));
    expect(later.share).to.be.below(0.5);
    expect(coverageOf(rotation, new Date(start + 90 * dayMs)).share).to.equal(0);
  });

  it("keeps what is damaged until its slot is read again", () => {
    const now = new Date(start);
    const damaged = [{ key: "packs/00/x", because: "changed" }];
    const found = withReading(
      newRotation("r", now),
      { slot: 0, readAt: start / 1000, objects: 1, bytes: 1, damaged },
      now,
    );
    expect(found.damaged).to.deep.equal([{ key: "packs/00/x", because: "changed", slot: 0 }]);
    const read = { readAt: start / 1000, objects: 1, bytes: 1, damaged: [] };
    expect(withReading(found, { ...read, slot: 1 }, now).damaged).to.have.length(1);
    expect(withReading(found, { ...read, slot: 0 }, now).damaged).to.deep.equal([]);
  });

  it("joins what two runs at once have read", () => {
    const begun = newRotation("r", new Date(start));
    const read = (rotation: Rotation, slot: number, at: number, because?: string) =>
      withReading(
        rotation,
        {
          ...{ slot, readAt: at / 1000, objects: 1, bytes: slot },
          damaged: because === undefined ? [] : [{ key: `packs/${slot}`, because }],
        },
        new Date(at),
      );
    const a = read(read(begun, 0, start), 1, start + 1000, "in a");
    const b = read(begun, 2, start + 2000, "in b");
    for (const joined of [joinedRotations(a, b), joinedRotations(b, a)]) {
      expect(joined.slots.slice(0, 4).map((reading) => reading?.[2])).to.deep.equal([0, 1, 2, undefined]);
      expect(joined.damaged.map(({ because }) => because)).to.have.members(["in a", "in b"]);
    }
  });

  it("spreads packs and trees by their names, and recovery points over all slots", () => {
    const id = `a7${"0".repeat(62)}`;
    expect([slotOf(storeLayout.pack(id)), slotOf(storeLayout.tree(id))]).to.deep.equal([0xa7, 0xa7]);
    const slots = Array.from({ length: 5_000 }, (_, number) => slotOf(storeLayout.manifest(`20260301T00000${number}`)));
    expect(new Set(slots).size).to.equal(slotsInRound);
  });
});
