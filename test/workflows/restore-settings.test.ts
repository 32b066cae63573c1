/** What is captured can be restored with the same settings, also where they get in the way. Real Qdrants. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { planRestore } from "../../runtime/workflows/apply/plan-restore.ts";
import { findTargetDefaults } from "../../runtime/workflows/apply/target-defaults.ts";
import { asSeenElsewhere, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const settings = { vectors: { size: 2, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } } as const;
const points = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: from + n, payload: { tag: "a", rank: n }, vector: [n, 1] }));

/** What Qdrant takes after the creation of a collection only, and what would refuse the making of it again. */
async function tune(client: QdrantClient, name: string): Promise<void> {
  await client.createPayloadIndex(name, { field_name: "tag", field_schema: "keyword", wait: true });
  await client.createPayloadIndex(name, { field_name: "rank", field_schema: "integer", wait: true });
  await client.updateCollection(name, {
    params: { read_fan_out_factor: 1 },
    strict_mode_config: {
      enabled: true,
      max_payload_index_count: 1,
      upsert_max_batchsize: 5,
      max_timeout: 20,
      search_allow_exact: true,
      max_query_limit: 500,
      unindexed_filtering_update: false,
    },
  });
}

describe("the settings of a restored collection", function () {
  this.timeout(120_000);
  let server: QdrantServer;
  let elsewhere: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let practice: RecoveryPractice;

  before(async () => {
    [server, elsewhere] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    [source, target] = [databaseOf(server), databaseOf(elsewhere)];
    client = clientOf(server);
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
    await Promise.all([emptied(source), emptied(target)]);
    await client.createCollection("notes", settings);
    await client.upsert("notes", { wait: true, points: points(0, 50) });
  });

  after(async () => {
    await Promise.all([server?.stop(), elsewhere?.stop()]);
  });

  it("are all the captured ones: a read fan-out, which creation does not take, and a strict mode with fewer indexes than there are", async () => {
    await tune(client, "notes");
    const recoveryPoint = await practice.capture(source);
    await practice.restore(recoveryPoint, target);
    expect(await target.describe("notes")).to.deep.equal(await source.describe("notes"));
    expect(await target.count("notes")).to.equal(50);
  });

  it("are the captured ones where limits are set that count though strict mode is off", async () => {
    const strict = { enabled: false, read_rate_limit: 70, write_rate_limit: 3, max_payload_index_count: 1 };
    await client.updateCollection("notes", { strict_mode_config: strict });
    const recoveryPoint = await practice.capture(source);
    await practice.restore(recoveryPoint, target);
    expect(await target.describe("notes")).to.deep.equal(await source.describe("notes"));
  });

  it("are those of a standby too, which is brought up to date by differences from then on", async () => {
    const pair = await StandbyPair.start();
    try {
      await pair.client.createCollection("notes", settings);
      await pair.client.upsert("notes", { wait: true, points: points(0, 50) });
      await tune(pair.client, "notes");
      const replication = await pair.replication();
      await replication.cycle("exact");
      await pair.client.upsert("notes", { wait: true, points: points(50, 5) });
      const { shards } = await replication.cycle("exact");
      expect(shards).to.deep.equal({ kept: 0, difference: 1, whole: 0 });
      expect(await pair.differences("notes")).to.deep.equal([]);
      const [wanted, found] = await Promise.all([pair.source.describe("notes"), pair.standby.describe("notes")]);
      for (const part of ["params", "strict_mode_config"]) {
        expect(found.config[part], part).to.deep.equal(wanted.config[part]);
      }
    } finally {
      await pair.stop();
    }
  });

  describe("on a target with defaults of its own", () => {
    let opinionated: QdrantServer | undefined;

    afterEach(async () => opinionated?.stop());

    async function restoreInto(storage: object, told: ProgressEvent[] = []) {
      opinionated = await QdrantServer.start("alone", async (folder) => {
        await mkdir(join(folder, "config"));
        await writeFile(join(folder, "config", "config.yaml"), JSON.stringify({ storage }));
      });
      const recoveryPoint = await practice.capture(source);
      const progress = (event: ProgressEvent) => void told.push(event);
      const database = databaseOf(opinionated);
      const repository = await asSeenElsewhere(practice.stores, practice.wrap);
      const { collections } = await planRestore({
        ...{ repository, recoveryPoint, progress },
        target: database,
        clock: systemClock,
      });
      const forecast = await findTargetDefaults(database, collections);
      expect(await database.scratchCollections(), "what tells the defaults").to.deep.equal([]);
      const sentShards: number[] = [];
      const restoreShard = database.restoreShard.bind(database);
      const watched = Object.assign(database, {
        restoreShard: (...request: Parameters<Qdrant["restoreShard"]>) => {
          sentShards.push(request[1].id);
          return restoreShard(...request);
        },
      });
      const error = await errorOf(practice.restore(recoveryPoint, watched, { progress }));
      return { error, database, forecast, sentShards, client: clientOf(opinionated) };
    }

    it("strict mode is off where it was not captured, so that clients are refused nothing new", async () => {
      await client.createPayloadIndex("notes", { field_name: "tag", field_schema: "keyword", wait: true });
      await client.createPayloadIndex("notes", { field_name: "rank", field_schema: "integer", wait: true });
      const strict = { enabled: true, max_query_limit: 3, max_payload_index_count: 1, search_allow_exact: false };

      const restored = await restoreInto({ collection: { strict_mode: strict } });

      expect(restored.error).to.equal(undefined);
      expect(restored.forecast).to.deep.equal({ differences: [] });
      expect((await restored.client.scroll("notes", { limit: 50 })).points).to.have.length(50);
    });

    const refusals: readonly (readonly [what: string, storage: object, captured: object, message: RegExp])[] = [
      [
        "a limit of a strict mode",
        { collection: { strict_mode: { enabled: true, max_query_limit: 3 } } },
        { strict_mode_config: { enabled: true, max_timeout: 9 } },
        /strict_mode_config\.max_query_limit is 3 where nothing was captured/,
      ],
      [
        "a quantization",
        { collection: { quantization: { scalar: { type: "int8" } } } },
        {},
        /another quantization_config.*quantization_config is \{"scalar":\{"type":"int8"\}\} where nothing was captured/,
      ],
      [
        "vectors on disk",
        { collection: { vectors: { on_disk: true } } },
        {},
        /another params.*params\.vectors\.on_disk is true where nothing was captured/,
      ],
    ];
    for (const [what, storage, captured, message] of refusals) {
      it(`what cannot be taken back is refused with both values, before a shard is sent: ${what}`, async () => {
        await client.updateCollection("notes", captured);
        const { database, error, forecast, sentShards } = await restoreInto(storage);
        expect(forecast.differences.map(({ collection, isRefused }) => ({ collection, isRefused }))).to.deep.equal([
          { collection: "notes", isRefused: true },
        ]);
        expect(`another ${what}: ${forecast.differences[0]?.difference}`, "as the dry run tells it").to.match(
          new RegExp(message.source.replace(/^another \w+\.\*/, "")),
        );
        expect(error?.code).to.equal("QDRANT_REFUSED");
        expect(error?.message).to.match(message);
        expect(error?.hint).to.contain("configuration");
        expect(sentShards).to.deep.equal([]);
        expect(await database.collections(), "what was made is removed").to.deep.equal([]);
      });
    }

    it("what only changes how fast it answers is told with both values", async () => {
      const told: ProgressEvent[] = [];
      const { error, forecast } = await restoreInto({ optimizers: { max_segment_size_kb: 5_000 } }, told);
      expect(error).to.equal(undefined);
      const difference = "optimizer_config.max_segment_size is 5000 where nothing was captured";
      expect(forecast.differences).to.deep.equal([{ collection: "notes", difference, isRefused: false }]);
      expect(told.map(({ detail }) => detail).join("\n")).to.match(
        /notes: .*optimizer_config\.max_segment_size is 5000 where nothing was captured/,
      );
    });
  });
});
