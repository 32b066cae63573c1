/**
 * Two regions on a real cluster, by the commands that the documents show: kubelet, controllers, scheduler, volumes, load balancers, names and
 * enforced network policies; SeaweedFS as the stores, a key each. Each test goes on where the one before ended.
 */
import { expect } from "chai";
import { SteadyClient } from "../support/cluster/client.ts";
import {
  ClusterPair,
  gateUrl,
  isOfficialProvider,
  type RegionName,
  regionNames,
} from "../support/cluster/cluster-pair.ts";

describe(`a pair in a cluster, ${isOfficialProvider ? "with the official provider" : "with a stand-in for the provider"}`, () => {
  let pair: ClusterPair;
  let client: SteadyClient | undefined;

  const tell = (text: string) => console.error(`cluster: ${text}`);

  before("the cluster", async () => {
    pair = await ClusterPair.start((step) => tell(`${step}…`));
  });
  afterEach("what the cluster says of a failure", async function () {
    if (this.currentTest?.state === "failed") await pair.tellTroubles();
  });
  after(async () => {
    await client?.stop();
    await pair?.stop();
  });

  it("`up` of prod, dr and prod again: every pod becomes ready, and another `up` changes nothing", async () => {
    await pair.upBoth();
    for (const region of regionNames) await pair.up(region, "--expect-no-changes");
  });

  it("clients write through the gate of the active region, and the standby follows", async () => {
    client = await SteadyClient.start();
    await client.acknowledges(20);
    await follows("dr");
  });

  it("each scheduled job, started from its CronJob, succeeds", async () => {
    const jobs = {
      prod: ["full", "incremental", "test-restore"],
      dr: ["copy", "verify", "test-restore", "drill", "prune"],
    };
    for (const region of regionNames) {
      for (const job of jobs[region]) {
        const seconds = await pair.cluster.runJob(region, `qdrant-dr-${job}`);
        tell(`${region}'s ${job}: ${seconds.toFixed(1)} s`);
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
      tell(`switchover to ${to}: ${seconds.toFixed(1)} s, pause ${client?.takeLongestPauseMs().toFixed(0)} ms`);
      expect(await client?.missingIn(gateUrl(to))).to.deep.equal([]);
      // The pair protects itself again, without a hand.
      await follows(from);
    }
  });

  it("the active region is lost with its workloads, volumes and store: the other one serves", async () => {
    const followed = (await follows("dr")) ?? 0;
    await pair.cluster.lose("prod");
    await pair.stores.prod.kill();
    const commandedAt = performance.now();
    const servedAt = client?.acknowledges(1).then(() => performance.now());
    const { seconds } = await pair.succeed("failover", "run", "--to", "dr", "--accept-data-loss", "900");
    const outageMs = ((await servedAt) ?? Number.NaN) - commandedAt;
    await client?.acknowledges(20);
    const lost = (await client?.missingIn(gateUrl("dr"))) ?? [];
    tell(`failover to dr: ${seconds.toFixed(1)} s; clients are served ${outageMs.toFixed(0)} ms after the command`);
    tell(`${lost.length} writes of ${client?.acknowledged} are lost`);
    // What the standby had does not go.
    expect(lost.filter((id) => id <= followed)).to.deep.equal([]);
    client?.forget(lost);
  });

  it("the lost region comes back by the documented command, and follows", async () => {
    await pair.stores.prod.start();
    await pair.up("prod", "--refresh");
    await pair.up("dr", "--refresh");
    await pair.cluster.untilAllReady("prod");
    await follows("prod");
  });

  async function follows(standby: RegionName): Promise<number | undefined> {
    return client?.isFollowedBy(await pair.stacks.region(standby));
  }
});
