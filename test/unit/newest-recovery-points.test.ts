import { expect } from "chai";
import type { CaptureType, RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { NewestRecoveryPointsReader } from "../../runtime/repository/catalog/newest-recovery-points.ts";
import { readNewestRecoveryPoint } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import { ageKeys, type MemoryStores, storesWithEpoch } from "../support/estates/recovery-estate.ts";

describe("the newest recovery points of a bucket", () => {
  let stores: MemoryStores;
  let repository: OpenRepository;
  let reader: NewestRecoveryPointsReader;
  let made: number;
  const now = new Date(Date.UTC(2026, 1, 2));

  beforeEach(async () => {
    stores = storesWithEpoch();
    repository = await OpenRepository.openOrCreate(stores, (await ageKeys()).wrap);
    reader = new NewestRecoveryPointsReader(repository, "west");
    made = 0;
  });

  /** Each an hour after the one before. */
  async function make(type: CaptureType, more: Partial<RecoveryPoint> & { isExact?: boolean } = {}): Promise<string> {
    made += 1;
    return makeRecoveryPoint(repository, new Date(Date.UTC(2026, 1, 1, made)), { type, ...more });
  }

  async function found() {
    const { byType, exactByType, newest, verified, wanting } = await reader.read(now);
    const ids = (recoveryPoints: typeof byType) =>
      Object.fromEntries(Object.entries(recoveryPoints).map(([type, dated]) => [type, dated.recoveryPoint.id]));
    return {
      newest: newest?.id,
      byType: ids(byType),
      exact: ids(exactByType),
      verified: verified?.recoveryPoint.id,
      wanting,
    };
  }

  it("count as old as the newest time that can be believed, when they are of a time ahead", async () => {
    const full = await make("full");
    const known = await make("incremental");
    const ahead = await makeRecoveryPoint(repository, new Date(Date.UTC(2026, 1, 3)), { type: "incremental" });

    expect(await found()).to.deep.include({ newest: ahead, byType: { full, incremental: known } });
    const newest = await reader.read(now);
    const read = await readNewestRecoveryPoint(repository, now);
    for (const { asOf, doubt, id } of [newest.newest, read.newest].map(
      (each) => each ?? expect.fail("there is none"),
    )) {
      expect(id).to.equal(ahead);
      expect(asOf).to.deep.equal(new Date(Date.UTC(2026, 1, 1, 2)));
      expect(doubt).to.match(/2026-02-03T00:00:00.000Z, 24 h ahead of the clock here/);
    }
  });

  it("are told by type, by exactness, and by who read them back", async () => {
    const full = await make("full");
    const older = await make("incremental");
    const newer = await make("incremental", { isExact: false });
    const finding = { at: new Date(), detail: "" };
    await attest(repository, "verified", { id: full }, { ...finding, region: "west" });
    await attest(repository, "verified", { id: newer }, { ...finding, region: "east" });
    expect(await found()).to.deep.equal({
      newest: newer,
      wanting: undefined,
      verified: full,
      byType: { full, incremental: newer },
      exact: { full, incremental: older },
    });
    expect((await readNewestRecoveryPoint(repository, now)).newest?.id).to.equal(newer);
  });

  it("leave out what is quarantined, not whole, of a region that was not active, or holds nothing of Qdrant", async () => {
    const full = await make("full");
    const damaged = await make("full");
    await attest(repository, "quarantined", { id: damaged }, { at: new Date(), region: "west", detail: "flipped" });
    const cut = await make("full");
    const { folders } = await repository.readRecoveryPoint(cut);
    stores.repository.objects.delete(storeLayout.tree(folders[0]?.tree.id ?? ""));
    await make("full", { region: "west" });
    await make("full", { kinds: ["config"] });
    const { byType, newest, wanting } = await found();
    expect([byType, newest]).to.deep.equal([{ full }, full]);
    expect(wanting).to.match(/was not active|holds config/);
  });

  it("see what came, what went and what was quarantined since the last look", async () => {
    const [first, second] = [await make("full"), await make("full")];
    expect((await found()).newest).to.equal(second);
    const third = await make("full");
    expect((await found()).newest).to.equal(third);
    await attest(repository, "quarantined", { id: third }, { at: new Date(), region: "west", detail: "flipped" });
    expect((await found()).newest).to.equal(second);
    stores.repository.objects.delete(storeLayout.manifest(second));
    expect(await found()).to.include({ newest: first });
  });

  it("cost no manifest a second reading, and of what is older than the newest nothing", async () => {
    for (const type of ["full", "incremental", "incremental", "full", "incremental"] as const) await make(type);
    await found();
    const read: string[] = [];
    const { get } = stores.repository;
    stores.repository.get = (key, ...range) => {
      read.push(key);
      return get.call(stores.repository, key, ...range);
    };
    await found();
    // The two that are told are judged anew; nothing else is asked for.
    expect(read.filter((key) => key.startsWith("recovery-points/"))).to.have.length(2);
    expect(read.filter((key) => key.startsWith("trees/"))).to.deep.equal([]);
  });
});
