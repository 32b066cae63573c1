import { expect } from "chai";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { decideGate, type GateKnowledge, type GateMode } from "../../runtime/domain/roles/gate.ts";

const at = "2026-01-01T00:00:00.000Z";

function epochOf(epoch: number, active: string, reason: EpochRecord["reason"]): EpochRecord {
  return { epoch, active, reason, run: "r", at };
}

function told(newest: EpochRecord, more: Partial<GateKnowledge> = {}): GateKnowledge {
  return { newest, isFenced: false, isOpened: false, ...more };
}

const first = told(epochOf(1, "east", "initial"));
const taken = told(epochOf(2, "west", "failover"));
const fenced = told(first.newest, { isFenced: true });
const opened = told(epochOf(2, "west", "switchover"), { isOpened: true });

interface Case {
  readonly when: string;
  readonly region: string;
  readonly known: readonly GateKnowledge[];
  /** What is expected in the mode `availability`, and in `consistency` with and without the lease. */
  readonly open: readonly [availability: boolean, held: boolean, notHeld: boolean];
  readonly because: string;
}

const always = [true, true, false] as const;
const never = [false, false, false] as const;

const cases: readonly Case[] = [
  { when: "nothing can be read and nothing was seen", region: "east", known: [], open: never, because: "no control" },
  { when: "both stores say it is active", region: "east", known: [first, first], open: always, because: "epoch 1" },
  { when: "one source says so: its own store or memory", region: "east", known: [first], open: always, because: "1" },
  { when: "it is the standby", region: "west", known: [first, first], open: never, because: "east is the active" },
  { when: "the other store knows a newer epoch", region: "east", known: [first, taken], open: never, because: "west" },
  { when: "the own store knows a newer epoch", region: "east", known: [taken, first], open: never, because: "west" },
  { when: "it was fenced, by either store", region: "east", known: [first, fenced], open: never, because: "fenced" },
  { when: "it was fenced, and only memory knows", region: "east", known: [fenced], open: never, because: "fenced" },
  { when: "promoted, and its data are not there", region: "west", known: [taken], open: never, because: "not opened" },
  { when: "promoted and opened", region: "west", known: [opened, first], open: always, because: "epoch 2" },
  {
    when: "an opening of an earlier epoch is no opening of this one",
    region: "west",
    known: [opened, told(epochOf(4, "west", "failover"))],
    open: never,
    because: "epoch 4 is not opened",
  },
  {
    when: "a switchover was aborted: its fence ends with the epoch that says so",
    region: "east",
    known: [fenced, told(epochOf(2, "east", "aborted"))],
    open: always,
    because: "epoch 2",
  },
  {
    when: "two stores name two regions for one epoch: neither serves",
    region: "east",
    known: [told(epochOf(2, "east", "aborted")), opened],
    open: never,
    because: "two active regions",
  },
  {
    when: "the same, seen by the other one",
    region: "west",
    known: [opened, told(epochOf(2, "east", "aborted"))],
    open: never,
    because: "two active regions",
  },
];

describe("decision of the gate", () => {
  const modes: readonly [GateMode, boolean][] = [
    ["availability", false],
    ["consistency", true],
    ["consistency", false],
  ];

  for (const { because, known, open, region, when } of cases) {
    it(`${when}: ${open.map((isOpen) => (isOpen ? "open" : "closed")).join(", ")}`, () => {
      const decisions = modes.map(([mode, isLeaseHeld]) => decideGate({ region, mode, known, isLeaseHeld }));
      expect(decisions.map(({ isOpen }) => isOpen)).to.deep.equal(open);
      expect(decisions[0]?.reason).to.contain(because);
    });
  }

  it("no order of what is known changes a decision", () => {
    for (const { known, region } of cases) {
      const decide = (sources: readonly GateKnowledge[]) =>
        decideGate({ region, mode: "availability", known: sources, isLeaseHeld: false }).isOpen;
      expect(decide([...known].reverse())).to.equal(decide(known));
    }
  });

  it("whatever two guards can see, at most one region's gate opens when both see both stores", () => {
    const all = cases.flatMap(({ known }) => known);
    for (const own of all) {
      for (const peer of all) {
        const open = ["east", "west"].filter(
          (region) => decideGate({ region, mode: "availability", known: [own, peer], isLeaseHeld: false }).isOpen,
        );
        expect(open.length).to.be.lessThan(2);
      }
    }
  });
});
