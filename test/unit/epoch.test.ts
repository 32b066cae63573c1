import { expect } from "chai";
import fc from "fast-check";
import { type EpochRecord, effectiveRole, isOfActiveRegion, newestEpoch } from "../../runtime/domain/roles/epoch.ts";

const record = (epoch: number, active: string, more: Partial<EpochRecord> = {}): EpochRecord => ({
  epoch,
  active,
  reason: epoch === 1 ? "initial" : "failover",
  run: `run-${epoch}`,
  at: new Date(Date.UTC(2026, 0, epoch)).toISOString(),
  ...more,
});

describe("epochs", () => {
  it("the newest is the one with the greatest number, in whatever order and whatever their clocks said", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), fc.nat(), (epochs, seed) => {
        const records = epochs.map((epoch) =>
          record(epoch, "east", { at: new Date((seed * epoch) % 1e12).toISOString() }),
        );
        expect(newestEpoch(records)?.epoch).to.equal(Math.max(...epochs));
      }),
    );
    expect(newestEpoch([])).to.equal(undefined);
  });

  const roleCases: [what: string, region: string, under: EpochRecord, role: string][] = [
    ["the region that the record names", "east", record(1, "east"), "active"],
    ["the other region at the beginning", "west", record(1, "east"), "standby"],
    [
      "the other region at the beginning, although a previous one is named",
      "west",
      record(1, "east", { previous: "west" }),
      "standby",
    ],
    ["the region that was promoted", "west", record(2, "west", { previous: "east" }), "active"],
    ["the region that was given up without a plan", "east", record(2, "west", { previous: "east" }), "fenced"],
    [
      "the region that was given up as planned",
      "east",
      record(2, "west", { previous: "east", reason: "switchover" }),
      "fenced",
    ],
    ["a region that was never active", "north", record(2, "west", { previous: "east" }), "standby"],
  ];
  for (const [what, region, under, role] of roleCases) {
    it(`${what} is ${role}`, () => {
      expect(effectiveRole(region, under)).to.equal(role);
    });
  }

  it("no two regions are active under one record", () => {
    const regions = fc.constantFrom("east", "west", "north");
    fc.assert(
      fc.property(
        regions,
        regions,
        fc.constantFrom<EpochRecord["reason"]>("initial", "switchover", "failover"),
        (active, previous, reason) => {
          const under = record(2, active, { previous, reason });
          const actives = ["east", "west", "north"].filter((region) => effectiveRole(region, under) === "active");
          expect(actives).to.deep.equal([active]);
        },
      ),
    );
  });

  const records = [record(1, "east"), record(2, "west", { previous: "east" }), record(3, "east", { previous: "west" })];
  const pointCases: [
    what: string,
    recoveryPoint: { region: string; epoch: number; startedAt: string },
    isOf: boolean,
  ][] = [
    ["made in its epoch", { region: "east", epoch: 1, startedAt: "2026-01-01T12:00:00Z" }, true],
    ["made at the next epoch's very moment", { region: "east", epoch: 1, startedAt: "2026-01-02T00:00:00.000Z" }, true],
    [
      "made by a deposed writer that does not know",
      { region: "east", epoch: 1, startedAt: "2026-01-02T00:00:00.001Z" },
      false,
    ],
    [
      "made by a deposed writer when it is active again",
      { region: "east", epoch: 1, startedAt: "2026-01-04T00:00:00Z" },
      false,
    ],
    ["made by the region that stood by", { region: "west", epoch: 1, startedAt: "2026-01-01T12:00:00Z" }, false],
    ["made in an epoch that nobody claimed", { region: "east", epoch: 4, startedAt: "2026-01-05T00:00:00Z" }, false],
    ["made in the newest epoch, at any time", { region: "east", epoch: 3, startedAt: "2030-01-01T00:00:00Z" }, true],
  ];
  for (const [what, recoveryPoint, isOf] of pointCases) {
    it(`a point ${what} ${isOf ? "counts" : "is ignored"}`, () => {
      expect(isOfActiveRegion(recoveryPoint, records)).to.equal(isOf);
    });
  }
});
