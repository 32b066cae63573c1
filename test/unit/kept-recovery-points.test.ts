import { expect } from "chai";
import { isKeptAt, keptInWords } from "../../runtime/domain/history/kept-recovery-points.ts";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { newSigningKey, publicKeyOf } from "../../runtime/domain/trust/signing-key.ts";
import { readKept, recordKept } from "../../runtime/repository/control/kept-records.ts";
import { SignedStore } from "../../runtime/repository/signed-store.ts";
import { signing, trust } from "../support/estates/test-trust.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

describe("what people said of how long recovery points are kept", () => {
  const until = "2026-06-01T00:00:00.000Z";

  const cases: readonly [string, object, string, boolean][] = [
    ["for good", {}, "2199-01-01T00:00:00Z", true],
    ["until a time that is to come", { until }, "2026-05-31T23:59:59.999Z", true],
    ["until a time that is there", { until }, until, false],
  ];
  for (const [name, said, now, isKept] of cases) {
    it(`${name}: ${isKept ? "it is kept" : "it is kept no longer"}`, () => {
      expect(isKeptAt({ recoveryPoint: "id", ...said }, new Date(now))).to.equal(isKept);
    });
  }

  it("is told with its time and its reason", () => {
    expect(keptInWords({})).to.equal("kept");
    expect(keptInWords({ until, reason: "audit" })).to.equal(`kept until ${until}: audit`);
  });

  it("is the last that each said, also when several say something at once, and what is over is forgotten", async () => {
    const control = new MemoryStore();
    const unreadable: string[] = [];
    const kept = async () => [...(await readKept(control, (key) => unreadable.push(key)))].map(([id]) => id);
    const now = new Date("2026-05-01T00:00:00Z");
    const names = Array.from({ length: 12 }, (_, at) => `point-${at}`);
    await Promise.all(names.map((name) => recordKept(control, name, name === "point-3" ? { until } : {}, now)));
    expect(await kept()).to.have.members(names);
    await recordKept(control, "point-0", undefined, new Date("2026-07-01T00:00:00Z"));
    expect(await kept()).to.have.members(names.filter((name) => name !== "point-0" && name !== "point-3"));
    // What a person keeps whose key this region was not told of is not known here, and is told.
    const place = { trustId: trust.id, region: "east", store: "control" } as const;
    const stranger = newSigningKey();
    const theirs = { id: trust.id, keys: [...trust.keys, { name: "new", key: publicKeyOf(stranger) }] };
    const raw = new MemoryStore();
    const here = new SignedStore(raw, { ...place, trust, signingKey: signing });
    await recordKept(here, "point-0", {}, now);
    await recordKept(new SignedStore(raw, { ...place, trust: theirs, signingKey: stranger }), "point-1", {}, now);
    const disbelieved: string[] = [];
    expect([...(await readKept(here, (key) => disbelieved.push(key)))].map(([id]) => id)).to.deep.equal(["point-0"]);
    expect(disbelieved).to.deep.equal([controlLayout.keptRecoveryPoints(2)]);
    const newest = [...control.objects.keys()].sort().at(-1) ?? "";
    control.objects.set(newest, Buffer.from("garbage"));
    expect([await kept(), unreadable]).to.deep.equal([[], [newest]]);
    const failed = await recordKept(control, "point-1", undefined, now).catch((error: unknown) => error);
    expect(failed, "what it keeps is not forgotten").to.have.property("code", "OBJECT_CORRUPT");
  });
});
