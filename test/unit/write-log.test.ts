import { expect } from "chai";
import fc from "fast-check";
import {
  acknowledgedBefore,
  lostWrites,
  measureOutage,
  parseWriteLog,
  recoveryPointSeconds,
  type WriteLogEntry,
} from "../../quickstart/domain/write-log.ts";

const shared = {
  at: fc.integer({ min: 0, max: 1_000 }),
  collection: fc.constantFrom("documents", "code", 'a "name"\n'),
  id: fc.integer({ min: 0, max: 30 }),
};
const entry: fc.Arbitrary<WriteLogEntry> = fc.oneof(
  fc.record({ ...shared, kind: fc.constant("acknowledged" as const) }),
  fc.record({ ...shared, kind: fc.constant("readBack" as const) }),
  fc.record(
    {
      ...shared,
      kind: fc.constant("failed" as const),
      error: fc.string({ unit: "binary" }),
      count: fc.integer({ min: 1 }),
    },
    { requiredKeys: ["at", "kind", "collection", "id", "error"] },
  ),
);
const logs = fc
  .array(entry, { maxLength: 40 })
  .map((log) => log.map((one) => ({ ...one })).sort((a, b) => a.at - b.at));
const ndjson = (log: readonly WriteLogEntry[]) => log.map((one) => `${JSON.stringify(one)}\n`).join("");

const acknowledged = (at: number, id: number, collection = "documents"): WriteLogEntry => ({
  at,
  kind: "acknowledged",
  collection,
  id,
});
const readBack = (at: number, id: number, collection = "documents"): WriteLogEntry => ({
  at,
  kind: "readBack",
  collection,
  id,
});
const failed = (at: number, id: number): WriteLogEntry => ({
  at,
  kind: "failed",
  collection: "documents",
  id,
  error: "ECONNREFUSED",
});

describe("write log: reading", () => {
  it("reads back every log that was written", () => {
    fc.assert(
      fc.property(logs, (log) => {
        expect(parseWriteLog(ndjson(log))).to.deep.equal(log);
      }),
    );
  });

  it("reads every whole line of a log that was cut anywhere by the death of its client, and only those", () => {
    fc.assert(
      fc.property(logs, fc.nat(), (log, place) => {
        const text = ndjson(log);
        const cut = text.slice(0, place % (text.length + 1));
        const read = parseWriteLog(cut);
        expect(read).to.deep.equal(log.slice(0, read.length));
        // A line that lacks only its line break is whole.
        const whole = cut.split("\n").length - 1;
        expect(read.length).to.be.within(whole, whole + 1);
      }),
    );
  });

  for (const [what, text] of [
    ["a broken line before the last one", `{"at":1,"ki\n${JSON.stringify(readBack(1, 1))}\n`],
    ["a broken last line that was ended", `${JSON.stringify(readBack(1, 1))}\n{"at":1,"ki\n`],
    ["an empty line", `\n${JSON.stringify(readBack(1, 1))}\n`],
    ["an unknown kind", '{"at":1,"kind":"hoped","collection":"documents","id":1}\n'],
    ["an id that is no whole number", '{"at":1,"kind":"readBack","collection":"documents","id":1.5}\n'],
    ["a failure without its error", '{"at":1,"kind":"failed","collection":"documents","id":1}\n'],
    ["a last line that is JSON but no entry", "17"],
  ] as const) {
    it(`refuses ${what}, and says which line it is`, () => {
      expect(() => parseWriteLog(text))
        .to.throw(/line \d of the write log/)
        .with.property("code", "OBJECT_CORRUPT");
    });
  }
});

describe("write log: acknowledged and lost writes", () => {
  it("counts exactly the acknowledged writes up to the time, each in its collection and in the order of the log", () => {
    fc.assert(
      fc.property(logs, shared.at, (log, time) => {
        const found = acknowledgedBefore(log, time);
        for (const collection of ["documents", "code", 'a "name"\n']) {
          const expected = log.filter(
            (one) => one.kind === "acknowledged" && one.collection === collection && one.at <= time,
          );
          expect(found.get(collection) ?? []).to.deep.equal(expected.map(({ id, at }) => ({ id, at })));
        }
      }),
    );
  });

  it("calls lost exactly what was acknowledged and is not present: what is present besides does not matter", () => {
    const writes = fc.uniqueArray(fc.record({ id: shared.id, at: shared.at }), { selector: ({ id }) => id });
    fc.assert(
      fc.property(writes, fc.array(shared.id), (all, present) => {
        const lost = lostWrites(all, present);
        for (const write of all) expect(lost.includes(write)).to.equal(!present.includes(write.id));
        expect(all).to.include.members(lost);
      }),
    );
  });

  it("loses nothing when everything is present, and everything when nothing is", () => {
    const writes = [
      { id: 1, at: 5 },
      { id: 2, at: 6 },
    ];
    expect(lostWrites(writes, [2, 1, 7])).to.deep.equal([]);
    expect(lostWrites(writes, new Set<number>())).to.deep.equal(writes);
  });
});

describe("write log: the outage", () => {
  it("lasts from the kill to the first read-back of a write that was acknowledged after it", () => {
    const log = [
      acknowledged(900, 1),
      readBack(905, 1),
      failed(1_010, 2),
      acknowledged(3_400, 3),
      readBack(3_500, 3),
      readBack(9_000, 3),
    ];
    expect(measureOutage(log, 1_000)).to.deep.equal({ rtoSeconds: 2.5, servedAt: 3_500 });
  });

  it("does not end with an acknowledgement alone", () => {
    expect(measureOutage([acknowledged(1_500, 1)], 1_000)).to.equal(undefined);
  });

  it("does not end when a write of before the kill is read back after it", () => {
    expect(measureOutage([acknowledged(999, 1), readBack(1_500, 1)], 1_000)).to.equal(undefined);
  });

  it("does not take the same number in another collection for the write", () => {
    expect(measureOutage([acknowledged(1_100, 1, "code"), readBack(1_200, 1)], 1_000)).to.equal(undefined);
  });

  it("ends, for every log, at the earliest read-back with its acknowledgement between it and the kill", () => {
    fc.assert(
      fc.property(logs, shared.at, (log, killedAt) => {
        const ends = log.filter(
          (one, place) =>
            one.kind === "readBack" &&
            log
              .slice(0, place)
              .some(
                (w) =>
                  w.kind === "acknowledged" && w.at > killedAt && w.id === one.id && w.collection === one.collection,
              ),
        );
        const servedAt = ends[0]?.at;
        const expected = servedAt === undefined ? undefined : { rtoSeconds: (servedAt - killedAt) / 1_000, servedAt };
        expect(measureOutage(log, killedAt)).to.deep.equal(expected);
      }),
    );
  });
});

describe("write log: the recovery point", () => {
  it("is 0 seconds back when nothing was lost", () => {
    expect(recoveryPointSeconds([], 1_000)).to.equal(0);
  });

  it("is as far back as the oldest lost write, whatever the order", () => {
    expect(recoveryPointSeconds([{ at: 9_000 }, { at: 7_500 }, { at: 9_900 }], 10_000)).to.equal(2.5);
  });

  it("is never ahead of the kill, and one more lost write never brings it nearer", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: shared.at })), shared.at, shared.at, (lost, at, killedAt) => {
        const seconds = recoveryPointSeconds(lost, killedAt);
        expect(seconds).to.be.at.least(0);
        expect(recoveryPointSeconds([...lost, { at }], killedAt)).to.be.at.least(
          Math.max(seconds, (killedAt - at) / 1_000),
        );
      }),
    );
  });
});
