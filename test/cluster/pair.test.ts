/**
 * Two regions on a real cluster, by the commands that the documents show: kubelet, controllers, scheduler, volumes, load balancers, names and
 * enforced network policies; SeaweedFS as the stores, a key each. Each test goes on where the one before ended.
 */
import { expect } from "chai";
import { clientOf, SteadyClient } from "../support/cluster/client.ts";
import {
  ClusterPair,
  gateUrl,
  isOfficialProvider,
  type RegionName,
  regionNames,
} from "../support/cluster/cluster-pair.ts";
import { eventually } from "../support/time/eventually.ts";

const collection = "notes";
const points = 2_000;

describe(`a pair in a cluster, ${isOfficialProvider ? "with the official provider" : "with a stand-in for the provider"}`, () => {
  let pair: ClusterPair;
  let client: SteadyClient | undefined;

  before("the cluster", async () => {
    pair = await ClusterPair.start((step) => console.error(`cluster: ${step}…`));
  });
  afterEach("what the cluster says of a failure", async function () {
    if (this.currentTest?.state !== "failed") return;
    for (const region of regionNames) console.error(await pair.cluster.troubles(region));
  });
  after(async () => {
    await client?.stop();
    await pair?.stop();
  });

  it("`up` of prod, dr and prod again: every pod becomes ready, and another `up` changes nothing", async () => {
    await pair.up("prod");
    await pair.introduce("dr");
    await pair.up("dr");
    await pair.introduce("prod");
    await pair.up("prod");
    for (const region of regionNames) {
      await pair.cluster.untilAllReady(region);
      await pair.up(region, "--expect-no-changes");
    }
  });

  it("clients write through the gate of the active region, and the standby follows", async () => {
    await makeCollection(collection);
    client = new SteadyClient(collection);
    await client.acknowledges(20);
    await follows("dr");
  });

  it("each scheduled job, started from its CronJob, succeeds", async () => {
    const jobs = { prod: ["full", "incremental", "test-restore"], dr: ["copy", "verify", "test-restore", "prune"] };
    for (const region of regionNames) {
      for (const job of jobs[region]) {
        const seconds = await pair.cluster.runJob(region, `qdrant-dr-${job}`);
        console.error(`cluster: ${region}'s ${job}: ${seconds.toFixed(1)} s`);
      }
    }
  });

  it("a switchover there and one back succeed at the first try under a client that never stops, and lose nothing", async () => {
    for (const [to, from] of [
      ["dr", "prod"],
      ["prod", "dr"],
    ] as const) {
      client?.takeLongestPauseMs();
      const { seconds } = await pair.succeed("switchover", "run", "--to", to);
      await client?.acknowledges(20);
      console.error(
        `switchover to ${to}: ${seconds.toFixed(1)} s, pause ${client?.takeLongestPauseMs().toFixed(0)} ms`,
      );
      expect(await client?.missingIn(gateUrl(to))).to.deep.equal([]);
      // The pair protects itself again, without a hand.
      await follows(from);
    }
  });

  it("the active region is lost with its workloads, volumes and store: the other one serves", async () => {
    await follows("dr");
    await pair.cluster.lose("prod");
    await pair.stores.prod.kill();
    client?.takeLongestPauseMs();
    const { seconds } = await pair.succeed("failover", "run", "--to", "dr", "--accept-data-loss", "900");
    await client?.acknowledges(20);
    console.error(`failover to dr: ${seconds.toFixed(1)} s, pause ${client?.takeLongestPauseMs().toFixed(0)} ms`);
  });

  it("the lost region comes back by the documented command, and follows", async () => {
    await pair.stores.prod.start();
    await pair.up("prod", "--refresh");
    await pair.up("dr", "--refresh");
    await pair.cluster.untilAllReady("prod");
    await follows("prod");
  });

  async function makeCollection(name: string): Promise<void> {
    const gate = clientOf(gateUrl("prod"));
    await gate.createCollection(name, {
      vectors: { size: 4, distance: "Dot" },
      shard_number: 2,
      replication_factor: 2,
      wal_config: { wal_capacity_mb: 1 },
    });
    const made = Array.from({ length: points }, (_, index) => ({
      id: 1_000_000 + index,
      vector: [index % 7, index % 11, 1, 0],
    }));
    await gate.upsert(name, { wait: true, points: made });
  }

  /** What was acknowledged until now comes to be in the standby's Qdrant. */
  async function follows(standby: RegionName): Promise<void> {
    const { qdrant } = await pair.stacks.region(standby);
    const [url = ""] = qdrant.peers;
    const before = client?.acknowledged ?? 0;
    await client?.acknowledges(1);
    await eventually(
      `${standby} follows`,
      async () => {
        const held = await clientOf(url, qdrant.apiKey)
          .count(collection, { exact: true })
          .catch(() => ({ count: 0 }));
        return held.count >= points + before;
      },
      { everyMs: 500, withinMs: 180_000 },
    );
  }
});
