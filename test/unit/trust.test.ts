/** Envelopes and who may sign what: nothing verifies that was changed, moved or signed by another. */
import { expect } from "chai";
import fc from "fast-check";
import { jobs } from "../../runtime/domain/job-names.ts";
import { controlLayout, type SignedStoreKind, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { breakGlassKey } from "../../runtime/domain/trust/break-glass.ts";
import { openObject, signObject } from "../../runtime/domain/trust/envelope.ts";
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
    [
      "repository",
      storeLayout.attestation(id, "verified", "a"),
      ["capture", "copy", "verify", "test-restore", "replicate"],
    ],
    ["repository", storeLayout.attestation(id, "released", "a"), []],
    ["control", controlLayout.epoch(2), []],
    ["control", controlLayout.fence(2), []],
    ["control", controlLayout.opening(2), []],
    ["control", controlLayout.failoverStep(2, "restore", "done", "r"), []],
    ["control", controlLayout.failoverOwner(2, 1), []],
    ["control", controlLayout.restore("r"), ["test-restore"]],
    ["control", controlLayout.run(new Date(0), "a", "full"), ["capture", "copy", "verify", "test-restore"]],
    ["control", controlLayout.snapshot("s", "making"), ["capture", "replicate"]],
    ["control", controlLayout.standbyTurn(1), ["replicate"]],
    ["control", controlLayout.alert(1), []],
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
    expect(isSignedPlace("control", controlLayout.key("ab".repeat(16)))).to.equal(false);
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
