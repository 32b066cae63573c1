/** Envelopes and who may sign what: nothing verifies that was changed, moved or signed by another. */
import { expect } from "chai";
import fc from "fast-check";
import { z } from "zod";
import { newId } from "../../runtime/domain/identifier.ts";
import { jobs } from "../../runtime/domain/job-names.ts";
import { controlLayout, type SignedStoreKind, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { breakGlassKey } from "../../runtime/domain/trust/break-glass.ts";
import { openObject, signObject } from "../../runtime/domain/trust/envelope.ts";
import { keyBefore, mostNamesBehind, nameBehind } from "../../runtime/domain/trust/names-behind.ts";
import { isSignedPlace, type StorePlace, whyNotBelieved } from "../../runtime/domain/trust/places.ts";
import {
  newSigningKey,
  publicKeyOf,
  publicKeySchema,
  signingKeyFrom,
  signingKeyIn,
  signingKeySchema,
} from "../../runtime/domain/trust/signing-key.ts";
import { joinTrust, type Trust, type TrustedKey } from "../../runtime/domain/trust/trust.ts";
import { trustIn, trustNote } from "../../runtime/domain/trust/trust-note.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { isStepDone } from "../../runtime/repository/control/failover-records.ts";
import { readGateKnowledge } from "../../runtime/repository/control/gate-records.ts";
import { endLease, Lease } from "../../runtime/repository/control/lease.ts";
import { Ownership } from "../../runtime/repository/control/ownership.ts";
import {
  readRestores,
  recordRestoreSign,
  recordRestoreStart,
  restoresUnderWay,
  unfinishedCollections,
} from "../../runtime/repository/control/restore-records.ts";
import { readStandbyKnowledge, StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { NumberedLog } from "../../runtime/repository/numbered-log.ts";
import { SignedStore } from "../../runtime/repository/signed-store.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const [mine, other, stranger] = [newSigningKey(), newSigningKey(), newSigningKey()];
const trust: Trust = {
  id: "pair-of-a-test",
  keys: [
    { name: "alice", key: publicKeyOf(mine) },
    { name: "bob", key: publicKeyOf(other) },
  ],
};
const place: StorePlace = { trustId: trust.id, region: "east", store: "control" };
const id = "20260131T120000000Z-0123abcd";
const revoked = { epoch: 3, at: "2026-01-31T12:00:00.000Z" };

describe("a signed object", () => {
  const given = fc.record({ key: fc.string({ minLength: 1 }), bytes: fc.uint8Array({ maxLength: 300 }) });

  it("opens to its bytes, where it was signed for", () => {
    fc.assert(
      fc.property(given, ({ bytes, key }) => {
        const opened = openObject(trust, place, key, signObject(mine, place, key, bytes));
        expect(opened).to.deep.equal({ bytes: Buffer.from(bytes), signer: trust.keys[0] });
      }),
    );
  });

  it("does not open under another name, in another store, region or pair, with any bit changed, cut, or signed by a stranger", () => {
    const byte = fc.record({ at: fc.nat(), bit: fc.nat(7), cut: fc.nat() });
    fc.assert(
      fc.property(given, byte, ({ bytes, key }, { at, bit, cut }) => {
        const stored = signObject(mine, place, key, bytes);
        const changed = Buffer.from(stored);
        changed[at % stored.length] = (changed[at % stored.length] ?? 0) ^ (1 << bit);
        const wrong: [StorePlace, string, Buffer][] = [
          [place, `${key}x`, stored],
          [{ ...place, region: "west" }, key, stored],
          [{ ...place, store: "repository" }, key, stored],
          [{ ...place, store: "witness" }, key, stored],
          [{ ...place, trustId: "another-pair" }, key, stored],
          [place, key, changed],
          [place, key, stored.subarray(0, cut % stored.length)],
          [place, key, Buffer.concat([stored, Buffer.from("x")])],
          [place, key, Buffer.from(bytes)],
          [place, key, signObject(stranger, place, key, bytes)],
        ];
        for (const [where, name, object] of wrong) {
          if (key.startsWith("epochs/") && where.store === "control" && where.trustId === trust.id) continue;
          expect(openObject(trust, where, name, object)).to.have.property("problem");
        }
      }),
    );
  });

  it("an epoch is the pair's: it opens in either control store, and under no other number", () => {
    const stored = signObject(mine, place, controlLayout.epoch(2), Buffer.from("x"));
    expect(openObject(trust, { ...place, region: "west" }, controlLayout.epoch(2), stored)).to.have.property("bytes");
    expect(openObject(trust, place, controlLayout.epoch(3), stored)).to.have.property("problem");
    expect(openObject(trust, { ...place, trustId: "another-pair" }, controlLayout.epoch(2), stored)).to.have.property(
      "problem",
    );
  });
});

describe("who is believed", () => {
  const manifest = storeLayout.manifest(id);
  const of = (store: SignedStoreKind, region = "east"): StorePlace => ({ ...place, store, region });
  const jobKey = (job: TrustedKey["job"], region = "east"): TrustedKey => ({
    name: "a",
    key: publicKeyOf(other),
    job,
    region,
  });
  const believed = (trusted: TrustedKey, where: StorePlace, key: string) =>
    whyNotBelieved(trusted, where, key) === undefined;

  const table: [SignedStoreKind, key: string, believedOf: readonly string[]][] = [
    ["repository", storeLayout.repository, ["capture", "copy", "replicate"]],
    ["repository", manifest, ["capture", "copy", "replicate"]],
    ["repository", storeLayout.capturePlan("s"), ["capture", "copy", "replicate"]],
    ["repository", storeLayout.attestation(id, "verified", "a"), ["verify"]],
    ["repository", storeLayout.attestation(id, "quarantined", "a"), ["verify"]],
    ["repository", storeLayout.attestation(id, "folders-quarantined", "a"), ["verify"]],
    ["repository", storeLayout.inStream(storeLayout.attestation(id, "quarantined", "a")), []],
    ["repository", storeLayout.attestation(id, "doubted", "a"), ["capture", "replicate"]],
    ["repository", storeLayout.attestation(id, "restored", "a"), ["test-restore"]],
    ["repository", storeLayout.inStream(manifest), ["replicate"]],
    ["repository", storeLayout.attestation(id, "released", "a"), []],
    ["control", controlLayout.epoch(2), []],
    ["control", controlLayout.fence(2), []],
    ["control", controlLayout.opening(2), []],
    ["control", controlLayout.failoverStep(2, "restore", "done", "r"), []],
    ["control", controlLayout.failoverOwner(2, 1), []],
    ["control", controlLayout.restore("r"), ["test-restore"]],
    ["control", controlLayout.run(new Date(0), "a", "full"), ["capture", "copy", "verify", "test-restore", "prune"]],
    ["control", controlLayout.prunePlan(1), ["prune"]],
    ["control", controlLayout.snapshot("s", "making"), ["capture", "replicate"]],
    ["control", controlLayout.standbyTurn(1), ["replicate"]],
    ["control", controlLayout.alert(1), []],
    ["control", controlLayout.keptRecoveryPoints(1), []],
    ["witness", controlLayout.leaseLink(1, 1), ["gate"]],
  ];
  for (const [store, key, wanted] of table) {
    it(`about ${store} ${key}: ${["operators", ...wanted].join(", ")}`, () => {
      expect(jobs.filter((job) => believed(jobKey(job), of(store), key))).to.have.members(wanted);
      expect(believed({ name: "alice", key: publicKeyOf(mine) }, of(store), key)).to.equal(true);
    });
  }

  it("a job of the other region only about what it brings here; a gate of either about leases", () => {
    for (const job of jobs) {
      const expected = job === "replicate-folders";
      expect(believed(jobKey(job, "west"), of("repository"), manifest), job).to.equal(expected);
    }
    expect(believed(jobKey("gate", "west"), of("witness"), controlLayout.leaseLink(1, 1))).to.equal(true);
  });

  it("a revoked key: until its epoch and its time, where a name tells them", () => {
    const key: TrustedKey = { name: "alice", key: publicKeyOf(mine), revoked };
    expect(believed(key, of("control"), controlLayout.epoch(3))).to.equal(true);
    expect(believed(key, of("control"), controlLayout.epoch(4))).to.equal(false);
    expect(believed(key, of("repository"), manifest)).to.equal(true);
    expect(believed(key, of("repository"), storeLayout.manifest("20260131T120000001Z-0123abcd"))).to.equal(false);
    expect(believed(key, of("control"), controlLayout.run(new Date("2026-02-01T00:00:00Z"), "a", "full"))).to.equal(
      false,
    );
    expect(
      believed(key, of("control"), controlLayout.standbyState(new Date("2026-01-31T13:10:00Z"), "held", "a")),
    ).to.equal(false);
    expect(believed(key, of("repository"), storeLayout.repository)).to.equal(true);
  });

  it("joined with what another believes, a key that either knows as revoked is revoked", () => {
    const given = { name: "alice", key: publicKeyOf(mine) };
    const [one, two] = [
      { id: trust.id, keys: [given] },
      { id: trust.id, keys: [{ ...given, revoked }] },
    ];
    for (const joined of [joinTrust(one, two), joinTrust(two, one)]) expect(joined.keys).to.deep.equal(two.keys);
  });

  it("content that is named by its hash needs no signature; everything else does, also what nobody knows yet", () => {
    for (const key of [storeLayout.pack("ab".repeat(32)), storeLayout.tree("cd".repeat(32))]) {
      expect(isSignedPlace("repository", key)).to.equal(false);
      expect(isSignedPlace("control", key)).to.equal(true);
    }
    // Whoever knows the recipients can wrap another key under the same id.
    expect(isSignedPlace("control", controlLayout.key("ab".repeat(16)))).to.equal(true);
    const job: TrustedKey = { name: "capture", key: publicKeyOf(mine), job: "capture", region: "east" };
    const place = { trustId: trust.id, region: "east", store: "control" } as const;
    const believed = (key: string) => whyNotBelieved(job, place, key) === undefined;
    expect(believed(controlLayout.key("ab".repeat(16)))).to.equal(true);
    for (const key of [controlLayout.keyFor("ab".repeat(16), "cd".repeat(16)), controlLayout.keyGeneration(1)]) {
      expect(believed(key), "who captures neither rotates keys nor brings others' in their place").to.equal(false);
      expect(whyNotBelieved({ name: "alice", key: publicKeyOf(mine) }, place, key)).to.equal(undefined);
    }
    for (const key of ["keys/x.json", "whatever", "packs"]) expect(isSignedPlace("control", key)).to.equal(true);
  });
});

describe("signing keys", () => {
  it("as texts are told apart, and refused when they are cut, longer or changed in form", () => {
    const publicKey = publicKeyOf(mine);
    for (const [schema, text, another] of [
      [signingKeySchema, mine, publicKey],
      [publicKeySchema, publicKey, mine],
    ] as const) {
      expect(schema.safeParse(text).success).to.equal(true);
      for (const wrong of [another, text.slice(0, -1), `${text}A`, text.toLowerCase().slice(0, -1), ` ${text}`, ""]) {
        expect(schema.safeParse(wrong).success, wrong).to.equal(false);
      }
    }
    expect(signingKeyIn(`# a comment\n  ${mine} \n`)).to.equal(mine);
    expect(signingKeyIn(`# a comment\n${publicKey}\n`)).to.equal(undefined);
  });

  it("follow from the offline identity, always the same, and sign only where they are pinned", () => {
    const key = signingKeyFrom("AGE-SECRET-KEY-1X");
    expect(key).to.equal(signingKeyFrom("AGE-SECRET-KEY-1X")).and.not.equal(signingKeyFrom("AGE-SECRET-KEY-1Y"));
    const pinned = { ...trust, keys: [...trust.keys, { name: "offline", key: publicKeyOf(key) }] };
    expect(breakGlassKey(pinned, "AGE-SECRET-KEY-1X")).to.equal(key);
    expect(breakGlassKey(trust, "AGE-SECRET-KEY-1X")).to.equal(undefined);
    expect(breakGlassKey(pinned, undefined)).to.equal(undefined);
  });

  it("what is believed stands in a file of keys, and is read back", () => {
    expect(trustIn(`# a\n${trustNote(trust)}\n${mine}\n`)).to.deep.equal(trust);
    for (const text of ["", "# trust: {", '# trust: {"id":1}']) expect(trustIn(text)).to.equal(undefined);
  });
});

describe("records in a store that others can write to", () => {
  const at = "2026-01-01T00:00:00.000Z";
  const epoch = (number: number) => ({ epoch: number, active: "east", reason: "initial" as const, run: "r", at });
  const turnSchema = z.object({ run: z.string() });
  const keyOf = (turn: number) => controlLayout.standbyTurn(turn);
  const forged = Buffer.from(
    JSON.stringify({ ...epoch(2), active: "west", run: "forged", seconds: 0, region: "west" }),
  );
  let storesAt = new Date();
  let raw: MemoryStore;
  let control: SignedStore;
  const opened = (store: SignedStoreKind, signingKey = mine) =>
    new SignedStore(raw, { trust, trustId: trust.id, region: "east", store, signingKey });
  const places = (max: number, maxLength: number) => fc.uniqueArray(fc.integer({ min: 1, max }), { maxLength });
  beforeEach(() => {
    raw = new MemoryStore(() => storesAt);
    control = opened("control");
  });

  it("a forged epoch deposes nobody and stops no reader, whatever number it has; the next genuine one counts", async () => {
    await claimEpoch(control, epoch(1));
    for (const number of [2, 3, 15, 9_007_199_254_740_991]) await raw.create(controlLayout.epoch(number), forged);
    expect(await readEpochs(control)).to.deep.equal([epoch(1)]);
    expect(await readGateKnowledge(control, epoch(1))).to.deep.include({ newest: epoch(1), isFenced: false });
    await claimEpoch(control, epoch(4));
    expect((await readEpochs(control)).map((each) => each.epoch)).to.deep.equal([1, 4]);
    // Each says how far the next one may be, of those that are read at once, too.
    for (const number of [30, 60]) await claimEpoch(control, epoch(number));
    expect((await readEpochs(control)).map((each) => each.epoch)).to.deep.equal([1, 4, 30, 60]);
    expect((await readGateKnowledge(control, epoch(1)))?.newest.epoch).to.equal(4);
  });

  it("forged fences, openings and restores are refused by name, and are not obeyed", async () => {
    await claimEpoch(control, epoch(1));
    await raw.create(controlLayout.fence(2), Buffer.from(JSON.stringify({ epoch: 2, region: "east", run: "x", at })));
    await raw.create(controlLayout.restore("x"), forged);
    expect(await codeOf(control.get(controlLayout.fence(2)))).to.equal("NOT_AUTHENTIC");
    expect(await codeOf(control.get(controlLayout.restore("x")))).to.equal("NOT_AUTHENTIC");
    expect(await readGateKnowledge(control)).to.deep.include({ newest: epoch(1), isFenced: false, isOpened: false });
  });

  it("turns that nobody signed overtake no run, and the next run takes the next number", async () => {
    const conflict = () => new Error("overtaken");
    const first = new Ownership(control, { run: "one", keyOf, schema: turnSchema, conflict });
    for (const turn of [1, 3, 4]) await raw.create(keyOf(turn), forged);
    await first.take({ run: "one" });
    await first.refuseUnlessMine();
    const second = new Ownership(control, { run: "two", keyOf, schema: turnSchema, conflict });
    await second.take({ run: "two" });
    expect((await second.newest())?.number).to.equal(5);
    expect(await errorThrown(first.refuseUnlessMine())).to.equal("overtaken");
  });

  it("a log is found whole wherever forged objects stand before, and one that was replaced hides no later one", async () => {
    const records = new NumberedLog(control, keyOf, turnSchema);
    await fc.assert(
      fc.asyncProperty(places(40, 40), places(14, 3), async (before, replaced) => {
        raw.objects.clear();
        for (const number of before) raw.objects.set(keyOf(number), forged);
        let last = 0;
        for (let n = 1; n <= 15; n += 1) {
          last = await records.free(((await records.newest())?.number ?? 0) + 1);
          expect(await records.create(control, last, { run: String(n) })).to.equal("created");
          expect(await records.newest()).to.deep.equal({ number: last, record: { run: String(n) } });
        }
        for (const number of replaced) if (number < last) raw.objects.set(keyOf(number), forged);
        expect(await records.newest()).to.deep.equal({ number: last, record: { run: "15" } });
      }),
      { numRuns: 10 },
    );
  });

  it("whoever forges, and however often, each key holds what was first created there by who may", async () => {
    const step = fc.record({
      key: fc.nat(3),
      by: fc.constantFrom("one", "two", "forger", "other store"),
      value: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        raw.objects.clear();
        const stores = { one: opened("control"), two: opened("control", other) };
        const model = new Map<string, string>();
        for (const { by, key: number, value } of steps) {
          const key = controlLayout.fence(number + 1);
          const text = `${by} ${value}`;
          if (by === "forger") await raw.create(key, Buffer.from(text));
          else if (by === "other store") {
            // What was signed for another place.
            await raw.create(key, signObject(mine, { ...place, region: "west" }, key, Buffer.from(text)));
          } else {
            const answer = await stores[by].create(key, Buffer.from(text));
            expect(answer).to.equal(model.has(key) ? "exists" : "created");
            if (answer === "created") model.set(key, text);
          }
          for (const [known, held] of model) {
            for (const store of Object.values(stores)) expect((await store.get(known)).toString()).to.equal(held);
          }
          const listed = [];
          for await (const object of stores.one.list("")) listed.push(object.key);
          expect(listed).to.deep.equal(
            [...new Set([...raw.objects.keys()].map((name) => keyBefore(name) ?? name))].sort(),
          );
        }
      }),
      { numRuns: 20 },
    );
  });

  it("nobody can stand under the names behind who does not know the pair's id; who does is told of", async () => {
    const key = controlLayout.epoch(2);
    const named = (trustId: string) => nameBehind({ ...place, trustId }, key, 1);
    expect(named("pair-of-a-test")).not.to.equal(named("pair-of-a-tesu"));
    await raw.create(key, forged);
    for (let turn = 1; turn <= mostNamesBehind; turn += 1) await raw.create(nameBehind(place, key, turn), forged);
    const error = await errorOf(control.create(key, Buffer.from("x")));
    expect(error?.code).to.equal("NOT_AUTHENTIC");
    expect(error?.message).to.contain("under all its names");
  });

  it("steps of a failover, ends of restores and signs of life that nobody signed say nothing", async () => {
    const step = (name: string) => controlLayout.failoverStep(2, name, "done", "r");
    await raw.create(step("restore"), forged);
    expect(await isStepDone(control, 2, "restore")).to.equal(false);
    await control.create(step("verify"), Buffer.from("{}"));
    expect(await isStepDone(control, 2, "verify")).to.equal(true);

    const now = new Date("2026-01-31T12:10:00.000Z");
    const started = { id, recoveryPoint: "p", collections: ["notes"], at: "2026-01-31T12:00:00.000Z" };
    storesAt = new Date(started.at);
    await recordRestoreStart(control, started);
    storesAt = now;
    await raw.create(controlLayout.restore("20260131T120500000Z-0123abcd"), forged);
    await raw.create(controlLayout.restoreDone(id), forged);
    await raw.create(controlLayout.restoreAlive(id, newId(now)), forged);
    const restores = await readRestores(control);
    expect(restores.unreadable).to.deep.equal([]);
    expect(restores.done).to.deep.equal(new Set());
    expect(restoresUnderWay(restores, { now })).to.deep.equal([]);
    expect(unfinishedCollections(restores)).to.have.key("notes");
    await recordRestoreSign(control, id, now, []);
    expect(restoresUnderWay(await readRestores(control), { now })).to.deep.equal([id]);

    const begunAt = new Date("2026-01-31T12:09:00.000Z");
    await new StandbyRecords(control, "r").begin(begunAt, []);
    await raw.create(controlLayout.standbyState(now, "begun", newId(now)), forged);
    await raw.create(controlLayout.standbyState(now, "held", newId(now)), forged);
    const known = await readStandbyKnowledge(control, now);
    expect(known.held).to.equal(undefined);
    expect(known.begunAt).to.equal(begunAt.toISOString());
  });

  it("a forged link neither ends a lease nor makes a promotion wait", async () => {
    const witness = opened("witness");
    const lease = new Lease(witness, { region: "east", seconds: 10, clock: systemClock });
    for (const link of [1, 3]) {
      await raw.create(controlLayout.leaseLink(1, link), Buffer.from(JSON.stringify({ region: "x", seconds: 0, at })));
    }
    await lease.renew(1);
    expect(lease.isHeld(1)).to.equal(true);
    const long = Buffer.from(JSON.stringify({ region: "x", seconds: 1e12, at }));
    await raw.create(controlLayout.leaseLink(1, 4), long);
    expect(await endLease(witness, 1, "west", systemClock)).to.equal(10);
    await raw.create(controlLayout.leaseLink(1, 6), long);
    expect(await endLease(witness, 1, "west", systemClock)).to.equal(10);
    // A gate's key that was stolen holds no promotion up for longer than settings can.
    await witness.create(controlLayout.leaseLink(2, 1), long);
    expect(await endLease(witness, 2, "west", systemClock)).to.equal(300);
  });

  it("who is not trusted with a place stores nothing there, and is told why", async () => {
    const error = await errorOf(opened("control", stranger).create(controlLayout.epoch(1), Buffer.from("x")));
    expect(error?.code).to.equal("ACCESS_DENIED");
    expect(raw.objects.size).to.equal(0);
  });

  async function errorThrown(doing: Promise<unknown>): Promise<string> {
    return doing.then(
      () => "",
      (error: Error) => error.message,
    );
  }
});
