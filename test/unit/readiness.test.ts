import { expect } from "chai";
import fc from "fast-check";
import { assessReadiness, type CheckName, type ReadinessFacts } from "../../runtime/domain/health/readiness.ts";

const recoveryPoint = {
  id: "p",
  ageSeconds: 60,
  isExact: true,
  isVerified: true,
  missing: [],
  qdrantVersion: "1.16.3",
};
const warm = { lagSeconds: 2, exactLagSeconds: 5, begunSeconds: undefined };
const cold = { value: undefined };
const slow = { value: { bytes: 5e9, seconds: 1801 } };
const ready: ReadinessFacts = {
  objectives: { rtoMinutes: 30, rpoMinutes: 15 },
  role: { value: { role: "standby", epoch: 3, otherEpoch: 3 } },
  server: { value: { version: "1.17.0" } },
  gate: { value: { isOpen: false, reason: "east is the active region" } },
  recoveryPoint: { value: recoveryPoint },
  keys: { value: 4 },
  writable: { value: true },
  traffic: { value: { leadsTo: "east" } },
  machine: { value: { memoryBytes: 16e9, diskBytes: 100e9 } },
  standby: { value: { lagSeconds: 2, exactLagSeconds: 5, begunSeconds: 1 } },
  restore: { value: { bytes: 5e9, seconds: 120 } },
  backend: { value: true },
  drift: { value: [] },
  practice: { value: { what: "restore of p", ageSeconds: 3600 } },
};
const needed: readonly CheckName[] = [
  "role",
  "server",
  "gate",
  "recoveryPoint",
  "versions",
  "keys",
  "writable",
  "traffic",
];
const factNames = Object.keys(ready).filter((name) => name !== "objectives") as Exclude<
  keyof ReadinessFacts,
  "objectives"
>[];

function checkOf(name: CheckName, changed: Partial<ReadinessFacts>) {
  const { checks, score } = assessReadiness({ ...ready, ...changed });
  const check = checks.find((each) => each.name === name);
  if (check === undefined) throw new Error(`there is no check ${name}`);
  return { ...check, score };
}

describe("readiness", () => {
  it("is 100, without a hint, when all is well", () => {
    const { checks, score } = assessReadiness(ready);
    expect(score).to.equal(100);
    for (const { hint, lost, state } of checks) expect([state, lost, hint]).to.deep.equal(["good", 0, undefined]);
  });

  const problem = { problem: "does not answer" };
  const table: [check: CheckName, state: string, why: string, changed: Partial<ReadinessFacts>][] = [
    ["role", "bad", "active already", { role: { value: { role: "active", epoch: 3 } } }],
    ["role", "poor", "knows epoch 4", { role: { value: { role: "standby", epoch: 3, otherEpoch: 4 } } }],
    ["role", "good", "standby in epoch 3", { role: { value: { role: "standby", epoch: 3 } } }],
    ["role", "good", "fenced in epoch 3", { role: { value: { role: "fenced", epoch: 3 } } }],
    ["role", "unknown", "does not answer", { role: problem }],
    ["server", "unknown", "does not answer", { server: problem }],
    ["gate", "unknown", "does not answer", { gate: problem }],
    ["gate", "poor", "lets clients through", { gate: { value: { isOpen: true, reason: "active in epoch 1" } } }],
    ["standby", "bad", "declared to follow", { standby: { value: "absent" } }],
    ["gate", "not asked", "nothing stands", { gate: { value: undefined } }],
    ["recoveryPoint", "bad", "the bucket is empty", { recoveryPoint: { value: { none: "the bucket is empty" } } }],
    [
      "recoveryPoint",
      "poor",
      "16 min old; 15 min are wanted",
      { recoveryPoint: { value: { ...recoveryPoint, ageSeconds: 960 } } },
    ],
    ["recoveryPoint", "good", "15 min old", { recoveryPoint: { value: { ...recoveryPoint, ageSeconds: 900 } } }],
    ["recoveryPoint", "unknown", "does not answer", { recoveryPoint: problem }],
    ["exact", "poor", "deletes may be back", { recoveryPoint: { value: { ...recoveryPoint, isExact: false } } }],
    ["exact", "not asked", "no recovery point", { recoveryPoint: { value: { none: "the bucket is empty" } } }],
    [
      "recoveryPoint",
      "poor",
      "p, 1 min old, and partial: collection notes is not in it: it does not load",
      { recoveryPoint: { value: { ...recoveryPoint, missing: ["collection notes is not in it: it does not load"] } } },
    ],
    ["verified", "poor", "not here", { recoveryPoint: { value: { ...recoveryPoint, isVerified: false } } }],
    [
      "versions",
      "bad",
      "cannot be restored on 1.16.0",
      {
        recoveryPoint: { value: { ...recoveryPoint, qdrantVersion: "1.17.0" } },
        server: { value: { version: "1.16.0" } },
      },
    ],
    ["versions", "bad", "is not a Qdrant version", { server: { value: { version: "nonsense" } } }],
    ["keys", "unknown", "does not answer", { keys: problem }],
    ["writable", "unknown", "refuses", { writable: { problem: "refuses access" } }],
    ["traffic", "good", "nobody is led anywhere", { traffic: { value: { leadsTo: undefined } } }],
    ["traffic", "unknown", "does not answer", { traffic: problem }],
    ["standby", "not asked", "nothing is kept applied", { standby: { value: undefined } }],
    ["standby", "poor", "20 min behind", { standby: { value: { ...warm, lagSeconds: 1200 } } }],
    ["standby", "good", "never exact", { standby: { value: { ...warm, exactLagSeconds: undefined } } }],
    ["standby", "poor", "began 20 min ago did not end", { standby: { value: { ...warm, begunSeconds: 1200 } } }],
    ["rto", "good", "the standby holds it", { restore: slow }],
    ["rto", "poor", "30 min are wanted", { restore: slow, standby: { value: { ...warm, lagSeconds: 1e4 } } }],
    ["capacity", "poor", "up to 15.0 GB", { machine: { value: { memoryBytes: 1e9, diskBytes: 14e9 } } }],
    ["capacity", "unknown", "does not answer", { machine: problem }],
    ["rto", "poor", "30 min are wanted", { restore: slow, standby: cold }],
    ["backend", "not asked", "from a file", { backend: { notAsked: "the outputs came from a file" } }],
    ["drift", "poor", "update 2", { drift: { value: ["update 2"] } }],
    ["drift", "not asked", "--drift", { drift: { notAsked: "ask with --drift" } }],
    ["practice", "poor", "nothing was ever restored", { practice: { value: undefined } }],
    ["practice", "poor", "ago", { practice: { value: { what: "restore of p", ageSeconds: 91 * 86_400 } } }],
  ];
  for (const [name, state, why, changed] of table) {
    it(`finds ${name} ${state}: ${why}`, () => {
      const { detail, hint, lost, score, state: found } = checkOf(name, changed);
      expect(found).to.equal(state);
      expect(detail).to.contain(why);
      if (state === "good" || state === "not asked") expect([lost, hint]).to.deep.equal([0, undefined]);
      else {
        expect(hint).to.be.a("string").and.not.equal("");
        expect(lost).to.be.greaterThan(0);
        expect(score).to.be.lessThan(100);
      }
      const cannot = needed.includes(name) && (state === "bad" || state === "unknown");
      if (cannot) expect(score).to.equal(0);
      else if (name !== "exact" || state !== "not asked") expect(score).to.be.greaterThan(50);
    });
  }

  /** Each fact as it can be found, the better ones first. */
  const found: { readonly [Name in (typeof factNames)[number]]: readonly ReadinessFacts[Name][] } = {
    role: [ready.role, { value: { role: "standby", epoch: 3, otherEpoch: 4 } }, problem],
    server: [ready.server, problem],
    recoveryPoint: [
      ready.recoveryPoint,
      { value: { ...recoveryPoint, isVerified: false } },
      { value: { ...recoveryPoint, isVerified: false, isExact: false } },
      { value: { ...recoveryPoint, isVerified: false, isExact: false, ageSeconds: 1e6 } },
      { value: { none: "the bucket is empty" } },
      problem,
    ],
    gate: [ready.gate, { value: { isOpen: true, reason: "active in epoch 1" } }, problem],
    keys: [ready.keys, problem],
    writable: [ready.writable, problem],
    traffic: [ready.traffic, problem],
    machine: [ready.machine, { value: { memoryBytes: 1e9, diskBytes: 1e9 } }, problem],
    standby: [ready.standby, { value: { ...warm, lagSeconds: 1e4 } }, problem],
    restore: [ready.restore, { value: { bytes: 5e9, seconds: 1e5 } }, problem],
    backend: [ready.backend, problem],
    drift: [ready.drift, { value: ["update 1"] }, problem],
    practice: [ready.practice, { value: undefined }, problem],
  };
  const anyFacts = fc.record(
    Object.fromEntries(factNames.map((name) => [name, fc.nat({ max: found[name].length - 1 })])) as Record<
      keyof typeof found,
      fc.Arbitrary<number>
    >,
  );
  const factsOf = (ranks: Readonly<Record<keyof typeof found, number>>): ReadinessFacts => ({
    objectives: ready.objectives,
    ...(Object.fromEntries(factNames.map((name) => [name, found[name][ranks[name]]])) as Omit<
      ReadinessFacts,
      "objectives"
    >),
  });

  it("is a whole number of 0 to 100, is 100 only when nothing is wanting, and never rises when a fact gets worse", () => {
    fc.assert(
      fc.property(anyFacts, fc.constantFrom(...factNames), (ranks, name) => {
        const { checks, score } = assessReadiness(factsOf(ranks));
        expect(score).to.be.within(0, 100);
        expect(Number.isInteger(score)).to.equal(true);
        expect(score === 100).to.equal(checks.every(({ state }) => state === "good"));
        const worse = Math.min(ranks[name] + 1, found[name].length - 1);
        expect(assessReadiness(factsOf({ ...ranks, [name]: worse })).score).to.be.at.most(score);
      }),
      { numRuns: 1_000 },
    );
  });
});
