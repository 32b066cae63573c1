import { expect } from "chai";
import { stepAfter } from "../../runtime/domain/health/next-step.ts";
import { guessedBytes, hazardsOf, isPublic, type QdrantFacts } from "../../runtime/domain/health/qdrant-hazards.ts";

const sound: QdrantFacts = {
  urls: ["https://qdrant.example.com:6333"],
  version: "1.16.3",
  isClustered: false,
  cores: 8,
  answersWithoutKey: false,
  rights: "everything",
  collections: [{ name: "notes", points: 10, health: "green", config: { params: { replication_factor: 1 } } }],
};
const healthy = (health: string): QdrantFacts => ({
  ...sound,
  collections: sound.collections.map((each) => ({ ...each, health })),
});

function withConfig(config: Record<string, unknown>, facts: Partial<QdrantFacts> = {}): QdrantFacts {
  return { ...sound, ...facts, collections: [{ name: "notes", points: 10, health: "green", config }] };
}

describe("hazards of a Qdrant", () => {
  it("are none where nothing is wrong", () => {
    expect(hazardsOf(sound)).to.deep.equal([]);
    expect(hazardsOf({ ...sound, collections: [] })).to.deep.equal([]);
    expect(hazardsOf(withConfig({ strict_mode_config: { enabled: false }, optimizer_config: null }))).to.deep.equal([]);
  });

  const cases: readonly (readonly [what: string, facts: QdrantFacts, severity: string, told: RegExp])[] = [
    ["no key", { ...sound, answersWithoutKey: true }, "danger", /answers without a key/],
    ["a key that only reads", { ...sound, rights: "reads" }, "danger", /may only read/],
    ["a token of few rights", { ...sound, rights: "some" }, "danger", /may not do everything/],
    ["plain HTTP to a public name", { ...sound, urls: ["http://qdrant.example.com"] }, "danger", /plain HTTP/],
    ["plain HTTP to a public address", { ...sound, urls: ["http://203.0.113.9:6333"] }, "danger", /plain HTTP/],
    ["one web worker", { ...sound, version: "1.18.2", cores: 2 }, "danger", /one thread/],
    ["an old version", { ...sound, version: "1.15.4" }, "danger", /not supported/],
    ["a version that was not tried", { ...sound, version: "1.23.0" }, "warning", /newer than/],
    ["a red collection", healthy("red"), "danger", /is red/],
    ["a dead shard", healthy("Dead"), "danger", /not whole: Dead/],
    ["one that optimizes", healthy("yellow"), "note", /optimizes now/],
    ["no optimizers", withConfig({ optimizer_config: { max_optimization_threads: 0 } }), "warning", /never optimizes/],
    ["no index", withConfig({ optimizer_config: { indexing_threshold: 0 } }), "warning", /never indexed/],
    ["one replica", { ...sound, isClustered: true }, "warning", /one copy of each shard/],
    ["shard keys", withConfig({ params: { sharding_method: "custom" } }), "note", /shard keys/],
    ["strict mode", withConfig({ strict_mode_config: { enabled: true } }), "note", /strict mode/],
    [
      "hidden points",
      withConfig({ optimizer_config: { prevent_unoptimized: true } }, { version: "1.19.0" }),
      "note",
      /hides points/,
    ],
  ];
  for (const [what, facts, severity, told] of cases) {
    it(`${what}: ${severity}`, () => {
      const found = hazardsOf(facts);
      expect(found).to.have.lengthOf(1);
      expect(found[0]?.severity).to.equal(severity);
      expect(found[0]?.what).to.match(told);
    });
  }

  it("are told with the worst first", () => {
    const facts = withConfig({ params: { sharding_method: "custom" }, optimizer_config: { indexing_threshold: 0 } });
    const severities = hazardsOf({ ...facts, answersWithoutKey: true }).map(({ severity }) => severity);
    expect(severities).to.deep.equal(["danger", "warning", "note"]);
  });

  it("know addresses of private networks from others", () => {
    const inside = [
      "127.0.0.1",
      "10.1.2.3",
      "172.20.0.1",
      "192.168.1.9",
      "100.64.3.1",
      "[::1]",
      "[fd00::1]",
      "localhost",
    ];
    inside.push("qdrant", "qdrant.prod.svc", "qdrant.prod.svc.cluster.local", "nas.lan", "db.internal");
    const outside = ["172.32.0.1", "8.8.8.8", "[2001:db8::1]", "qdrant.example.com", "100.128.0.1"];
    expect([...inside, ...outside].filter(isPublic)).to.deep.equal(outside);
  });
});

describe("the size of a collection, guessed", () => {
  it("follows from points, vectors and their datatypes", () => {
    const params = (vectors: unknown) => ({ points: 100, config: { params: { vectors } } });
    expect(guessedBytes(params({ size: 100 }))).to.equal(100 * (500 + 400));
    expect(guessedBytes(params({ a: { size: 100, datatype: "float16" }, b: { size: 10 } }))).to.equal(
      100 * (500 + 240),
    );
    expect(guessedBytes(params({}))).to.equal(100 * 500);
    expect(guessedBytes({ points: 0, config: {} })).to.equal(0);
  });
});

describe("the smallest next step", () => {
  const whole = {
    url: "http://127.0.0.1:6333",
    rights: "everything",
    hasSettings: true,
    hasRecoveryPoint: true,
    isVerified: true,
    wasRestored: true,
    lacking: 0,
  } as const;
  const cases = [
    [{}, "qdrant-dr serve"],
    [{ rights: "reads" }, "export QDRANT_API_KEY=…"],
    [{ hasSettings: false }, "qdrant-dr init --qdrant http://127.0.0.1:6333 --store /path/on/another/disk"],
    [{ hasRecoveryPoint: false }, "qdrant-dr backup"],
    [{ lacking: 2 }, "qdrant-dr backup"],
    [{ isVerified: false }, "qdrant-dr verify"],
    [{ wasRestored: false }, "qdrant-dr restore --test"],
  ] as const;
  for (const [facts, command] of cases) {
    it(`is \`${command}\` for ${JSON.stringify(facts)}`, () => {
      expect(stepAfter({ ...whole, ...facts }).command).to.equal(command);
    });
  }
});
