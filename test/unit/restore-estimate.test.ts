import { expect } from "chai";
import fc from "fast-check";
import {
  calibratedRates,
  type MeasuredRestore,
  predictedSeconds,
  type RestoreRates,
  type RestoreSize,
  usualRates,
} from "../../runtime/domain/recovery-points/restore-estimate.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { measuredRestores, recordRestoreEnd } from "../../runtime/repository/control/restore-records.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

/** What a machine does that takes other times than the usual one. */
const slowed = (bytesFactor: number, piecesFactor: number): RestoreRates => ({
  bytesPerSecond: usualRates.bytesPerSecond / bytesFactor,
  secondsPerCollection: usualRates.secondsPerCollection * piecesFactor,
  secondsPerShard: usualRates.secondsPerShard * piecesFactor,
});
const small: RestoreSize = { bytes: 2_000_000, collections: 1, shards: 2 };
const large: RestoreSize = { bytes: 4_000_000_000, collections: 4, shards: 8 };
const took = (size: RestoreSize, rates: RestoreRates, noise = 1): MeasuredRestore => ({
  ...size,
  seconds: predictedSeconds(size, rates) * noise,
});

describe("the prediction of a restore", () => {
  it("is by the usual rates until something was restored", () => {
    expect(calibratedRates([])).to.deep.equal(usualRates);
    expect(calibratedRates([{ ...small, seconds: 0 }])).to.deep.equal(usualRates);
  });

  it("is within 30 % of the truth after restores on a machine that is up to ten times slower or faster, whatever their noise is", () => {
    const factor = fc.double({ min: 0.1, max: 10, noNaN: true });
    const noise = fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(factor, factor, noise, (bytesFactor, piecesFactor, [a = 1, b = 1, c = 1, d = 1]) => {
        const machine = slowed(bytesFactor, piecesFactor);
        const measured = [
          took(small, machine, a),
          took(large, machine, b),
          took(small, machine, c),
          took(large, machine, d),
        ];
        const rates = calibratedRates(measured);
        const asked = { bytes: 2_500_000_000, collections: 5, shards: 9 };
        const ratio = predictedSeconds(asked, rates) / predictedSeconds(asked, machine);
        expect(ratio).to.be.within(0.7, 1.3);
      }),
    );
  });

  it("corrects a wrong guess at once, and takes from small restores what a piece costs alone", () => {
    const machine = slowed(3, 1);
    const guess = predictedSeconds(large, usualRates);
    const truth = predictedSeconds(large, machine);
    expect(guess / truth).to.be.below(0.5);
    expect(predictedSeconds(large, calibratedRates([took(large, machine)])) / truth).to.be.within(0.9, 1.1);
    const piecesOnly = calibratedRates([took(small, slowed(1, 4)), took(small, slowed(1, 4))]);
    expect(piecesOnly.bytesPerSecond / usualRates.bytesPerSecond).to.be.within(0.5, 1.5);
    expect(piecesOnly.secondsPerShard / usualRates.secondsPerShard).to.be.within(3, 5);
  });

  it("never has a rate that is not a number above zero, whatever was recorded", () => {
    const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const measured = fc.record({
      bytes: count,
      collections: count,
      shards: count,
      seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(measured, { maxLength: 8 }), (restores) => {
        for (const rate of Object.values(calibratedRates(restores)))
          expect(Number.isFinite(rate) && rate > 0).to.equal(true);
      }),
    );
  });

  it("is made from the newest restores that ended well", async () => {
    const control = new MemoryStore();
    const end = (day: number, rest: Partial<Parameters<typeof recordRestoreEnd>[3]>) => {
      const at = new Date(Date.UTC(2026, 0, day));
      const id = `202601${String(day).padStart(2, "0")}T000000000Z-0000000${day}`;
      return recordRestoreEnd(control, { id, recoveryPoint: "r", collections: [], at: at.toISOString() }, at, rest);
    };
    const measuredOf = (seconds: number) => ({ measured: { ...small, seconds } });
    for (const day of [1, 2, 3, 4]) await end(day, measuredOf(day));
    await end(5, { outcome: "failed" });
    control.objects.set(controlLayout.restoreDone("20260106T000000000Z-00000006"), Buffer.from("no record"));
    expect((await measuredRestores(control, 4)).map(({ seconds }) => seconds)).to.deep.equal([3, 4]);
  });
});
