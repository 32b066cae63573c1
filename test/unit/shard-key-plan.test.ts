import { expect } from "chai";
import fc from "fast-check";
import { planShardKeys, type ShardKeyStep } from "../../runtime/domain/qdrant/shard-key-plan.ts";
import { codeOf } from "../support/expect-code.ts";

type Key = string | number | bigint;
interface Shard {
  readonly id: number;
  readonly key: Key;
}

const shard = (id: number, key: Key): Shard => ({ id, key });
const create = (key: Key, shards: number) => ({ do: "create", key, shards });
const remove = (key: Key) => ({ do: "delete", key });
const placeholder = (number: number) => `qdrant-dr-placeholder-${number}`;

/** What Qdrant does: a new key's shards get the ids after the highest in use. */
function carryOut(steps: readonly ShardKeyStep[]): { shards: Shard[]; mostAtOnce: number } {
  let shards: Shard[] = [];
  let mostAtOnce = 0;
  for (const step of steps) {
    if (step.do === "delete") {
      expect(shards.some(({ key }) => key === step.key)).to.equal(true);
      shards = shards.filter(({ key }) => key !== step.key);
      continue;
    }
    expect(
      shards.some(({ key }) => key === step.key),
      "a key is made once",
    ).to.equal(false);
    const highest = Math.max(0, ...shards.map(({ id }) => id));
    shards.push(...Array.from({ length: step.shards }, (_, n) => shard(highest + 1 + n, step.key)));
    mostAtOnce = Math.max(mostAtOnce, shards.length);
  }
  return { shards, mostAtOnce };
}

describe("the plan that makes shard keys with their captured shard ids", () => {
  const cases: readonly (readonly [title: string, shards: Shard[], steps: object[]])[] = [
    ["nothing for a collection without keys", [], []],
    ["one key", [shard(1, "a")], [create("a", 1)]],
    [
      "keys in the order of their ids, not of their names",
      [shard(2, "a"), shard(1, "b")],
      [create("b", 1), create("a", 1)],
    ],
    ["several shards a key", [shard(3, "b"), shard(2, "a"), shard(1, "a")], [create("a", 2), create("b", 1)]],
    ["a number and the same digits as text", [shard(1, 7), shard(2, "7")], [create(7, 1), create("7", 1)]],
    [
      "a gap in front, which a placeholder fills",
      [shard(3, "a"), shard(4, "a")],
      [create(placeholder(1), 2), create("a", 2), remove(placeholder(1))],
    ],
    [
      "a gap between keys",
      [shard(1, "a"), shard(4, "b")],
      [create("a", 1), create(placeholder(1), 2), create("b", 1), remove(placeholder(1))],
    ],
    [
      "a key that is named as a placeholder would be",
      [shard(2, placeholder(1))],
      [create(placeholder(2), 1), create(placeholder(1), 1), remove(placeholder(2))],
    ],
    [
      "numbers beyond 2^53 that differ by one",
      [shard(1, 2n ** 64n - 1n), shard(2, 2n ** 64n - 2n)],
      [create(2n ** 64n - 1n, 1), create(2n ** 64n - 2n, 1)],
    ],
    [
      "a wide gap, filled in turns",
      [shard(71, "a")],
      [
        create(placeholder(1), 32),
        create(placeholder(2), 32),
        remove(placeholder(1)),
        create(placeholder(3), 6),
        remove(placeholder(2)),
        create("a", 1),
        remove(placeholder(3)),
      ],
    ],
  ];
  for (const [title, shards, steps] of cases) {
    it(`is for ${title}`, () => {
      expect(planShardKeys("c", shards)).to.deep.equal(steps);
    });
  }

  const refused: readonly (readonly [title: string, shards: { id: number; key?: Key }[]])[] = [
    ["a key whose ids have a gap", [shard(1, "a"), shard(3, "a")]],
    ["keys whose ids alternate", [shard(1, "a"), shard(2, "b"), shard(3, "a")]],
    ["an id that Qdrant gives to no key", [shard(0, "a")]],
    ["a shard without a key", [shard(1, "a"), { id: 2 }]],
  ];
  for (const [title, shards] of refused) {
    it(`refuses ${title}`, async () => {
      expect(await codeOf(Promise.resolve().then(() => planShardKeys("c", shards)))).to.equal("NOT_SUPPORTED");
    });
  }

  it("reproduces whatever Qdrant can have made, leaves no placeholder, and never holds many at once", () => {
    const history = fc.array(
      fc.record({ shards: fc.integer({ min: 1, max: 90 }), isDeleted: fc.boolean(), isNumber: fc.boolean() }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(history, (keys) => {
        const made = keys.map(
          ({ isNumber, shards }, n) => ({ do: "create", key: isNumber ? n : `k${n}`, shards }) as const,
        );
        const deleted = made.filter((_, n) => keys[n]?.isDeleted).map(({ key }) => ({ do: "delete", key }) as const);
        const { shards } = carryOut([...made, ...deleted]);

        const again = carryOut(planShardKeys("c", shards));

        expect(again.shards).to.have.deep.members(shards);
        expect(again.mostAtOnce).to.be.at.most(shards.length + 64);
      }),
    );
  });
});
