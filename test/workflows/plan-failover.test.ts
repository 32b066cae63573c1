/** Plans of role changes: what is served, what would be lost, what is resumed. */
import { expect } from "chai";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { FailoverRecords } from "../../runtime/repository/control/failover-records.ts";
import { recordFollowed } from "../../runtime/repository/control/followed-records.ts";
import { StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { planFailover, planSwitchover } from "../../runtime/workflows/failover/plan-failover.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { ageKeys, type MemoryStores, storesWithEpoch, systemClock } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const now = new Date("2026-01-02T12:00:00.000Z");
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000).toISOString();

describe("plan of a role change", () => {
  let stores: MemoryStores;
  let repository: OpenRepository;
  let facts: string;
  let tree: { readonly id: string; readonly size: number };

  beforeEach(async () => {
    stores = storesWithEpoch();
    repository = await OpenRepository.openOrCreate(stores, (await ageKeys()).wrap);
    const key = await repository.keys.key(repository.description.key);
    const nothing = { collection: "documents", shard: 0, lineage: "l", segments: {}, files: [], packs: [] };
    facts = await repository.createFacts(key, { format: 1, config: {}, payloadIndexes: {}, samples: [], canaries: [] });
    tree = await repository.createTree(key, shardTreeSchema, { format: 1, ...nothing });
  });

  /** Of collections that were captured so many seconds ago. */
  async function recoveryPoint(id: string, seconds: Readonly<Record<string, number>>): Promise<void> {
    const oldest = ago(Math.max(...Object.values(seconds)));
    const newest = ago(Math.min(...Object.values(seconds)));
    const made: RecoveryPoint = {
      format: 1,
      id,
      type: "incremental",
      kinds: ["qdrant"],
      region: "east",
      epoch: 1,
      toolVersion: "0",
      startedAt: newest,
      time: oldest,
      finishedAt: newest,
      qdrantVersion: "1.16.3",
      aliases: [],
      folders: [],
      collections: Object.entries(seconds).map(([name, age]) => ({
        name,
        key: repository.description.key,
        facts,
        pointsBefore: 0,
        pointsAfter: 0,
        shards: [
          {
            id: 0,
            peer: 1,
            tree,
            method: "partial-snapshot",
            isExact: true,
            startedAt: ago(age),
            finishedAt: ago(age),
          },
        ],
      })),
    };
    await repository.createRecoveryPoint(made);
  }

  async function holds(id: string, seconds: { readonly followed: number; readonly asOf: number }): Promise<void> {
    await new StandbyRecords(stores.control, "run").hold({
      format: 1,
      at: now.toISOString(),
      recoveryPoint: id,
      region: "east",
      epoch: 1,
      asOf: ago(seconds.asOf),
      followedAt: ago(seconds.followed),
      isExact: true,
      processes: [],
      fingerprints: {},
      collections: [],
    });
  }

  async function plan() {
    const { dataLossSeconds, dataLossSecondsOf, serveFrom } = await planFailover(request("west"));
    const { isWarm, recoveryPoint } = serveFrom;
    return { recoveryPoint: recoveryPoint.id, isWarm, dataLossSeconds, dataLossSecondsOf };
  }

  it("serves what the standby follows to, and says of each tier what is lost", async () => {
    await recoveryPoint("followed", { archive: 58, documents: 4 });
    await holds("followed", { followed: 2, asOf: 58 });

    const lost = { dataLossSeconds: 58, dataLossSecondsOf: { archive: 58, documents: 4 } };
    expect(await plan()).to.deep.equal({ recoveryPoint: "followed", isWarm: true, ...lost });
  });

  it("what was found unchanged since loses no more than what was found last", async () => {
    await recoveryPoint("followed", { archive: 7_000, documents: 7_000 });
    await holds("followed", { followed: 2, asOf: 5 });

    const lost = { dataLossSeconds: 5, dataLossSecondsOf: { archive: 5, documents: 5 } };
    expect(await plan()).to.deep.equal({ recoveryPoint: "followed", isWarm: true, ...lost });
  });

  it("a standby that followed until the end is served from, whatever its slowest tier and however long nobody decided", async () => {
    await recoveryPoint("1-copied", { archive: 1_500, documents: 1_500 });
    await recoveryPoint("2-followed", { archive: 3_000, documents: 604 });
    await holds("2-followed", { followed: 604, asOf: 3_000 });

    expect(await plan()).to.include({ recoveryPoint: "2-followed", isWarm: true, dataLossSeconds: 3_000 });
  });

  it("a standby that lags is not served from when what was captured since is here whole, however lately it was told of", async () => {
    await recoveryPoint("1-applied", { archive: 3_500, documents: 1_802 });
    await recoveryPoint("2-captured", { archive: 3_000, documents: 2 });
    await holds("1-applied", { followed: 1_802, asOf: 3_500 });

    expect(await plan()).to.include({ recoveryPoint: "2-captured", isWarm: false });
    expect((await plan()).dataLossSecondsOf).to.deep.equal({ archive: 3_000, documents: 2 });
  });

  it("a standby that had stopped when a point was captured, which is here whole, is not served from", async () => {
    await recoveryPoint("followed", { archive: 9_000, documents: 9_000 });
    await holds("followed", { followed: 9_000, asOf: 9_000 });
    expect(await plan()).to.include({ recoveryPoint: "followed", isWarm: true });
    await recoveryPoint("later", { archive: 1_500, documents: 1_500 });

    expect(await plan()).to.include({ recoveryPoint: "later", isWarm: false, dataLossSeconds: 1_500 });
  });

  /** Everything that was written until so many seconds ago is applied. */
  async function followsJournal(id: string, seconds: number): Promise<void> {
    const state = {
      format: 1,
      at: now.toISOString(),
      region: "east",
      epoch: 1,
      recoveryPoint: id,
      asOf: ago(seconds),
    } as const;
    const none = { unreconciled: [], collections: [], strictModes: [] };
    await recordFollowed(stores.control, { ...state, ...none, position: { number: 1, digest: "0".repeat(64) } });
  }

  it("what a standby followed of the journal is served unless what was captured since is here", async () => {
    await recoveryPoint("1-base", { documents: 9_000 });
    await recoveryPoint("2-later", { documents: 1_500 });
    await followsJournal("1-base", 100);
    expect(await plan()).to.include({ recoveryPoint: "1-base", isWarm: true, dataLossSeconds: 100 });
    await recoveryPoint("3-since", { documents: 80 });
    expect(await plan()).to.include({ recoveryPoint: "3-since", isWarm: false });
  });

  it("a quarantined base is served from by no journal, and otherwise only by its id, when that is said", async () => {
    await recoveryPoint("1-whole", { documents: 9_000 });
    await recoveryPoint("2-base", { documents: 1_500 });
    await followsJournal("2-base", 2);
    const finding = { at: now, region: "west", detail: "flipped" };
    await attest(repository, "quarantined", await repository.readRecoveryPoint("2-base"), finding);
    expect(await plan()).to.include({ recoveryPoint: "1-whole", isWarm: false });
    expect(await codeOf(planFailover({ ...request("west"), althoughQuarantined: true }))).to.equal("USAGE");
    const named = { ...request("west"), recoveryPoint: "2-base" };
    const refused = await planFailover(named).catch((error: unknown) => error);
    expect(refused).to.have.property("code", "RECOVERY_POINT_INCOMPLETE");
    expect(refused).to.have.property("hint").that.includes("--although-quarantined");
    const { serveFrom } = await planFailover({ ...named, althoughQuarantined: true });
    expect(serveFrom.recoveryPoint.id).to.equal("2-base");
  });

  async function made(epoch: number, record: Pick<EpochRecord, "active" | "previous" | "reason" | "recoveryPoint">) {
    await claimEpoch(stores.control, { epoch, run: "elsewhere", at: ago(100), ...record });
  }
  const request = (region: string) => ({
    region: regionNamed(region),
    repository,
    clock: clockShowing(() => now),
  });

  it("what a region holds of its own past is replaced after a switchover, and recorded first after a failover", async () => {
    expect(await planSwitchover(request("west"))).to.include({ kind: "switchover", from: "east", past: "none" });
    await made(2, { active: "west", previous: "east", reason: "failover" });
    expect(await planSwitchover(request("east"))).to.include({ kind: "switchover", epoch: 3, past: "diverged" });
    await made(3, { active: "east", previous: "west", reason: "switchover" });
    expect(await planSwitchover(request("west"))).to.include({ kind: "switchover", epoch: 4, past: "replaceable" });
  });

  it("an aborted switchover does not hide that the region was lost in a failover before", async () => {
    await made(2, { active: "west", previous: "east", reason: "failover" });
    await made(3, { active: "west", previous: "west", reason: "aborted" });
    expect(await planSwitchover(request("east"))).to.include({ from: "west", epoch: 4, past: "diverged" });
  });

  it("what an earlier run began is resumed as what it was, whichever command does so", async () => {
    await recoveryPoint("served", { documents: 160 });
    await made(2, { active: "west", previous: "east", reason: "failover", recoveryPoint: "served" });
    const loss = { dataLossSeconds: 60, dataLossSecondsOf: { documents: 60 } };
    const resumed = { kind: "resume", mode: "failover", from: "east", epoch: 2, hasEnded: false };
    expect(await planFailover(request("west"))).to.deep.include({ ...resumed, ...loss, stepsDown: false });
    expect(await planSwitchover(request("west"))).to.deep.include({ ...resumed, ...loss, stepsDown: true });
    await new FailoverRecords(stores.control, 2, "run-1", systemClock).end("promote", now);
    expect(await planFailover(request("west"))).to.include({ hasEnded: true });
  });

  it("another recovery point than the one that an earlier run serves from is refused, and the same one is not", async () => {
    await recoveryPoint("served", { documents: 160 });
    await recoveryPoint("other", { documents: 200 });
    await made(2, { active: "west", previous: "east", reason: "failover", recoveryPoint: "served" });
    expect(await codeOf(planFailover({ ...request("west"), recoveryPoint: "other" }))).to.equal("USAGE");
    expect(await planFailover({ ...request("west"), recoveryPoint: "served" })).to.include({ kind: "resume" });
  });

  it("a region that is active without a role change has nothing to resume", async () => {
    await made(2, { active: "east", previous: "east", reason: "aborted" });
    expect(await codeOf(planFailover(request("east")))).to.equal("ROLE_REFUSES");
    expect(await codeOf(planSwitchover(request("east")))).to.equal("ROLE_REFUSES");
  });
});
