/** Until when a recovery point is locked, which is decided when it is made: never for less than retention keeps it. */
import { expect } from "chai";
import fc from "fast-check";
import { type Candidate, decideKept } from "../../runtime/domain/history/decide-kept.ts";
import { lockEndOf } from "../../runtime/domain/history/lock-end.ts";
import { partOfCollection, retentionSchema } from "../../runtime/domain/history/retention.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const begin = Date.parse("2026-06-15T00:00:00.000Z");
const policy = retentionSchema.parse({
  atLeast: 1,
  days: 60,
  fourHourlyDays: 10,
  collections: { "audit-*": { days: 200 } },
});
const holding = (...names: string[]) => ["qdrant", ...names.map(partOfCollection)];

function candidate(ms: number, isExact = true, qdrant: readonly string[] = holding("notes")): Candidate {
  const startedAt = new Date(ms).toISOString();
  return {
    ...{ id: startedAt, startedAt, finishedAt: startedAt, type: "incremental", isExact, isVerified: false },
    ...{ isRestorable: true, holdings: { qdrant }, heldBy: [] },
  };
}

const daysOf = (one: Candidate, before?: Candidate) =>
  (lockEndOf(one, before === undefined ? [] : [before], policy).needed.getTime() - Date.parse(one.startedAt)) / day;

describe("the end of a lock", () => {
  const first = candidate(begin);
  const cases: readonly [string, number, Candidate, Candidate | undefined][] = [
    ["the first of its day", 60, candidate(begin + day), first],
    ["the first of all", 60, first, undefined],
    ["the first of its four hours", 10, candidate(begin + 250 * minute), first],
    ["one of the others", 1, candidate(begin + 20 * minute), first],
    ["an exact one after one that is not", 60, candidate(begin + 20 * minute), candidate(begin, false)],
    [
      "one with a collection that the one before lacks",
      60,
      candidate(begin + minute, true, holding("notes", "more")),
      first,
    ],
    [
      "the first of its day with a collection that is kept for longer",
      200,
      candidate(begin, true, holding("audit-1")),
      undefined,
    ],
  ];
  for (const [what, days, one, before] of cases) {
    it(`of ${what} is ${days} days later`, () => {
      expect(daysOf(one, before)).to.equal(days);
      const { extended, needed } = lockEndOf(one, before === undefined ? [] : [before], policy);
      expect(extended.getTime()).to.be.within(needed.getTime(), needed.getTime() + (days * day) / 8);
    });
  }

  it("is never before the time until which retention wants it, whatever is captured and whenever it is looked at", () => {
    const captured = fc.record({
      afterMinutes: fc.integer({ min: 1, max: 900 }),
      isExact: fc.boolean(),
      names: fc.constantFrom(holding("notes"), holding("notes", "audit-1"), holding("audit-1")),
    });
    // Also when the first of a slot is out of reach, and others of it are not yet.
    const looks = fc.oneof(
      fc.integer({ min: 0, max: 40 * 24 * 60 }),
      ...[1, 10, 60, 200].map((days) => fc.integer({ min: days * 24 * 60 - 900, max: days * 24 * 60 + 5 })),
    );
    const history = fc.array(captured, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(history, looks, (captures, lookMinutes) => {
        let ms = begin;
        const made = captures.map(({ afterMinutes, isExact, names }) => {
          ms += afterMinutes * minute;
          return candidate(ms, isExact, names);
        });
        const locked = new Map(
          made.map((one, n) => [one.id, lockEndOf(one, made.slice(Math.max(0, n - 1), n), policy).needed.getTime()]),
        );
        const { wantedUntil } = decideKept(made, policy, new Date(ms + lookMinutes * minute));
        for (const [id, until] of wantedUntil) expect(locked.get(id)).to.be.at.least(until);
      }),
      { numRuns: 300 },
    );
  });
});
