/**
 * Captures, copies, restores' reads, prunes and kills of them, in any order, call by call, while hours or days pass between any
 * two calls. Whatever was told to be a recovery point is whole as long as it is listed. QDRANT_DR_SEED and QDRANT_DR_ROUNDS choose
 * others, and more.
 */
import { setImmediate } from "node:timers/promises";
import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { hasCode } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import type { PrunableStore } from "../../runtime/ports/prunable-store.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { CaptureMemory } from "../../runtime/workflows/capture/capture-memory.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { hourMs, PrunedRegion, type PrunedStores, policy, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { seeded } from "../support/seeded.ts";

const seed = Number(process.env["QDRANT_DR_SEED"] ?? 20_261_130);
const rounds = Number(process.env["QDRANT_DR_ROUNDS"] ?? 6);
const processes = 60;
const atOnce = 4;

/** Lets one call to a store happen at a time, of whichever process chance says. */
class Interleaving {
  readonly #random: () => number;
  readonly #waiting: { readonly speed: number; readonly go: () => void }[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Lets calls happen until `isOver`; `between` happens before each of them. */
  async run(isOver: () => boolean, between: () => void): Promise<void> {
    while (!isOver()) {
      await setImmediate();
      if (this.#waiting.length === 0) continue;
      between();
      this.#next()?.go();
    }
  }

  #next() {
    let point = this.#random() * this.#waiting.reduce((sum, { speed }) => sum + speed, 0);
    const chosen = this.#waiting.findIndex(({ speed }) => {
      point -= speed;
      return point <= 0;
    });
    return this.#waiting.splice(Math.max(0, chosen), 1)[0];
  }

  /** @param speed how often its calls happen beside those of others. */
  wrap({ control, prunable, prunableControl, repository }: PrunedStores, speed: number): PrunedStores {
    const turn = () => new Promise<void>((go) => this.#waiting.push({ speed, go }));
    const inTurns = (store: ObjectStore): ObjectStore => ({
      get: async (key, range) => turn().then(() => store.get(key, range)),
      checksumOf: async (key) => turn().then(() => store.checksumOf(key)),
      create: async (key, bytes) => turn().then(() => store.create(key, bytes)),
      async *list(prefix) {
        await turn();
        yield* store.list(prefix);
      },
      async *folders(folder) {
        await turn();
        yield* store.folders(folder);
      },
      sizeOf: async (key) => turn().then(() => store.sizeOf(key)),
    });
    const deletingInTurns = (pruner: PrunableStore): PrunableStore => ({
      // One by one, as a store does it.
      delete: async (keys) => {
        for (const key of keys) await turn().then(() => pruner.delete([key]));
        return [];
      },
    });
    return {
      repository: inTurns(repository),
      control: inTurns(control),
      prunable: deletingInTurns(prunable),
      prunableControl: deletingInTurns(prunableControl),
    };
  }
}

describe("prunes among captures and copies", function () {
  this.timeout(120_000);
  let wrap: KeyWrap;

  const all = { executed: 0, dropped: 0 };

  before(async () => {
    ({ wrap } = await ageKeys());
  });

  for (let round = 0; round < rounds; round += 1) {
    it(`lose nothing that was told to be whole (round ${round + 1})`, async () => {
      const random = seeded(seed + round);
      const time = new TestTime();
      const west = new PrunedRegion(wrap, time);
      const east = new PrunedRegion(wrap, time);
      const whole = new Set<string>();
      const dropped = new Set<string>();
      const told = { refused: 0, conflicts: 0, killed: 0, executed: 0 };
      west.write("base", "stays");
      east.write("base", "stays");
      const memory = new CaptureMemory();
      const pick = <T>(items: readonly [T, ...T[]]): T => items[Math.floor(random() * items.length)] ?? items[0];
      /** Five states to and fro: what was dropped comes back, under the same names. */
      const change = (region: PrunedRegion) => region.write("changing", `state ${Math.floor(random() * 5)}`, 150_000);
      for (let n = 0; n < 12; n += 1) {
        change(west);
        whole.add(await west.capture());
        time.pass(3 * hourMs);
      }

      const interleaving = new Interleaving(random);
      let names = 0;
      const act = async (): Promise<void> => {
        const faults = new Faults(random() < 0.15 ? { killAt: Math.ceil(random() * 200) } : {});
        const stores = interleaving.wrap(west.through(faults), random() < 0.25 ? 0.01 : 1);
        try {
          const what = pick(["capture", "capture", "remember", "full", "prune", "prune", "prune", "copy"]);
          if (what === "copy") {
            change(east);
            await east.capture();
            const report = await copyRecoveryPoints(
              await east.open(),
              { stores, wrap, region: { retention: policy() } },
              silently,
              time,
            );
            for (const id of report.copied) whole.add(id);
          } else if (what === "prune") {
            names += 1;
            const mark = `process ${names}`;
            const isDead = () => random() < 0.5;
            const { executed } = await west.prune({
              stores,
              run: mark,
              runner: { mark, isDead },
              retention: { newestWithinHours: 8_760 },
            });
            if (executed !== undefined) told.executed += 1;
          } else {
            change(west);
            const type = what === "full" ? "full" : "incremental";
            whole.add(await west.capture({ stores, type, ...(what === "remember" ? { memory } : {}) }));
          }
        } catch (error) {
          if (hasCode(error, "UNREACHABLE")) told.killed += 1;
          else if (hasCode(error, "EPOCH_CONFLICT", "PRUNE_REFUSED")) told.refused += 1;
          else if (hasCode(error, "CAPTURE_INCOMPLETE", "RECOVERY_POINT_INCOMPLETE", "STORE_REFUSED"))
            told.conflicts += 1;
          else if (!hasCode(error, "OBJECT_NOT_FOUND")) throw error;
        }
      };
      const look = () => {
        for (const id of whole) {
          if (west.repositoryStore.objects.has(storeLayout.manifest(id))) continue;
          dropped.add(id);
          whole.delete(id);
        }
      };
      const allWhole = async () => {
        const { entries } = await readCatalog(await OpenRepository.open(west.stores, wrap));
        // What was pruned between the listing and the reading is not there any more.
        look();
        for (const { id, reasons, state } of entries) {
          if (whole.has(id)) expect(state, `${id}: ${reasons.join("; ")}`).to.equal("complete");
        }
        expect(whole.size).to.be.greaterThan(1);
      };
      let begun = 0;
      let failure: unknown;
      const oneAfterTheOther = async () => {
        while (begun < processes && failure === undefined) {
          begun += 1;
          await act();
          if (begun % 5 === 0) await allWhole();
        }
      };
      let living = atOnce;
      for (let each = 0; each < atOnce; each += 1) {
        oneAfterTheOther()
          .catch((error: unknown) => {
            failure = error;
          })
          .finally(() => {
            living -= 1;
          });
      }
      await interleaving.run(
        () => living === 0 || failure !== undefined,
        () => {
          if (random() < 0.012) time.pass(pick([hourMs, 5 * hourMs, 25 * hourMs, 50 * hourMs]));
          look();
        },
      );
      if (failure !== undefined) throw failure;
      await allWhole();
      const repository = await OpenRepository.open(west.stores, wrap);
      for (const id of whole) {
        await verifyRecoveryPoint(repository, await repository.readRecoveryPoint(id), {
          clock: time,
          progress: silently,
          region: "east",
        });
      }
      all.executed += told.executed;
      all.dropped += dropped.size;
      if (process.env["QDRANT_DR_DEBUG"] !== undefined) console.log(JSON.stringify(told), dropped.size, whole.size);
    });
  }

  it("and have met what they are to prove", () => {
    // How often a capture meets a prune that it did not know is left to chance; `prune.test.ts` makes them meet.
    expect(all.executed).to.be.greaterThan(0);
    expect(all.dropped).to.be.greaterThan(rounds);
  });
});
