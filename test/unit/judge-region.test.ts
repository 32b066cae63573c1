import { expect } from "chai";
import fc from "fast-check";
import {
  assess,
  type Judgement,
  type JudgeRules,
  judge,
  type Look,
  type SignalName,
  type SignalState,
  signalNames,
  type Verdict,
} from "../../runtime/domain/health/judge-region.ts";

type States = Readonly<Record<SignalName, SignalState>>;

const rules: JudgeRules = { settleSeconds: 10, longestGapSeconds: 4 };
const allGood: States = {
  qdrant: "good",
  gate: "good",
  endpoint: "good",
  store: "good",
  control: "good",
  witness: "good",
};
const gone: States = { qdrant: "bad", gate: "bad", endpoint: "bad", store: "bad", control: "bad", witness: "good" };
const noEndpoint = { ...allGood, endpoint: "unknown" } as const;

function lookAt(seconds: number, states: States): Look {
  const signals = Object.fromEntries(signalNames.map((name) => [name, { state: states[name], detail: "" }]));
  return { at: new Date(seconds * 1000), signals: signals as Look["signals"] };
}

/** The judgements after each of the looks. */
function judged(looks: readonly (readonly [seconds: number, states: States])[]): Judgement[] {
  const judgements: Judgement[] = [];
  for (const [seconds, states] of looks) judgements.push(judge(judgements.at(-1), lookAt(seconds, states), rules));
  return judgements;
}

/** A look a second, from `first` to `last`. */
function seen(first: number, last: number, states: States): [number, States][] {
  return Array.from({ length: last - first + 1 }, (_, index) => [first + index, states]);
}

const states = fc.constantFrom<SignalState>("good", "bad", "unknown");
const anyStates = fc.record<States>({
  qdrant: states,
  gate: states,
  endpoint: states,
  store: states,
  control: states,
  witness: states,
});
/** Looks with any signals, some of them long after the one before, or before it by a clock that was set back. */
const anyLooks = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) },
        { weight: 1, arbitrary: fc.integer({ min: -20, max: 60 }) },
      ),
      anyStates,
    ),
    {
      minLength: 1,
      maxLength: 60,
    },
  )
  .map((steps) => {
    let now = 1_000;
    return steps.map(([step, found]) => {
      now += step;
      return [now, found] as const;
    });
  });

describe("one look at a region", () => {
  const table: [says: Verdict, when: string, states: Partial<States>][] = [
    ["serving", "all is good", {}],
    ["serving", "there is no public name", { endpoint: "unknown" }],
    [
      "serving",
      "its Qdrant is cut off from here, and clients are served",
      { qdrant: "bad", store: "bad", control: "bad" },
    ],
    ["serving", "only the stores are gone", { store: "bad", control: "bad" }],
    ["impaired", "clients do not reach what answers here", { endpoint: "bad" }],
    ["impaired", "its gate is closed, and there is no public name", { ...noEndpoint, gate: "bad" }],
    ["down", "all of it is gone", gone],
    ["down", "its Qdrant is gone for clients too, though the store answers", { qdrant: "bad", endpoint: "bad" }],
    ["down", "Qdrant and store are gone, without a public name", { ...noEndpoint, qdrant: "bad", store: "bad" }],
    ["unclear", "Qdrant alone is gone, and whether clients reach it is not known", { ...noEndpoint, qdrant: "bad" }],
    ["unclear", "nothing answers from here, the other region neither", { ...gone, witness: "bad" }],
    ["unclear", "the other region is not known", { ...gone, witness: "unknown" }],
    ["unclear", "Qdrant lives and refuses this key", { ...gone, qdrant: "unknown" }],
  ];
  for (const [says, when, changed] of table) {
    it(`says ${says} when ${when}`, () => {
      expect(assess(lookAt(0, { ...allGood, ...changed }))).to.equal(says);
    });
  }

  it("never says down for one bad signal, whatever the others are", () => {
    fc.assert(
      fc.property(anyStates, (found) => {
        const bad = signalNames.filter((name) => name !== "witness" && found[name] === "bad");
        if (assess(lookAt(0, found)) === "down") expect(bad.length).to.be.greaterThan(1);
      }),
    );
  });

  it("never gets better when a signal gets worse", () => {
    const rank = { good: 0, unknown: 1, bad: 2 } as const;
    const isServed = (found: States) => assess(lookAt(0, found)) === "serving";
    fc.assert(
      fc.property(
        anyStates,
        fc.constantFrom<SignalName>("qdrant", "gate", "endpoint"),
        states,
        (found, name, worse) => {
          fc.pre(rank[worse] >= rank[found[name]]);
          if (isServed({ ...found, [name]: worse })) expect(isServed(found)).to.equal(true);
        },
      ),
    );
  });
});

describe("judgement of a region", () => {
  const verdicts = (looks: readonly (readonly [number, States])[]) => judged(looks).map(({ verdict }) => verdict);

  it("is unclear until the looks have agreed for long enough, and then is what they say", () => {
    const found = verdicts(seen(0, 12, allGood));
    expect(found.slice(0, 10)).to.deep.equal(Array(10).fill("unclear"));
    expect(found.slice(10)).to.deep.equal(["serving", "serving", "serving"]);
  });

  it("stands through an outage that is shorter, and falls with one that lasts", () => {
    const short = [...seen(0, 12, allGood), ...seen(13, 21, gone), ...seen(22, 40, allGood)];
    expect(new Set(verdicts(short).slice(10))).to.deep.equal(new Set(["serving"]));
    const long = judged([...seen(0, 12, allGood), ...seen(13, 30, gone)]);
    expect(long.find(({ verdict }) => verdict === "down")?.seenAt).to.deep.equal(new Date(23_000));
    expect(long.at(-1)).to.include({ verdict: "down" });
  });

  it("stays down while the region comes and goes", () => {
    const flapping = Array.from({ length: 20 }, (_, index) => [24 + index, index % 4 === 0 ? allGood : gone] as const);
    const found = verdicts([...seen(0, 23, gone), ...flapping]);
    expect(new Set(found.slice(10))).to.deep.equal(new Set(["down"]));
  });

  it("does not stand on what nobody sees any more: looks that agree with nothing make it unclear", () => {
    const others = Array.from({ length: 30 }, (_, index) => {
      return [13 + index, index % 2 === 0 ? gone : { ...allGood, endpoint: "bad" as const }] as const;
    });
    expect(verdicts([...seen(0, 12, allGood), ...others]).at(-1)).to.equal("unclear");
  });

  it("takes no time for seen in which nobody looked", () => {
    expect(
      verdicts([
        [0, gone],
        [9, gone],
        [18, gone],
        [27, gone],
      ]),
    ).to.deep.equal(Array(4).fill("unclear"));
    const woken = judged([...seen(0, 12, allGood), [1_000, gone], [1_003, gone], [1_006, gone]]);
    expect(woken.at(-1)).to.include({ verdict: "serving" });
  });

  it("changes only to what all looks of the settling time said, or to unclear", () => {
    fc.assert(
      fc.property(anyLooks, (looks) => {
        const found = judged(looks);
        for (const [index, { verdict }] of found.entries()) {
          const before = found[index - 1]?.verdict ?? "unclear";
          if (verdict === before || verdict === "unclear") continue;
          const now = looks[index]?.[0] ?? 0;
          const from = looks.findLastIndex(([at], other) => other <= index && at <= now - rules.settleSeconds);
          const said = looks.slice(from, index + 1);
          expect(new Set(said.map(([at, each]) => assess(lookAt(at, each))))).to.deep.equal(new Set([verdict]));
          for (const [other, [at]] of said.entries()) {
            if (other > 0) expect(at - (said[other - 1]?.[0] ?? 0)).to.be.within(0, rules.longestGapSeconds);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("does not flap: a verdict that was left is not taken again before the settling time is over", () => {
    fc.assert(
      fc.property(anyLooks, (looks) => {
        const leftAt = new Map<Verdict, number>();
        let before: Judgement | undefined;
        for (const [seconds, each] of looks) {
          const now = judge(before, lookAt(seconds, each), rules);
          if (before !== undefined && now.verdict !== before.verdict) {
            leftAt.set(before.verdict, seconds);
            const left = leftAt.get(now.verdict);
            // A clock that was set back in between measures nothing.
            if (left !== undefined && now.verdict !== "unclear" && seconds >= left) {
              expect(seconds - left).to.be.at.least(rules.settleSeconds);
            }
          }
          before = now;
        }
      }),
      { numRuns: 500 },
    );
  });
});
