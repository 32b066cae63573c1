import { expect } from "chai";
import fc from "fast-check";
import {
  type CatalogEntry,
  judgeRecoveryPoint,
  objectsOf,
  resolveLatestRestorable,
} from "../../runtime/domain/recovery-points/catalog.ts";
import type { Attestation, CapturedShard, RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";

const treeId = "t".repeat(64);
const [packA, packB] = ["a".repeat(64), "b".repeat(64)] as const;
const at = "2026-03-01T12:00:00.000Z";
const shard: CapturedShard = {
  id: 0,
  peer: 1,
  tree: { id: treeId, size: 100 },
  startedAt: at,
  finishedAt: at,
  method: "partial-snapshot",
  isExact: true,
};
const factsId = "f".repeat(64);
const recoveryPoint: RecoveryPoint = {
  format: 1,
  id: "point-1",
  type: "full",
  kinds: ["qdrant"],
  region: "east",
  epoch: 1,
  startedAt: at,
  time: at,
  finishedAt: at,
  qdrantVersion: "1.16.3",
  toolVersion: "test",
  collections: [
    {
      name: "notes",
      key: "1".repeat(32),
      facts: factsId,
      shards: [shard],
      pointsBefore: 1,
      pointsAfter: 1,
    },
  ],
  aliases: [],
  folders: [],
};
const tree = [
  { id: packA, size: 10 },
  { id: packB, size: 20 },
];
const first: EpochRecord = {
  epoch: 1,
  active: "east",
  reason: "initial",
  run: "setup",
  at: "2026-01-01T00:00:00.000Z",
};
const second: EpochRecord = { epoch: 2, active: "west", previous: "east", reason: "failover", run: "run-1", at };
const whole = new Map<string, number>([
  [storeLayout.collectionFacts(factsId), 50],
  [storeLayout.tree(treeId), 100],
  [storeLayout.pack(packA), 10],
  [storeLayout.pack(packB), 20],
]);
const packs = new Map([[treeId, tree]]);
const attestation = (kind: Attestation["kind"]): Attestation => ({
  recoveryPoint: recoveryPoint.id,
  kind,
  at,
  region: "east",
  detail: `it was ${kind}`,
});
const evidence = { inventory: whole, packs, epochs: [first], attestations: [] as Attestation[] };
const without = (key: string) => new Map([...whole].filter(([name]) => name !== key));

describe("judgement of a recovery point", () => {
  it("names the facts, the tree and every pack as what a recovery point needs, with the sizes that are known", () => {
    const needed = new Map<string, number | undefined>([...whole, [storeLayout.collectionFacts(factsId), undefined]]);
    expect(objectsOf(recoveryPoint, packs)).to.deep.equal(needed);
  });

  const cases: [what: string, evidence: Partial<typeof evidence>, state: string, reason: RegExp | undefined][] = [
    ["everything is there", {}, "complete", undefined],
    ["and verified", { attestations: [attestation("verified")] }, "complete", undefined],
    ["a pack is missing", { inventory: without(storeLayout.pack(packB)) }, "incomplete", /packs\/bb\/b+ is missing/],
    [
      "a pack is short",
      { inventory: new Map([...whole, [storeLayout.pack(packA), 9]]) },
      "incomplete",
      /9 bytes instead of 10/,
    ],
    [
      "a pack is long",
      { inventory: new Map([...whole, [storeLayout.pack(packA), 11]]) },
      "incomplete",
      /11 bytes instead of 10/,
    ],
    [
      "a pack is empty",
      { inventory: new Map([...whole, [storeLayout.pack(packA), 0]]) },
      "incomplete",
      /0 bytes instead of 10/,
    ],
    [
      "the facts are missing",
      { inventory: without(storeLayout.collectionFacts(factsId)) },
      "incomplete",
      /facts\/ff\/f+ is missing/,
    ],
    [
      "the tree is missing",
      { inventory: without(storeLayout.tree(treeId)), packs: new Map() },
      "incomplete",
      /trees\/tt\/t+ is missing/,
    ],
    [
      "the tree is short",
      { inventory: new Map([...whole, [storeLayout.tree(treeId), 99]]) },
      "incomplete",
      /99 bytes instead of 100/,
    ],
    ["the tree does not open", { packs: new Map() }, "incomplete", /trees\/tt\/t+ cannot be read/],
    ["the bucket is empty", { inventory: new Map(), packs: new Map() }, "incomplete", /is missing/],
    [
      "it is quarantined",
      { attestations: [attestation("verified"), attestation("quarantined")] },
      "quarantined",
      /it was quarantined/,
    ],
    [
      "it is quarantined and lacks a pack",
      { inventory: without(storeLayout.pack(packA)), attestations: [attestation("quarantined")] },
      "incomplete",
      /is missing/,
    ],
    ["no epoch is known", { epochs: [] }, "deposed", /not active in epoch 1/],
    ["its epoch is another region's", { epochs: [{ ...first, active: "west" }] }, "deposed", /east was not active/],
    ["it was made at the moment of the next epoch", { epochs: [first, second] }, "complete", undefined],
    [
      "it was made after the next epoch began",
      { epochs: [first, { ...second, at: "2026-03-01T11:59:59.999Z" }] },
      "deposed",
      /not active in epoch 1/,
    ],
    [
      "it was made before, the epochs in any order",
      { epochs: [{ ...second, at: "2026-03-01T12:00:00.001Z" }, first] },
      "complete",
      undefined,
    ],
  ];
  for (const [what, change, state, reason] of cases) {
    it(`is "${state}" when ${what}`, () => {
      const entry = judgeRecoveryPoint(recoveryPoint, { ...evidence, ...change });

      expect(entry.state).to.equal(state);
      expect(entry.reasons.length > 0).to.equal(reason !== undefined);
      if (reason !== undefined) expect(entry.reasons.join("; ")).to.match(reason);
    });
  }
});

describe("newest restorable point", () => {
  const entryOf = (id: string, time: string, state: CatalogEntry["state"] = "complete"): CatalogEntry => ({
    id,
    state,
    reasons: [],
    attestations: [],
    recoveryPoint: { ...recoveryPoint, id, startedAt: time },
  });

  it("is the one whose capture began last, never by its id or its place", () => {
    const entries = [
      entryOf("9-greatest-id", "2026-03-01T10:00:00.000Z"),
      entryOf("1-least-id", "2026-03-01T12:00:00.000Z"),
      entryOf("5-last-in-list", "2026-03-01T11:00:00.000Z"),
    ];

    expect(resolveLatestRestorable(entries)?.id).to.equal("1-least-id");
    expect(resolveLatestRestorable([...entries].reverse())?.id).to.equal("1-least-id");
  });

  it("passes over every point that is not complete, however new", () => {
    const states = ["incomplete", "deposed", "quarantined", "unreadable"] as const;
    const newer = states.map((state) => entryOf(state, "2026-03-02T00:00:00.000Z", state));

    expect(resolveLatestRestorable([...newer, entryOf("whole", "2026-03-01T00:00:00.000Z")])?.id).to.equal("whole");
    expect(resolveLatestRestorable(newer)).to.equal(undefined);
    expect(resolveLatestRestorable([])).to.equal(undefined);
  });

  it("is one that a journal leads from to the wanted time, when it is to be brought there", () => {
    const journal = { number: 7, digest: "" };
    const captured = (id: string, finishedAt: string, more: Partial<RecoveryPoint> = {}): CatalogEntry => {
      const entry = entryOf(id, finishedAt);
      return { ...entry, recoveryPoint: { ...recoveryPoint, id, startedAt: finishedAt, finishedAt, ...more } };
    };
    const entries = [
      captured("base", "2026-03-01T10:00:00.000Z", { journal }),
      captured("without", "2026-03-01T11:00:00.000Z"),
      captured("under way", "2026-03-01T12:01:00.000Z", { journal }),
    ];
    const broughtTo = new Date("2026-03-01T12:00:00.000Z");
    expect(resolveLatestRestorable(entries, { broughtTo })?.id).to.equal("base");
    expect(resolveLatestRestorable(entries)?.id).to.equal("under way");
  });

  it("is no older for a collection of a slower tier, and not before the wanted time by it", () => {
    const begun = entryOf("later", "2026-03-01T12:00:00.000Z");
    const tiered = {
      ...begun,
      recoveryPoint: { ...(begun.recoveryPoint ?? recoveryPoint), time: "2026-03-01T09:00:00.000Z" },
    };
    const entries = [entryOf("earlier", "2026-03-01T11:00:00.000Z"), tiered];

    expect(resolveLatestRestorable(entries)?.id).to.equal("later");
    expect(resolveLatestRestorable(entries, { until: new Date("2026-03-01T11:30:00.000Z") })?.id).to.equal("earlier");
  });

  it("is at or before the wanted time", () => {
    const entries = ["10", "11", "12"].map((hour) => entryOf(hour, `2026-03-01T${hour}:00:00.000Z`));
    const until = (time: string) => resolveLatestRestorable(entries, { until: new Date(time) })?.id;

    expect(until("2026-03-01T11:00:00.000Z")).to.equal("11");
    expect(until("2026-03-01T10:59:59.999Z")).to.equal("10");
    expect(until("2026-03-01T09:59:59.999Z")).to.equal(undefined);
  });

  it("is the last begun of the complete ones, for any catalog", () => {
    const some = fc.array(
      fc.record({
        id: fc.string({ maxLength: 4 }),
        hours: fc.integer({ min: 0, max: 400 }),
        state: fc.constantFrom<CatalogEntry["state"]>("complete", "incomplete", "deposed", "quarantined"),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(some, (drawn) => {
        const time = (hours: number) => new Date(Date.UTC(2026, 0, 1, hours)).toISOString();
        const entries = drawn.map(({ hours, id, state }) => entryOf(id, time(hours), state));
        const complete = drawn.filter(({ state }) => state === "complete").map(({ hours }) => hours);
        const expected = complete.length === 0 ? undefined : time(Math.max(...complete));

        expect(resolveLatestRestorable(entries)?.recoveryPoint.startedAt).to.equal(expected);
      }),
    );
  });
});
