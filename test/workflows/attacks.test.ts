/**
 * What somebody does who has the credentials of a region's stores, and neither an identity nor a signing key that is trusted: in a
 * folder, in a bucket, and in a bucket with versions, where he replaces what is there. `docs/security/threat-model.md` says which finding of
 * the security review each test is of.
 */
import { expect } from "chai";
import { AgeKeyWrap } from "../../runtime/adapters/age-key-wrap.ts";
import { newId } from "../../runtime/domain/identifier.ts";
import { newKey, serialiseKey } from "../../runtime/domain/recovery-points/key.ts";
import { digestOf } from "../../runtime/domain/recovery-points/quarantine.ts";
import { seal } from "../../runtime/domain/recovery-points/sealing.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { newestEpoch } from "../../runtime/domain/roles/epoch.ts";
import { newSigningKey, publicKeyOf } from "../../runtime/domain/trust/signing-key.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { doubtMade } from "../../runtime/repository/catalog/attest.ts";
import { readFindings } from "../../runtime/repository/catalog/findings.ts";
import {
  isQuarantined,
  readCaptureBase,
  readCatalog,
  readEntry,
  readNewestRecoveryPoint,
} from "../../runtime/repository/catalog/read-catalog.ts";
import { claimEpoch, EpochReader, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { isStepDone } from "../../runtime/repository/control/failover-records.ts";
import { readGateKnowledge, writeFence, writeOpening } from "../../runtime/repository/control/gate-records.ts";
import { endLease, Lease } from "../../runtime/repository/control/lease.ts";
import { readRestores, restoresUnderWay } from "../../runtime/repository/control/restore-records.ts";
import { leftSnapshots } from "../../runtime/repository/control/snapshot-records.ts";
import { readStandbyKnowledge } from "../../runtime/repository/control/standby-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { SignedStore } from "../../runtime/repository/signed-store.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { planKeyRotation, rotateKeys } from "../../runtime/workflows/trust/rotate-keys.ts";
import { type AttackedStore, describeInStores } from "../support/estates/attacked-stores.ts";
import { makeRecoveryPoint } from "../support/estates/made-recovery-point.ts";
import { ageKeys, firstEpoch } from "../support/estates/recovery-estate.ts";
import { signed, trust } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";

const at = "2026-01-01T00:00:00.000Z";
const captured = new Date("2026-01-31T12:00:00.000Z");
const later = new Date("2026-01-31T13:00:00.000Z");
const inRecord = (record: unknown) => Buffer.from(JSON.stringify(record));

describeInStores("attacks on records", ({ keepsReplaced, open }) => {
  let repositoryStore: AttackedStore;
  let controlStore: AttackedStore;
  let witnessStore: AttackedStore;
  let control: SignedStore;
  let keys: Awaited<ReturnType<typeof ageKeys>>;

  beforeEach("a region with a recovery point", async () => {
    [repositoryStore, controlStore, witnessStore] = [
      await open("repository"),
      await open("control"),
      await open("witness"),
    ];
    control = signed(controlStore.raw, "east", "control");
    keys = await ageKeys();
    await claimEpoch(control, firstEpoch);
  });

  async function withRecoveryPoint(): Promise<{ readonly repository: OpenRepository; readonly genuine: string }> {
    const stores = { repository: signed(repositoryStore.raw, "east", "repository"), control };
    const repository = await OpenRepository.openOrCreate(stores, keys.wrap);
    return { repository, genuine: await makeRecoveryPoint(repository, captured) };
  }

  it("1: a forged recovery point is neither the newest nor built on, and no key of his seals anything", async () => {
    const { genuine, repository } = await withRecoveryPoint();
    const key = newKey("repository");
    await controlStore.raw.create(controlLayout.key(key.id), Buffer.from(await keys.wrap.wrap(serialiseKey(key))));
    const id = "20260131T125900000Z-ffffffff";
    const place = storeLayout.manifest(id);
    const manifest = { ...(await repository.readRecoveryPoint(genuine)), id, startedAt: "2026-01-31T12:59:00.000Z" };
    const sealed = seal(key, `${repository.description.id} ${place}`, inRecord(manifest));
    await repositoryStore.raw.create(place, Buffer.concat([Buffer.from(key.id), sealed]));

    expect((await readNewestRecoveryPoint(repository, later)).newest?.id).to.equal(genuine);
    const base = await readCaptureBase(repository, ["qdrant"], () => undefined);
    expect(base.recoveryPoints.get("qdrant")?.id).to.equal(genuine);
    expect(await codeOf(repository.keys.key(key.id))).to.equal("NOT_AUTHENTIC");
    const forged = (await readCatalog(repository)).entries.find((entry) => entry.id === id);
    expect(forged?.state).to.equal("unreadable");
  });

  it("1: he cannot say which keys are used, nor bring one for the holders of today", async () => {
    const { genuine, repository } = await withRecoveryPoint();
    const newcomer = await ageKeys();
    const forged = { ...newKey("repository"), id: repository.description.key };
    const wrapped = Buffer.from(await newcomer.wrap.wrap(serialiseKey(forged)));
    await controlStore.raw.create(controlLayout.keyFor(forged.id, newcomer.wrap.holders), wrapped);
    const generation = { at, key: forged.id, retired: [forged.id] };
    for (const number of [1, 2, 3]) {
      await controlStore.raw.create(controlLayout.keyGeneration(number), inRecord(generation));
    }
    const stores = { repository: signed(repositoryStore.raw, "east", "repository"), control };
    const reopened = await OpenRepository.open(stores, keys.wrap);
    const { id, naming } = await reopened.sealingKey();
    expect([id, await reopened.isRetired({ ...forged, naming })]).to.deep.equal([repository.description.key, false]);
    const open = () => OpenRepository.open(stores, newcomer.wrap);
    expect(await codeOf((await open()).readRecoveryPoint(genuine))).to.equal("NOT_AUTHENTIC");
    // An operator rotates all the same, behind what stands there.
    const recipients = newcomer.recipients;
    const operator = await OpenRepository.open(
      stores,
      new AgeKeyWrap({ recipients, identity: `${keys.identity}\n${newcomer.identity}` }),
    );
    const plan = await planKeyRotation(operator, { newDataKeys: true });
    expect(plan.toWrap).to.include(forged.id);
    await rotateKeys(operator, plan, systemClock);
    expect((await (await open()).readRecoveryPoint(genuine)).id).to.equal(genuine);
    expect((await (await open()).sealingKey()).id).not.to.equal(forged.id);
  });

  it("3: records of a standby, of a failover and of restores that he makes are obeyed by nobody", async () => {
    const id = "20260131T125900000Z-ffffffff";
    const now = later;
    const forged: [key: string, record: unknown][] = [
      [controlLayout.standbyState(now, "held", id), { format: 1, at: now, recoveryPoint: "old", region: "east" }],
      [controlLayout.standbyState(now, "begun", id), { run: "x", at: now, making: [] }],
      [controlLayout.failoverStep(2, "restore", "done", "x"), { run: "x", at }],
      [controlLayout.failoverStep(2, "verify", "done", "x"), { run: "x", at }],
      [controlLayout.restore(id), { id, recoveryPoint: "x", collections: ["notes"], at: "2999-01-01T00:00:00.000Z" }],
      [controlLayout.restoreAlive(id, id), { loaded: [] }],
      [controlLayout.snapshot("s", "making"), { id: "s", collection: "notes", shard: 0, peer: 1, at, before: [] }],
      [
        controlLayout.snapshot("s", "made"),
        { id: "s", collection: "notes", shard: 0, peer: 1, at, before: [], name: "n" },
      ],
    ];
    for (const [key, record] of forged) await controlStore.raw.create(key, inRecord(record));
    expect(await readStandbyKnowledge(control, now)).to.deep.equal({ making: [] });
    for (const step of ["restore", "verify"]) expect(await isStepDone(control, 2, step)).to.equal(false);
    const restores = await readRestores(control);
    expect(restoresUnderWay(restores, { now })).to.deep.equal([]);
    expect(restores.unreadable).to.deep.equal([]);
    const told: string[] = [];
    expect(await leftSnapshots(control, (key) => told.push(key))).to.deep.equal([]);
    expect(told).to.deep.equal([controlLayout.snapshot("s", "made")]);
  });

  it("3, 4: whatever he puts under the next numbers, roles change: epoch, fence, opening and lease", async () => {
    for (const number of [2, 3, 4, 9_007_199_254_740_991]) {
      await controlStore.raw.create(controlLayout.epoch(number), inRecord({ ...firstEpoch, epoch: 1, active: "west" }));
      await controlStore.raw.create(
        controlLayout.fence(number),
        inRecord({ epoch: number, region: "east", run: "x", at }),
      );
      await controlStore.raw.create(
        controlLayout.opening(number),
        inRecord({ epoch: number, region: "west", run: "x", at }),
      );
    }
    for (const link of [1, 2]) {
      await witnessStore.raw.create(controlLayout.leaseLink(1, link), inRecord({ region: "x", seconds: 1e12, at }));
    }
    expect(await readGateKnowledge(control)).to.deep.equal({ newest: firstEpoch, isFenced: false, isOpened: false });
    const witness = signed(witnessStore.raw, "east", "witness");
    const lease = new Lease(witness, { region: "east", seconds: 10, clock: systemClock });
    await lease.renew(1);
    expect(lease.isHeld(1)).to.equal(true);

    await writeFence(control, { epoch: 2, region: "east", run: "r", at });
    expect((await readGateKnowledge(control))?.isFenced).to.equal(true);
    expect(await endLease(witness, 1, "west", systemClock)).to.equal(10);
    const second = { ...firstEpoch, epoch: 2, active: "west", reason: "switchover", run: "r" } as const;
    expect(await claimEpoch(control, second)).to.deep.equal(second);
    await writeOpening(control, { epoch: 2, region: "west", recoveryPoint: "p", run: "r", at });
    expect(newestEpoch(await readEpochs(control))).to.deep.equal(second);
    expect(await readGateKnowledge(control)).to.deep.equal({ newest: second, isFenced: false, isOpened: true });

    // Which the gate of the other region carries home, past what stands there.
    const other = await open("control");
    await other.raw.create(controlLayout.epoch(2), inRecord(firstEpoch));
    const home = signed(other.raw, "west", "control");
    expect(await home.carry(controlLayout.epoch(2), control)).to.equal("created");
    expect(await readEpochs(home)).to.deep.equal([second]);
  });

  it("3: a signature of the other store, of another number, or of a key that was revoked meanwhile counts for nothing", async () => {
    const west = signed((await open("control")).raw, "west", "control");
    await west.create(controlLayout.fence(2), inRecord({ epoch: 2, region: "west", run: "r", at }));
    const stolen = newSigningKey();
    const revoked = { epoch: 1, at: "2026-01-31T12:00:00.000Z" };
    const before = { id: trust.id, keys: [...trust.keys, { name: "stolen", key: publicKeyOf(stolen) }] };
    const after = { id: trust.id, keys: [...trust.keys, { name: "stolen", key: publicKeyOf(stolen), revoked }] };
    const place = { trustId: trust.id, region: "east", store: "control" } as const;
    const thief = new SignedStore(controlStore.raw, { ...place, trust: before, signingKey: stolen });
    await claimEpoch(thief, { ...firstEpoch, epoch: 2, active: "west", run: "thief" });
    const warned = new SignedStore(controlStore.raw, { ...place, trust: after });
    expect(newestEpoch(await readEpochs(warned))).to.deep.equal(firstEpoch);
  });

  it("5: a quarantine that he makes quarantines nothing; a capture's counts as what its name says, and as far as captures can know; an operator releases", async () => {
    const { genuine, repository } = await withRecoveryPoint();
    const store = repository.stores.repository;
    for (const finding of ["quarantined", "folders-quarantined", "doubted"]) {
      await repositoryStore.raw.create(storeLayout.attestation(genuine, finding, "x"), Buffer.from("x"));
      const record = { recoveryPoint: genuine, kind: finding, at, region: "east", detail: "forged" };
      await repositoryStore.raw.create(storeLayout.attestation(genuine, finding, "y"), inRecord(record));
    }
    const unreadable: string[] = [];
    const base = await readCaptureBase(repository, ["qdrant", "config"], (key) => unreadable.push(key));
    expect([...base.recoveryPoints.values()].map(({ id }) => id)).to.deep.equal([genuine, genuine]);
    expect(unreadable).to.have.length(6);
    const { entries, unreadable: named } = await readCatalog(repository);
    expect(entries.map(({ state }) => state)).to.deep.equal(["complete"]);
    expect(named).to.have.length(6);
    expect(await isQuarantined(repository, genuine)).to.equal(false);

    // Who has a capture's key as well: it may doubt what captures can be wrong about, and nothing else.
    const captureKey = newSigningKey();
    const job = { name: "capture", key: publicKeyOf(captureKey), job: "capture", region: "east" } as const;
    const place = { trustId: trust.id, region: "east", store: "repository" } as const;
    const withJob = { id: trust.id, keys: [...trust.keys, job] };
    const opened = new SignedStore(repositoryStore.raw, { ...place, trust: withJob, signingKey: captureKey });
    for (const finding of ["quarantined", "folders-quarantined", "released", "verified"]) {
      const key = storeLayout.attestation(genuine, finding, "z");
      expect(await codeOf(opened.create(key, Buffer.from("x"))), finding).to.equal("ACCESS_DENIED");
    }
    const { stores } = repository;
    const trusting = new SignedStore(repositoryStore.raw, { ...place, trust: withJob });
    const watched = await OpenRepository.open({ ...stores, repository: trusting }, keys.wrap);
    const capturing = await OpenRepository.open({ ...stores, repository: opened }, keys.wrap);
    const half = await makeRecoveryPoint(repository, later, { type: "incremental" });
    const digestsOf = new Map<string, string>();
    for (const id of [genuine, half]) digestsOf.set(id, digestOf(await repository.readRecoveryPoint(id)));
    const say = (id: string, kind: string, more: object = {}, by = store, as = kind) => {
      const record = {
        recoveryPoint: id,
        kind,
        region: "east",
        detail: kind,
        at,
        manifest: digestsOf.get(id),
        ...more,
      };
      return by.create(storeLayout.attestation(id, as, newId(new Date(record.at))), inRecord(record));
    };
    const stateOf = async (id: string) => (await readEntry(watched, id))?.state;
    await say(half, "doubted", { manifest: "0".repeat(64) });
    expect(await stateOf(half)).to.equal("complete");
    await say(half, "doubted");
    expect(await stateOf(half)).to.equal("quarantined");
    expect(await isQuarantined(watched, half)).to.equal(true);
    const second = "2026-01-02T00:00:00.000Z";
    // What its key may say is its name; what it holds must be that, too.
    await say(half, "released", { at: second }, opened, "doubted");
    await say(half, "healed", { at: second }, opened, "doubted");
    await say(half, "doubted", { at: "2026-01-09T00:00:00.000Z", recoveryPoint: genuine }, opened);
    const late = inRecord({
      recoveryPoint: half,
      kind: "doubted",
      region: "east",
      detail: "late",
      at: "2999-01-01T00:00:00Z",
    });
    await opened.create(storeLayout.attestation(half, "doubted", newId(later)), late);
    expect(await stateOf(half)).to.equal("quarantined");
    expect((await readCatalog(watched)).unreadable).to.have.length(6 + 4);
    expect((await readFindings(trusting)).attestations.get(half)?.map(({ kind }) => kind)).to.deep.equal([
      "doubted",
      "doubted",
    ]);
    await say(half, "released", { at: second });
    expect(await stateOf(half)).to.equal("complete");
    await say(half, "quarantined", { at: "2026-01-03T00:00:00.000Z" });
    expect(await stateOf(half)).to.equal("quarantined");

    // A full one that was overtaken while it was made: its capture says so with its job's key, and who may not say it tells that.
    const told: string[] = [];
    const progress = ({ detail }: ProgressEvent) => told.push(detail ?? "");
    const made = await repository.readRecoveryPoint(genuine);
    const doubting = { at: new Date(), because: "a prune overtook it", progress };
    const untrusted = new SignedStore(repositoryStore.raw, { ...place, trust, signingKey: captureKey });
    const silent = await OpenRepository.open({ ...stores, repository: untrusted }, keys.wrap);
    await doubtMade(silent, made, doubting);
    expect(await stateOf(genuine)).to.equal("complete");
    expect(told.join()).to.match(/could not be doubted: .* is not stored/);
    await doubtMade(capturing, made, doubting);
    expect(await stateOf(genuine)).to.equal("quarantined");
  });

  if (keepsReplaced) {
    it("an epoch that he replaces is found among its versions, by captures and by gates", async () => {
      const second = { ...firstEpoch, epoch: 2, active: "west", run: "r" };
      await claimEpoch(control, second);
      const reader = new EpochReader(control);
      expect(newestEpoch(await reader.list())).to.deep.equal(second);
      for (const garbage of ["x", "y".repeat(100_000)]) {
        await controlStore.replace(controlLayout.epoch(2), Buffer.from(garbage));
        expect(newestEpoch(await readEpochs(control))).to.deep.equal(second);
        expect((await readGateKnowledge(control, firstEpoch))?.newest).to.deep.equal(second);
      }
      const third = { ...second, epoch: 3, active: "east" };
      expect(await claimEpoch(control, third)).to.deep.equal(third);
      expect(await claimEpoch(control, { ...second, run: "another" })).to.deep.equal(second);
    });
  } else {
    it("an epoch that he replaces, where no versions are kept, is not believed, and a gate that saw it stays", async () => {
      const second = { ...firstEpoch, epoch: 2, active: "west", run: "r" };
      await claimEpoch(control, second);
      const reader = new EpochReader(control);
      expect(newestEpoch(await reader.list())).to.deep.equal(second);
      await controlStore.replace(controlLayout.epoch(2), Buffer.from("x"));
      expect(newestEpoch(await reader.list())).to.deep.equal(second);
      expect(await codeOf(control.get(controlLayout.epoch(2)))).to.equal("NOT_AUTHENTIC");
    });
  }
});
