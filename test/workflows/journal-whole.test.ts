/**
 * From a client to the standby: the gate as a process, its journal in the other region's store, a standby that follows it, and two real
 * Qdrants; each is killed while clients write. QDRANT_DR_SEEDS says how many rounds, QDRANT_DR_SEED where they begin.
 */
import { renameSync } from "node:fs";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { pause } from "../../runtime/time/pause.ts";
import { JournalReplication } from "../../runtime/workflows/journal/journal-replication.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { signed } from "../support/estates/test-trust.ts";
import { howMany } from "../support/how-many.ts";
import { JournalledGate } from "../support/journal/journalled-gate.ts";
import { SeededWrites, writtenCollections } from "../support/journal/seeded-writes.ts";
import { ask, differencesBetween, told } from "../support/journal/told-points.ts";
import { seeded } from "../support/seeded.ts";
import { eventually } from "../support/time/eventually.ts";

const seeds = howMany("QDRANT_DR_SEEDS", { suite: 2, proof: 100 });
const firstSeed = Number(process.env["QDRANT_DR_SEED"] ?? 1);
const clients = 4;
/** Qdrant may read late what a gate had sent that was killed: the journal tells of it at its next look. */
const untilLookedAgainMs = 15_000;
const writesOfEach = 25;

/** Follows until it is told to stop; whatever ends it, another begins where it was, as a new process would. */
class FollowingProcess {
  readonly #begin: () => Promise<JournalReplication>;
  #isStopped = false;
  #isKilled = false;
  readonly #running: Promise<void>;
  position = 0;
  unreconciled: readonly string[] = [];
  readonly endedBy: string[] = [];

  constructor(begin: () => Promise<JournalReplication>) {
    this.#begin = begin;
    this.#running = this.#run();
  }

  /** What it remembers is gone; nothing is recorded. */
  kill(): void {
    this.#isKilled = true;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const following = await this.#begin();
        this.#isKilled = false;
        while (!this.#isStopped && !this.#isKilled) {
          const report = await following.follow(new AbortController().signal);
          [this.position, this.unreconciled] = [report.position, report.unreconciled];
        }
      } catch (error) {
        this.endedBy.push(`${error}`);
        await pause(systemClock, 200, new AbortController().signal);
      }
    }
  }
}

describe("a journal from the client to the standby", function () {
  this.timeout(Math.max(240_000, seeds * 90_000));
  let pair: StandbyPair;

  before(async () => {
    pair = await StandbyPair.start();
  });
  after(async () => pair?.stop());

  it(`leaves the standby equal after ${seeds} rounds of writes, while gate, follower, both Qdrants and the store are killed`, async () => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      await pair.empty();
      const gate = await JournalledGate.start(pair.sourceServer);
      const stores = {
        repository: signed(new FileStore(gate.store), "west", "repository"),
        control: pair.west.control,
      };
      const following = new FollowingProcess(
        async () =>
          new JournalReplication({
            source: { region: "east", database: pair.source, control: pair.east.control },
            standby: { region: "west", database: pair.standby, repository: await pair.repository(stores, gate.wrap) },
            existing: "refuse",
            toolVersion: "test",
            clock: systemClock,
            progress: silently,
          }),
      );
      try {
        for (const { indexes, name, settings } of writtenCollections) {
          await told(gate.asServer, "PUT", `/collections/${name}`, JSON.stringify(settings));
          for (const index of indexes) {
            await told(gate.asServer, "PUT", `/collections/${name}/index?wait=true`, JSON.stringify(index));
          }
        }
        await writeWithKills(gate, following, seed);
        await gate.untilTold();
        const { number } = await gate.reader().newest();
        await eventually("all is applied", () => following.position >= number && following.unreconciled.length === 0, {
          withinMs: 120_000,
        }).catch((error: unknown) => {
          throw new Error(`seed ${seed}: at ${following.position} of ${number}; ${following.endedBy.join("; ")}`, {
            cause: error,
          });
        });
        let differences: string[] = [];
        await eventually(
          "they are equal",
          async () => {
            differences = await differencesBetween(gate.qdrant, pair.standbyServer);
            return differences.length === 0;
          },
          { withinMs: untilLookedAgainMs },
        ).catch(() => expect(differences.join("\n"), `seed ${seed}`).to.equal(""));
      } finally {
        await following.stop();
        await gate.stop();
      }
    }
  });

  /** Each of the five is killed once, in an order and at writes that the seed tells. */
  async function writeWithKills(gate: JournalledGate, following: FollowingProcess, seed: number): Promise<void> {
    const random = seeded(seed);
    const kills = [
      () => gate.restart(),
      async () => following.kill(),
      () => pair.sourceServer.kill().then(() => pair.sourceServer.restart()),
      () => pair.standbyServer.kill().then(() => pair.standbyServer.restart()),
      () => withoutStore(gate),
    ].sort(() => random() - 0.5);
    const all = clients * writesOfEach;
    const at = new Map(kills.map((kill, n) => [Math.floor(((n + random()) * all) / kills.length), kill]));
    let done = 0;
    const disturbances: Promise<unknown>[] = [];
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        const writes = new SeededWrites(100 * seed + client, 60);
        for (let n = 0; n < writesOfEach; n += 1) {
          const { body, method, path } = writes.next();
          const kill = at.get(done);
          done += 1;
          // One after another: what is killed twice at once proves no more.
          if (kill !== undefined) disturbances.push((disturbances.at(-1) ?? Promise.resolve()).then(kill));
          const answer = await ask(gate.asServer, method, path, body).catch(() => undefined);
          if (answer === undefined || answer.status >= 500) await disturbances.at(-1);
        }
      }),
    );
    await Promise.all(disturbances);
  }

  async function withoutStore(gate: JournalledGate): Promise<void> {
    renameSync(gate.store, `${gate.store}.away`);
    await pause(systemClock, 500, new AbortController().signal);
    renameSync(`${gate.store}.away`, gate.store);
  }
});
