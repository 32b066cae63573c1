/** Patience with a server that optimizes: it is had while the server is asked, and not while others have their turns. */
import { setImmediate as breath } from "node:timers/promises";
import { expect } from "chai";
import { Turns } from "../../runtime/domain/at-once.ts";
import type { Optimizations, ShardPlacement, VectorDatabase } from "../../runtime/ports.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureShard } from "../../runtime/workflows/capture/capture-shard.ts";

const tree = { format: 1, collection: "c", shard: 0, lineage: "l", segments: {}, files: [], packs: [] } as const;

function optimizations(running: number): Optimizations {
  const marks = Array.from({ length: running }, (_, n) => `merge@${n}`);
  return { running, begun: marks, underWay: marks };
}

describe("a shard whose turn comes late", () => {
  it("has all its patience left, and waits for an optimization that began meanwhile", async () => {
    let nowMs = 0;
    let running = 0;
    const readWhile: number[] = [];
    const looks: number[] = [];
    const database = {
      optimizations: async () => {
        looks.push(running);
        const answer = optimizations(running);
        // It ends while it is looked at for the third time.
        if (running > 0 && looks.filter((count) => count > 0).length >= 3) running = 0;
        return answer;
      },
      captureShard: async () => {
        readWhile.push(running);
        return undefined;
      },
    } as unknown as VectorDatabase;
    const turns = new Turns(1);
    let release: () => void = () => undefined;
    const held = turns.take(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );

    const captured = captureShard({
      ...{ database, turns, repository: {} as OpenRepository, key: {} as never, collection: "c", lineage: "l" },
      shard: { id: 0, peer: 1, peerUrl: "http://q" } as ShardPlacement,
      base: { isExact: true, tree: { ...tree, files: [], packs: [], id: "t", size: 1 } },
      isFull: false,
      clock: { now: () => new Date(nowMs) },
      patience: { quietMs: 1_000, attempts: 1, borrows: false },
    });
    // Until it has looked, and waits for its turn.
    while (looks.length === 0) await breath();
    await breath();
    running = 1;
    nowMs = 60_000;
    release();
    await held;
    const { isExact, isUnchanged } = await captured;

    expect({ isExact, isUnchanged }).to.deep.equal({ isExact: true, isUnchanged: true });
    expect(readWhile, "optimizations that ran when it was read").to.deep.equal([0]);
  });
});
