/** Which records of a control store go: tables, and what holds for any listing. QDRANT_DR_SEED chooses other listings. */
import { expect } from "chai";
import { expiredRecords, type ListedRecord } from "../../runtime/domain/history/expired-records.ts";
import { newId } from "../../runtime/domain/identifier.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { seeded } from "../support/seeded.ts";

const dayMs = 24 * 3_600_000;
const now = new Date("2026-06-15T12:00:00.000Z");
const before = new Date(now.getTime() - 730 * dayMs);
const daysAgo = (days: number) => new Date(now.getTime() - days * dayMs);

const at = (key: string, days: number): ListedRecord => ({ key, storedAt: daysAgo(days) });
const runAt = (days: number, run: string) => at(controlLayout.run(daysAgo(days), newId(daysAgo(days)), run), days);

function restoreAt(days: number, isEnded = true): ListedRecord[] {
  const id = newId(daysAgo(days));
  return [
    at(controlLayout.restore(id), days),
    at(controlLayout.restoreAlive(id, newId(daysAgo(days))), days),
    ...(isEnded ? [at(controlLayout.restoreDone(id), days)] : []),
  ];
}

function snapshotAt(days: number, ...phases: ("making" | "made" | "gone")[]): ListedRecord[] {
  const id = newId(daysAgo(days));
  return phases.map((phase) => at(controlLayout.snapshot(id, phase), days));
}

const all = (listed: readonly ListedRecord[]) => {
  const { begun, ended } = expiredRecords(listed, before);
  return [...begun, ...ended];
};
const keysOf = (listed: readonly ListedRecord[]) => listed.map(({ key }) => key);

describe("records of a control store that tell nothing any more", () => {
  it("of runs are the older ones, and never the newest of a kind", () => {
    const [older, old, young] = [runAt(900, "full"), runAt(731, "full"), runAt(729, "full")];
    const [oldCopy, newestCopy] = [runAt(1_500, "copy"), runAt(1_000, "copy")];
    expect(all([young, old, oldCopy, older, newestCopy])).to.have.members(keysOf([older, old, oldCopy]));
  });

  it("of restores are those that ended, but for the newest twenty; what says that one ended goes last", () => {
    const oldest = restoreAt(1_000);
    const newest = Array.from({ length: 20 }, (_, n) => restoreAt(900 - n)).flat();
    const unfinished = restoreAt(950, false);
    const { begun, ended } = expiredRecords([...newest, ...oldest, ...unfinished], before);
    expect(begun).to.have.members(keysOf(oldest.slice(0, 2)));
    expect(ended).to.have.members(keysOf(oldest.slice(2)));
  });

  it("of snapshots on a Qdrant are those that are known to be gone", () => {
    const gone = snapshotAt(800, "making", "made", "gone");
    const left = snapshotAt(801, "making", "made");
    const { begun, ended } = expiredRecords([...gone, ...left, ...snapshotAt(5, "making", "gone")], before);
    expect(begun).to.have.members(keysOf(gone.slice(0, 2)));
    expect(ended).to.have.members(keysOf(gone.slice(2)));
  });

  it("of schedules and prunes are ends, signs of life and parts; the numbers themselves stay without a gap", () => {
    const turns = Array.from({ length: 400 }, (_, n) => [
      at(controlLayout.scheduledTurn("full", n + 1), 800),
      at(controlLayout.scheduledEnd("full", n + 1), 800),
      at(controlLayout.scheduledBeat("full", n + 1, 1), 800),
    ]);
    const plans = Array.from({ length: 300 }, (_, n) => [
      at(controlLayout.prunePlan(n + 1), 800),
      at(controlLayout.prunePart(n + 1, "run", 0), 800),
      at(controlLayout.pruneDone(n + 1), 800),
    ]);
    const expired = [
      ...turns.slice(0, 200).map((turn) => turn.slice(1)),
      ...plans.slice(0, 100).map(([, part]) => part),
    ];
    const wanted = keysOf(expired.flat().flatMap((record) => record ?? []));
    expect(all([...turns.flat(), ...plans.flat()])).to.have.members(wanted);
  });

  it("are none that decide, none of other tools, none that the store or the key calls young, and none without a time", () => {
    const decide = [
      ...[controlLayout.epoch(1), controlLayout.fence(1), controlLayout.opening(1), controlLayout.leaseLink(1, 1)],
      ...[controlLayout.failoverStep(1, "open", "done", "run"), controlLayout.failoverOwner(1, 1)],
      ...[controlLayout.key("a"), controlLayout.heal(newId(daysAgo(900))), controlLayout.keptRecoveryPoints(1)],
      ...[controlLayout.verification(1), controlLayout.alert(1), controlLayout.standbyTurn(1)],
      ...["runs/2020-01-01/notes.txt", ".DS_Store", "lost+found/x"],
    ].map((key) => at(key, 3_000));
    const [newest, storedLate, noTime] = [runAt(800, "full"), runAt(801, "full"), runAt(802, "full")];
    const early = at(controlLayout.run(daysAgo(1), newId(daysAgo(1)), "copy"), 900);
    const listed = [...decide, newest, { ...storedLate, storedAt: daysAgo(1) }, { key: noTime.key }, early];
    expect(all([...listed, runAt(1, "copy")])).to.deep.equal([]);
  });

  it("are never more because a listing shows less", () => {
    const random = seeded(Number(process.env["QDRANT_DR_SEED"] ?? 14));
    const days = () => Math.floor(random() * 1_500);
    for (let round = 0; round < 200; round += 1) {
      const listed = Array.from({ length: 40 }, () => [
        ...restoreAt(days(), random() < 0.8),
        runAt(days(), random() < 0.5 ? "full" : "copy"),
        ...snapshotAt(days(), "making", ...(random() < 0.5 ? (["gone"] as const) : [])),
        at(controlLayout.scheduledBeat("full", 1 + Math.floor(random() * 500), 1), days()),
      ]).flat();
      const shown = listed.filter(() => random() < 0.9);
      expect(all(listed)).to.include.members(all(shown));
    }
  });
});
