/**
 * A standby that follows a journal is the source, digit for digit, whatever clients do. Real Qdrants. QDRANT_DR_SEEDS says how many rounds
 * (100 is the bar), QDRANT_DR_SEED where they begin.
 */
import { expect } from "chai";
import { beginOfJournal } from "../../runtime/domain/journal/position.ts";
import type { FollowedState } from "../../runtime/repository/control/followed-records.ts";
import { readFollowed } from "../../runtime/repository/control/followed-records.ts";
import { JournalReader } from "../../runtime/repository/journal/journal-reader.ts";
import { JournalWriter } from "../../runtime/repository/journal/journal-writer.ts";
import { JournalFollower } from "../../runtime/workflows/journal/journal-follower.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { emptied } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { RecordedSource } from "../support/journal/recorded-source.ts";
import { SeededWrites, writtenCollections } from "../support/journal/seeded-writes.ts";
import { differencesBetween } from "../support/journal/told-points.ts";

const seeds = Number(process.env["QDRANT_DR_SEEDS"] ?? 1);
const firstSeed = Number(process.env["QDRANT_DR_SEED"] ?? 1);
const writesPerRound = 40;

describe("a standby that follows a journal", function () {
  this.timeout(Math.max(60_000, seeds * 30_000));
  let pair: StandbyPair;

  before(async () => {
    pair = await StandbyPair.start();
  });

  after(async () => pair?.stop());

  beforeEach(async () => pair.empty());

  const fromTheBegin = (): FollowedState => ({
    format: 1,
    at: new Date().toISOString(),
    region: "east",
    epoch: 1,
    recoveryPoint: "none",
    position: beginOfJournal,
    asOf: new Date(0).toISOString(),
    unreconciled: [],
    strictModes: [],
  });

  const follower = (state: FollowedState) =>
    new JournalFollower(
      {
        reader: new JournalReader(pair.west.repository, "east", pair.wrap),
        target: pair.standby,
        control: pair.west.control,
        refuseUnlessMine: async () => undefined,
        clock: systemClock,
      },
      state,
    );

  async function recordedSource(): Promise<RecordedSource> {
    const { writer } = await JournalWriter.takeOver({
      store: pair.west.repository,
      region: "east",
      writer: "test",
      wrap: pair.wrap,
      clock: systemClock,
    });
    return new RecordedSource(pair.sourceServer, pair.source, writer);
  }

  async function makeCollections(source: RecordedSource): Promise<void> {
    for (const { indexes, name, settings } of writtenCollections) {
      await source.request("PUT", `/collections/${name}`, settings);
      for (const index of indexes) await source.request("PUT", `/collections/${name}/index?wait=true`, index);
      await source.tellCollection(name);
    }
  }

  it(`is equal after ${seeds} rounds of mixed writes, with kills of itself and of the Qdrant that it writes to, and when all is applied again`, async () => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      await pair.empty();
      const source = await recordedSource();
      await makeCollections(source);
      const writes = new SeededWrites(seed);
      let following = follower(fromTheBegin());
      for (let n = 0; n < writesPerRound; n += 1) {
        await source.write(writes.next());
        if (n % 4 === 0) await source.flush();
        if (n % 10 === 5) await following.step();
        if (n === 20) {
          await pair.standbyServer.kill();
          await pair.standbyServer.restart();
          // The one that was killed recorded nothing since.
          following = follower((await readFollowed(pair.west.control, systemClock.now())) ?? fromTheBegin());
        }
      }
      await source.flush();
      await following.drain();
      expect(await differencesBetween(pair.sourceServer, pair.standbyServer), `seed ${seed}`).to.deep.equal([]);
      expect(following.state.unreconciled).to.deep.equal([]);
      expect(source.refused, "writes that Qdrant refuses").to.be.greaterThan(0);

      await follower(fromTheBegin()).drain();
      expect(await differencesBetween(pair.sourceServer, pair.standbyServer), `seed ${seed} again`).to.deep.equal([]);
    }
    await emptied(pair.standby);
  });
});
