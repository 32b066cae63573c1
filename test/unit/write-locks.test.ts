/** Locks of writes: against a model, for any scopes in any order. */
import { expect } from "chai";
import fc from "fast-check";
import { WriteLocks, type WriteScope } from "../../runtime/async/write-locks.ts";

const collection = fc.constantFrom("a", "b");
const scope: fc.Arbitrary<WriteScope> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<WriteScope>({ of: "everything" }) },
  { weight: 2, arbitrary: fc.record({ of: fc.constant("collection" as const), collection }) },
  {
    weight: 8,
    arbitrary: fc.record({
      of: fc.constant("points" as const),
      collection,
      ids: fc.uniqueArray(fc.constantFrom("1", "2", "3", "4"), { minLength: 1 }),
    }),
  },
);

function collide(a: WriteScope, b: WriteScope): boolean {
  if (a.of === "everything" || b.of === "everything") return true;
  if (a.collection !== b.collection) return false;
  return a.of === "collection" || b.of === "collection" || a.ids.some((id) => b.ids.includes(id));
}

describe("locks of writes", () => {
  it("hold apart what has something in common, in the order of asking, and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(scope, { maxLength: 20 }), fc.infiniteStream(fc.nat()), async (scopes, picks) => {
        const locks = new WriteLocks();
        const holding = new Map<number, () => void>();
        const done = new Set<number>();
        for (const [place, each] of scopes.entries()) void locks.lock(each).then((free) => holding.set(place, free));
        while (done.size < scopes.length) {
          await new Promise(setImmediate);
          const expected = scopes.flatMap((each, place) => {
            const isFree = scopes.slice(0, place).every((other, at) => done.has(at) || !collide(other, each));
            return isFree && !done.has(place) ? [place] : [];
          });
          expect([...holding.keys()].sort((a, b) => a - b)).to.deep.equal(expected);
          const chosen = expected[(picks.next().value ?? 0) % expected.length] ?? 0;
          holding.get(chosen)?.();
          holding.delete(chosen);
          done.add(chosen);
        }
      }),
      { numRuns: 60 },
    );
  });
});
