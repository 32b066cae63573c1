import { expect } from "chai";
import { DrError } from "../../runtime/errors.ts";
import { type CollectionNames, isGone, whatBecameOf } from "../../runtime/workflows/capture/collection-existence.ts";
import { codeOf } from "../support/expect-code.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const refusal = () => new DrError("QDRANT_REFUSED", "Qdrant answered 404");

/** Peers of which one answers, and knows no collection. */
function knowingNothing(given: Partial<CollectionNames> = {}): CollectionNames {
  return { aliases: async () => [], exists: async () => false, listCollections: async () => listed([]), ...given };
}
const listed = (names: string[], silent: string[] = [], answered = 1) => ({ names, answered, silent });
const other = "http://other.example:6333";

describe("whether a collection is gone", () => {
  it("is known once a majority of the peers has answered, and none names it", async () => {
    expect(await isGone(knowingNothing({ listCollections: async () => listed([], [other], 2) }), "notes")).to.equal(
      true,
    );
    expect(await isGone(knowingNothing(), "notes")).to.equal(true);
    expect(await isGone(knowingNothing({ listCollections: async () => listed(["notes"]) }), "notes")).to.equal(false);
  });

  it("is not known while as many peers are silent as answer: those that answer may have just rejoined", async () => {
    const database = knowingNothing({ listCollections: async () => listed([], [other]) });
    expect(await codeOf(isGone(database, "notes"))).to.equal("UNREACHABLE");
  });

  it("is not known from a refusal that says nothing of it", async () => {
    const exists = () => Promise.reject(new DrError("QDRANT_REFUSED", "Qdrant answered 503"));
    expect(await codeOf(isGone(knowingNothing({ exists }), "notes"))).to.equal("QDRANT_REFUSED");
  });

  it("is so when its name has become an alias", async () => {
    const aliases = async () => [{ alias: "notes", collection: "notes-2" }];
    expect(await isGone(knowingNothing({ aliases, exists: async () => true }), "notes")).to.equal(true);
    expect(await isGone(knowingNothing({ exists: async () => true }), "notes")).to.equal(false);
  });
});

describe("an error that came because the collection was dropped", () => {
  const outcomeOf = (lists: ReturnType<typeof listed>[], error: unknown = refusal()) => {
    const clock = new SimulatedClock();
    const listCollections = async () => (lists.length > 1 ? lists.shift() : lists[0]) ?? listed([]);
    return clock.run(whatBecameOf({ clock, database: knowingNothing({ listCollections }) }, "notes", error));
  };

  it("is one once no peer names it, at once or a little later", async () => {
    expect(await outcomeOf([listed([])])).to.equal("dropped");
    expect(await outcomeOf([listed(["notes"], [other]), listed(["notes"]), listed([])])).to.equal("dropped");
    expect(await outcomeOf([listed([])], new DrError("CAPTURE_INCOMPLETE", "gone"))).to.equal("dropped");
  });

  it("is none while a peer names it, or half of the peers are silent", async () => {
    expect(await outcomeOf([listed(["notes"])])).to.equal("there");
    expect(await outcomeOf([listed([], [other])])).to.equal("there");
    expect(await outcomeOf([listed([], [other]), listed(["notes"])]), "the silent one knew it").to.equal("there");
    expect(await outcomeOf([listed([], [other]), listed([])]), "the silent one knew nothing of it").to.equal("dropped");
  });
});
