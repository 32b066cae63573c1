/** Which recovery points retention keeps: tables, and what holds for any history. */
import { expect } from "chai";
import fc from "fast-check";
import { type Candidate, decideKept } from "../../runtime/domain/history/decide-kept.ts";
import {
  partOfCollection,
  type Retention,
  retentionSchema,
  usualRetention,
} from "../../runtime/domain/history/retention.ts";
import { compareAge } from "../../runtime/domain/recovery-points/order.ts";

const now = new Date("2026-06-15T12:07:00.000Z");
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const notes = ["qdrant", "the collection notes"];

function candidate(ageMs: number, more: Partial<Candidate> = {}): Candidate {
  const startedAt = new Date(now.getTime() - ageMs).toISOString();
  return {
    id: startedAt,
    startedAt,
    finishedAt: startedAt,
    type: "incremental",
    isExact: true,
    isVerified: false,
    isRestorable: true,
    heldBy: [],
    holdings: { qdrant: notes },
    ...more,
  };
}

function retention(more: object = {}): Retention {
  return retentionSchema.parse({ atLeast: 1, ...more });
}

/** Ages of those that are kept, in the unit that is given. */
function keptOf(candidates: readonly Candidate[], policy: Retention = retention(), unit = minute): number[] {
  const { kept } = decideKept(candidates, policy, now);
  return candidates.filter(({ id }) => kept.has(id)).map((each) => (now.getTime() - Date.parse(each.startedAt)) / unit);
}

describe("retention", () => {
  it("keeps the first of each 15 minutes for a day, of each 4 hours for 30 days, of each day for as long as is said", () => {
    const everyMinute = Array.from({ length: 40 }, (_, n) => candidate(n * minute));
    expect(keptOf(everyMinute)).to.deep.equal([0, 7, 22, 37, 39]);
    const everyHour = Array.from({ length: 40 }, (_, n) => candidate(25 * hour + n * hour));
    // Beside the newest of all, those that begin a stretch of four hours.
    expect(keptOf(everyHour, retention(), hour)).to.deep.equal([25, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64]);
    const everySixHours = Array.from({ length: 20 }, (_, n) => candidate(31 * day + n * 6 * hour));
    expect(keptOf(everySixHours, retention(), day)).to.deep.equal([31, 31.5, 32.5, 33.5, 34.5, 35.5, 35.75]);
    const ancient = [candidate(0), candidate(364 * day), candidate(366 * day)];
    expect(keptOf(ancient, retention(), day)).to.deep.equal([0, 364]);
    expect(keptOf(ancient, retention({ days: 30 }), day)).to.deep.equal([0]);
  });

  it("keeps a replication's day of one state every 10 seconds in fewer than 120 recovery points", () => {
    const states = Array.from({ length: 8_640 }, (_, n) => candidate(n * 10_000));
    expect(keptOf(states).length).to.be.within(90, 120);
  });

  const always: readonly [string, readonly Candidate[], string][] = [
    [
      "what is held",
      [candidate(400 * day, { id: "old", heldBy: ["the standby holds it"] }), candidate(0)],
      "the standby holds it",
    ],
    ["the newest full one", [candidate(400 * day, { id: "old", type: "full" }), candidate(0)], "the newest full one"],
    [
      "the newest exact one",
      [candidate(400 * day, { id: "old" }), candidate(0, { isExact: false })],
      "the newest that is exact",
    ],
    [
      "the newest that was verified",
      [candidate(400 * day, { id: "old", isVerified: true }), candidate(0)],
      "the newest that was verified",
    ],
    [
      "the newest with a collection",
      [candidate(400 * day, { id: "old", holdings: { qdrant: [...notes, "the collection gone"] } }), candidate(0)],
      "the newest with the collection gone",
    ],
    [
      "the newest with a folder",
      [
        candidate(400 * day, { id: "old", holdings: { qdrant: notes, folders: ["config", "config etc"] } }),
        candidate(0),
      ],
      "one of the 1 newest",
    ],
  ];
  for (const [what, candidates, reason] of always) {
    it(`keeps ${what}, however old`, () => {
      expect(decideKept(candidates, retention(), now).kept.get("old")).to.include(reason);
    });
  }

  it("counts what cannot be restored as nothing: it fills no place, and no floor", () => {
    const bad = { isRestorable: false };
    const policy = retention({ atLeast: 2 });
    const candidates = [
      candidate(0, bad),
      candidate(minute, bad),
      candidate(500 * day),
      candidate(600 * day),
      candidate(700 * day),
    ];
    expect(keptOf(candidates, policy, day)).to.deep.equal([minute / day, 500, 600]);
    const inOneSlot = [candidate(0, bad), candidate(minute), candidate(2 * minute)];
    // The first of its day, among themselves.
    expect(keptOf(inOneSlot)).to.deep.equal([0, 1, 2]);
  });

  it("keeps what lies in the future, and lets it take nobody's place", () => {
    const candidates = [candidate(-day), candidate(-2 * day), candidate(0), candidate(minute)];
    expect(keptOf(candidates)).to.deep.equal([-1_440, -2_880, 0, 1]);
    const { kept } = decideKept(candidates, retention(), now);
    expect(kept.get(candidates[0]?.id ?? "")).to.deep.equal(["its time is in the future, and does not count"]);
    expect(kept.get(candidates[2]?.id ?? "")).to.include("one of the 1 newest");
  });

  it("keeps, beside one that lacks a collection, the first of its time that has it", () => {
    const both = { holdings: { qdrant: [...notes, "the collection more"] } };
    const candidates = [
      candidate(0, both),
      candidate(10 * day, both),
      candidate(10 * day + minute, both),
      candidate(10 * day + 2 * minute),
    ];
    expect(keptOf(candidates)).to.deep.equal([0, 14_401, 14_402]);
  });

  it("has days of their own for folders and infrastructure", () => {
    const folder = (age: number) => candidate(age, { holdings: { folders: ["config", "config etc"] } });
    const candidates = [candidate(0), folder(0), folder(20 * day), candidate(20 * day)];
    const policy = retention({ folders: { days: 5, fourHourlyDays: 5 } });
    const { dropped } = decideKept(
      candidates.map((each, n) => ({ ...each, id: String(n) })),
      policy,
      now,
    );
    expect([...dropped]).to.deep.equal([["2", "older than all that is kept"]]);
  });

  describe("by collection", () => {
    const holding = (...names: string[]) => ({ holdings: { qdrant: ["qdrant", ...names.map(partOfCollection)] } });
    const policy = retention({
      days: 30,
      collections: { "tmp-*": { days: 2, fourHourlyDays: 2 }, "audit-*": { days: 400 }, "audit-old": { days: 90 } },
    });
    const cases: readonly [string, readonly string[], number, boolean][] = [
      ["what nobody says otherwise of, as long as usual", ["notes"], 20, true],
      ["the same, no longer", ["notes"], 40, false],
      ["one that is wanted for longer", ["notes", "audit-1"], 380, true],
      ["what is said last", ["audit-old"], 100, false],
      ["one of which all is wanted for less", ["tmp-1", "tmp-2"], 20, false],
      ["one that holds beside that what is wanted as usual", ["tmp-1", "notes"], 20, true],
      ["one of an empty Qdrant, as long as usual", [], 20, true],
    ];
    for (const [what, names, days, isKept] of cases) {
      it(`${isKept ? "keeps" : "drops"} ${what}`, () => {
        const old = candidate(days * day, { id: "old", ...holding(...names) });
        const { kept } = decideKept([candidate(0, holding(...names)), old], policy, now);
        expect(kept.has("old")).to.equal(isKept);
      });
    }

    it("keeps one a day for what is wanted for longer, whatever else they hold", () => {
      const everySixHours = Array.from({ length: 12 }, (_, n) =>
        candidate(100 * day + n * 6 * hour, { ...holding("notes", "audit-1") }),
      );
      const kept = keptOf([candidate(0, holding("notes", "audit-1")), ...everySixHours], policy, day);
      expect(kept).to.deep.equal([0, 100.5, 101.5, 102.5, 102.75]);
    });
  });

  it("says which one stands for what is dropped", () => {
    const candidates = [
      candidate(0),
      candidate(minute, { id: "one" }),
      candidate(2 * minute),
      candidate(26 * hour, { id: "two" }),
      candidate(27 * hour),
    ];
    const { dropped } = decideKept(candidates, retention(), now);
    expect([...dropped]).to.deep.equal([
      ["one", `${candidates[2]?.id} is kept of its 15 minutes`],
      ["two", `${candidates[4]?.id} is kept of its 4 hours`],
    ]);
  });

  const anyCandidate = fc
    .record({
      age: fc.oneof(
        fc.integer({ min: -2 * day, max: 2 * day }),
        fc.integer({ min: 0, max: 500 * day }),
        fc.integer({ min: 0, max: hour }),
      ),
      isExact: fc.boolean(),
      isRestorable: fc.boolean(),
      isVerified: fc.boolean(),
      type: fc.constantFrom("full" as const, "incremental" as const),
      isHeld: fc.boolean(),
      holdings: fc.constantFrom<Candidate["holdings"]>(
        { qdrant: notes },
        { qdrant: [...notes, "the collection b"], folders: ["config", "config etc"] },
        { folders: ["user-data", "user-data files"] },
        { infrastructure: ["infrastructure", "infrastructure all"] },
      ),
    })
    .map(({ age, isHeld, ...more }) => ({ age, more: { ...more, heldBy: isHeld ? ["someone"] : [] } }));
  const anyHistory = fc
    .array(anyCandidate, { minLength: 1, maxLength: 60 })
    .map((all) => all.map(({ age, more }, n) => candidate(age, { ...more, id: String(n) })));
  const anyPolicy = fc.record({
    days: fc.integer({ min: 1, max: 400 }),
    fourHourlyDays: fc.integer({ min: 1, max: 60 }),
    quarterHourlyDays: fc.integer({ min: 1, max: 5 }),
    atLeast: fc.integer({ min: 1, max: 6 }),
  });

  it("never drops the newest, what is held, the floor, or the last of a kind, a collection or a folder", () => {
    fc.assert(
      fc.property(anyHistory, anyPolicy, (history, policy) => {
        const { dropped, kept } = decideKept(history, retention(policy), now);
        expect(kept.size + dropped.size).to.equal(history.length);
        const dated = history.filter(({ startedAt }) => Date.parse(startedAt) <= now.getTime() + 10 * minute);
        const newestFirst = dated.filter(({ isRestorable }) => isRestorable).toSorted((a, b) => compareAge(b, a));
        for (const kind of ["qdrant", "folders", "infrastructure"] as const) {
          const holders = newestFirst.filter(({ holdings }) => holdings[kind] !== undefined);
          const keptHolders = holders.filter(({ id }) => kept.has(id));
          expect(keptHolders.length).to.be.at.least(Math.min(policy.atLeast, holders.length));
          if (holders[0] !== undefined) expect(kept.has(holders[0].id)).to.equal(true);
          for (const part of new Set(holders.flatMap(({ holdings }) => holdings[kind] ?? []))) {
            const last = holders.find(({ holdings }) => holdings[kind]?.includes(part));
            expect(kept.has(last?.id ?? ""), part).to.equal(true);
          }
        }
        for (const { heldBy, id } of history) if (heldBy.length > 0) expect(kept.has(id)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it("drops no more for having dropped: what is kept is kept again, and thinning every hour keeps what thinning once does", () => {
    fc.assert(
      fc.property(anyHistory, anyPolicy, fc.integer({ min: 1, max: 40 }), (history, policy, steps) => {
        const settings = retention(policy);
        let left: readonly Candidate[] = history;
        const end = new Date(now.getTime() + steps * hour);
        for (let step = 0; step <= steps; step += 1) {
          const { kept } = decideKept(left, settings, new Date(now.getTime() + step * hour));
          left = left.filter(({ id }) => kept.has(id));
        }
        const once = decideKept(history, settings, end).kept;
        const wanted = history.filter(({ id, isRestorable, startedAt }) => {
          // What came to lie in the past meanwhile may have taken a place; the tiers' own choice must stand.
          return isRestorable && once.has(id) && Date.parse(startedAt) <= now.getTime();
        });
        for (const { id } of wanted) {
          const again = decideKept(left, settings, end).kept;
          if (!left.some((each) => each.id === id)) expect.fail(`${id} was dropped: ${once.get(id)?.join("; ")}`);
          expect(again.has(id)).to.equal(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("decides about 100,000 recovery points in seconds", function () {
    this.timeout(20_000);
    const history = Array.from({ length: 100_000 }, (_, n) =>
      candidate(n * 5 * minute, { id: String(n), isExact: n % 3 > 0 }),
    );
    const begun = process.cpuUsage();
    const { kept } = decideKept(history, usualRetention, now);
    expect(kept.size).to.be.within(500, 800);
    expect(process.cpuUsage(begun).user / 1e6).to.be.below(10);
  });
});
