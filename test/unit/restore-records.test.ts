import { expect } from "chai";
import { newId } from "../../runtime/domain/identifier.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import {
  newestFinishedRestore,
  type RestoreRecords,
  readRestores,
  recordRestoreEnd,
  recordRestoreStart,
  restoresUnderWay,
  unfinishedCollections,
} from "../../runtime/repository/control/restore-records.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const at = (minute: number) => new Date(Date.UTC(2026, 4, 31, 14, minute));

function begun(minute: number, ...collections: string[]) {
  return { id: `restore-${minute}`, recoveryPoint: "p", collections, at: at(minute).toISOString() };
}

function records(some: Partial<RestoreRecords>): RestoreRecords {
  return { begun: [], done: new Set(), unreadable: [], ...some };
}

const unreadableOf = (minute: number) => controlLayout.restore(newId(at(minute)));

describe("records of restores", () => {
  it("hold up captures for an hour, whatever clock they were made by", () => {
    const hour = 3_600_000;
    const later = (minutes: number) => new Date(at(0).getTime() + minutes * 60_000);
    const isUnderWay = (told: Date, storedAt: Date | undefined, now: Date) =>
      restoresUnderWay(records({ begun: [{ ...begun(0), at: told.toISOString(), storedAt }] }), hour, now).length > 0;
    const cases: [told: Date, storedAt: Date | undefined, now: Date, isUnderWay: boolean][] = [
      [at(0), undefined, at(59), true],
      [at(0), at(0), later(61), false],
      // By a clock a day ahead.
      [later(1440), at(0), at(59), true],
      [later(1440), at(0), later(61), false],
      [later(1440), undefined, at(1), false],
      // Read by a clock a day behind.
      [at(0), at(0), later(-1440), true],
    ];
    for (const [told, storedAt, now, expected] of cases) {
      expect(isUnderWay(told, storedAt, now), `${told.toISOString()} at ${now.toISOString()}`).to.equal(expected);
    }
  });

  it("tell what a restore that was cut off left, until a later one of the same collection has ended", () => {
    const [first, second] = [begun(1, "notes", "old"), begun(2, "notes")];
    expect([...unfinishedCollections(records({ begun: [first] })).keys()]).to.deep.equal(["notes", "old"]);
    const done = new Set([second.id]);
    expect([...unfinishedCollections(records({ begun: [first, second], done })).keys()]).to.deep.equal(["old"]);
  });

  it("call nothing unfinished that was begun before a restore whose record cannot be read: it may have ended", () => {
    const unreadable = [unreadableOf(5)];
    const found = unfinishedCollections(records({ begun: [begun(1, "notes"), begun(9, "old")], unreadable }));
    expect([...found.keys()]).to.deep.equal(["old"]);
  });

  it("call a restore that failed ended, and no proof that a recovery point can be restored", async () => {
    const control = new MemoryStore();
    const [worked, failed] = [begun(1, "notes"), begun(2, "notes")];
    for (const record of [worked, failed]) await recordRestoreStart(control, record);
    await recordRestoreEnd(control, worked, at(1));
    await recordRestoreEnd(control, failed, at(3), "failed");
    const known = await readRestores(control);
    expect(restoresUnderWay(known, 3_600_000, at(3))).to.deep.equal([]);
    expect([...unfinishedCollections(known).keys()]).to.deep.equal([]);
    expect((await newestFinishedRestore(control))?.id).to.equal(worked.id);
  });
});
