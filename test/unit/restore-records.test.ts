import { expect } from "chai";
import { newId } from "../../runtime/domain/identifier.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import {
  type BegunRestore,
  halfMadeCollections,
  newestFinishedRestore,
  type RestoreRecords,
  readRestores,
  recordRestoreEnd,
  recordRestoreSign,
  recordRestoreStart,
  restoresUnderWay,
  unfinishedCollections,
} from "../../runtime/repository/control/restore-records.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const at = (minute: number) => new Date(Date.UTC(2026, 4, 31, 14, minute));

function begun(minute: number, ...collections: string[]): BegunRestore {
  return { id: `restore-${minute}`, recoveryPoint: "p", collections, at: at(minute).toISOString(), seenAt: at(minute) };
}

function records(some: Partial<RestoreRecords>): RestoreRecords {
  return { begun: [], done: new Set(), unreadable: [], ...some };
}

const unreadableOf = (minute: number) => controlLayout.restore(newId(at(minute)));

describe("records of restores", () => {
  it("hold captures up while the restore gives signs of life, whatever clock it has, and not when its process is gone", async () => {
    const minutes = (count: number) => new Date(at(0).getTime() + count * 60_000);
    const cases: [what: string, told: number, stored: number[], now: number, isDead: boolean, isUnderWay: boolean][] = [
      ["just begun", 0, [0], 4, false, true],
      ["silent", 0, [0], 6, false, false],
      ["an hour old and alive", 0, [0, 30, 58], 60, false, true],
      ["an hour old and silent", 0, [0, 30], 60, false, false],
      ["by a clock a day ahead", 1_440, [0, 2], 4, false, true],
      ["by a clock a day ahead, silent", 1_440, [0, 2], 10, false, false],
      ["by a clock a day behind", -1_440, [0, 2], 4, false, true],
      ["read by a clock a day behind", 0, [0], -1_440, false, true],
      ["killed here", 0, [0], 1, true, false],
    ];
    for (const [what, told, stored, now, isDead, expected] of cases) {
      let storedAt = minutes(0);
      const control = new MemoryStore(() => storedAt);
      const record = { ...begun(0, "notes"), at: minutes(told).toISOString(), runner: "its process" };
      await recordRestoreStart(control, record);
      for (const minute of stored.slice(1)) {
        storedAt = minutes(minute);
        await recordRestoreSign(control, record.id, minutes(told + minute), []);
      }
      const runner = { isDead: (mark: string) => isDead && mark === record.runner };
      const underWay = restoresUnderWay(await readRestores(control), { now: minutes(now), runner });
      expect(underWay, what).to.deep.equal(expected ? [record.id] : []);
    }
  });

  it("name what a restore that was cut off had not loaded, for a day or until a later one of it", async () => {
    const control = new MemoryStore(() => at(0));
    await recordRestoreStart(control, begun(0, "notes", "pictures", "texts"));
    await recordRestoreSign(control, "restore-0", at(0), []);
    await recordRestoreSign(control, "restore-0", at(1), ["notes"]);
    const halfMade = async (minute: number) => [
      ...(await halfMadeCollections(control, await readRestores(control), { now: at(minute) })).keys(),
    ];
    expect(await halfMade(2), "while it goes on").to.deep.equal([]);
    expect(await halfMade(6)).to.deep.equal(["pictures", "texts"]);
    await recordRestoreStart(control, begun(7, "texts"));
    await recordRestoreEnd(control, begun(7, "texts"), at(8));
    expect(await halfMade(9)).to.deep.equal(["pictures"]);
    expect(await halfMade(25 * 60), "a day later").to.deep.equal([]);
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
    await recordRestoreEnd(control, failed, at(3), { outcome: "failed" });
    const known = await readRestores(control);
    expect(restoresUnderWay(known, { now: at(3) })).to.deep.equal([]);
    expect([...unfinishedCollections(known).keys()]).to.deep.equal([]);
    expect((await newestFinishedRestore(control))?.id).to.equal(worked.id);
  });
});
