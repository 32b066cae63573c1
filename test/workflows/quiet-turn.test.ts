/** Patience with a server that optimizes: it is had while the server is asked, and not while others have their turns. */
import { Readable } from "node:stream";
import { setImmediate as breath } from "node:timers/promises";
import { expect } from "chai";
import { Semaphore } from "../../runtime/async/semaphore.ts";
import { type OutgoingEntry, writeSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import type { Optimizations, ShardPlacement, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureShard } from "../../runtime/workflows/capture/shard/capture-shard.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const tree = { format: 1, collection: "c", shard: 0, lineage: "l", segments: {}, files: [], packs: [] } as const;

function optimizations(running: number): Optimizations {
  const marks = Array.from({ length: running }, (_, n) => `merge@${n}`);
  return { running, begun: marks, underWay: marks };
}

describe("a shard whose turn comes late", () => {
  it("has all its patience left, and waits for an optimization that began meanwhile", async () => {
    const clock = new SimulatedClock();
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
    const permits = new Semaphore(1);
    let release: () => void = () => undefined;
    const held = permits.run(
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );

    const captured = captureShard({
      database,
      permits,
      repository: { stores: {} } as OpenRepository,
      key: {} as never,
      collection: "c",
      lineage: "l",
      shard: { id: 0, peer: 1, peerUrl: "http://q" } as ShardPlacement,
      base: { isExact: true, tree: { ...tree, files: [], packs: [], id: "t", size: 1 } },
      isFull: false,
      clock,
      patience: { quietMs: 1_000, attempts: 1, usesSnapshot: false },
    });
    // Until it has looked, and waits for its turn.
    while (looks.length === 0) await breath();
    await breath();
    running = 1;
    await clock.advance(60_000);
    release();
    await held;
    const { isExact, isUnchanged } = await clock.run(captured);

    expect({ isExact, isUnchanged }).to.deep.equal({ isExact: true, isUnchanged: true });
    expect(readWhile, "optimizations that ran when it was read").to.deep.equal([0]);
  });
});

/** What Qdrant 1.19.0 sends with its feature flag `write_segment_manifest`; `freeze` happens before the first file of a segment. */
async function* archive(freeze: () => void): AsyncGenerator<OutgoingEntry> {
  async function* bytesOf(text: string) {
    yield Buffer.from(text);
  }
  const segment = JSON.stringify({ segment_id: "s", segment_version: 1, file_versions: {} });
  const files: readonly (readonly [path: string, text: string])[] = [
    ["segments_manifest.json", `{"s":${segment}}`],
    ["segments/s/files/segment_manifest.json", segment],
    ["segments/s/files/segment.json", "{}"],
    ["segments/s/files/version.info", "1"],
    ["replica_state.json", "{}"],
    ["wal/closed-2", "0"],
  ];
  for (const [path, text] of files) {
    if (path === "segments/s/files/segment_manifest.json") freeze();
    const size = Buffer.byteLength(text);
    yield { path, type: "file", size, regions: [{ offset: 0, length: size }], content: bytesOf(text) };
  }
}

describe("an archive whose first entry comes before the freeze (as of 1.19.0, from a fake)", () => {
  for (const [begins, expected] of [
    [true, false],
    [false, true],
  ] as const) {
    it(`is ${expected ? "" : "not "}exact when ${begins ? "an" : "no"} optimization begins between the two`, async () => {
      const practice = await RecoveryPractice.start();
      const repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
      let running = 0;
      const database = {
        optimizations: async () => optimizations(running),
        captureShard: async () => {
          const entries = archive(() => {
            if (begins) running = 1;
          });
          return Readable.from(writeSparseTar(entries), { objectMode: false, highWaterMark: 1 });
        },
      } as unknown as VectorDatabase;

      const { isExact } = await captureShard({
        database,
        repository,
        collection: "c",
        lineage: "l",
        clock: systemClock,
        permits: new Semaphore(1),
        key: await repository.keys.make({ collection: "c" }),
        shard: { id: 0, peer: 1, peerUrl: "http://q" },
        isFull: true,
        patience: { quietMs: 0, attempts: 1, usesSnapshot: false },
      });

      expect(isExact).to.equal(expected);
    });
  }
});
