/** `status` on real Qdrants, a real S3 server and the real endpoint, while the active region is well, dead, silent or talks nonsense. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EndpointControl } from "../../runtime/adapters/endpoint-control.ts";
import type { PulumiStacks } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import type { StatusAnswer } from "../../runtime/commands/status/answer.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import type { JudgeRules } from "../../runtime/domain/health/judge-region.ts";
import type { CheckName } from "../../runtime/domain/health/readiness.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { DrError } from "../../runtime/errors.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { writeFence } from "../../runtime/repository/control/gate-records.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import type { Blocker } from "../../runtime/workflows/failover/find-blockers.ts";
import { Replication } from "../../runtime/workflows/replicate/replication.ts";
import { type Watched, watchRegion } from "../../runtime/workflows/status/watch-region.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { firstEpoch, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { FrontProcess } from "../support/servers/front-process.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

interface Said extends Omit<StatusAnswer, "active" | "regions"> {
  readonly regions: readonly [StatusAnswer["regions"][number], StatusAnswer["regions"][number]];
  readonly active: { region: string; verdict: string; leaning: { verdict: string }; looks: number } & Pick<
    Watched["look"],
    "signals"
  >;
}

/** Far below what a client of a silent server waits for; far above what a busy machine needs. */
const longestMs = 30_000;
const rules: JudgeRules = { settleSeconds: 0.6, longestGapSeconds: 10 };

describe("qdrant-dr status", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-status-"));
  const stops: (() => Promise<void>)[] = [];
  let aheadMs = 0;
  const clock = clockShowing(() => new Date(Date.now() + aheadMs));
  let eastServer: QdrantServer;
  /** Everything of the active region is reached by way of these. */
  let proxies: { qdrant: FaultProxy; gate: FaultProxy; control: FaultProxy; store: FaultProxy };
  let east: Region;
  let west: Region;

  before(async () => {
    const westServer = await startedWith(QdrantServer.start());
    eastServer = await startedWith(QdrantServer.start());
    const store = await startedWith(SeaweedServer.start());
    const toStore = await startedWith(FaultProxy.start(store.endpoint));
    const toQdrant = await startedWith(FaultProxy.start(eastServer.url));
    const { keys } = (await lonelyRegion("west", join(folder, "west"))).outputs;
    const regionOf = async (region: string, peer: string, server: { url: string; apiKey: string }, url: string) => ({
      ...(await lonelyRegion(region, join(folder, region))).outputs,
      peer,
      keys,
      qdrant: { peers: [server.url], apiKey: server.apiKey },
      repository: { ...(await store.bucket(`${region}-repository`)), endpoint: url },
      control: { ...(await store.bucket(`${region}-control`)), endpoint: url },
    });
    const eastAtProxies = { url: toQdrant.url, apiKey: eastServer.apiKey };
    east = await regionOf("east", "west", eastAtProxies, toStore.url);
    west = await regionOf("west", "east", westServer, store.endpoint);
    for (const region of [east, west]) await claimEpoch(storeOf(region, "control"), firstEpoch);
    const gateOf = (region: Region, server: { url: string; apiKey: string }) => {
      return startedWith(
        FrontProcess.gate(join(folder, `${region.region}-gate`), region.region, server, region.control),
      );
    };
    const [eastGate, westGate] = [await gateOf(east, eastAtProxies), await gateOf(west, westServer)];
    const toGate = await startedWith(FaultProxy.start(eastGate.url));
    const toControl = await startedWith(FaultProxy.start(eastGate.controlUrl));
    proxies = { qdrant: toQdrant, gate: toGate, control: toControl, store: toStore };
    const upstreams = { east: { ...eastGate.asUpstream, url: toGate.url }, west: westGate.asUpstream };
    const endpoint = await startedWith(FrontProcess.endpoint(join(folder, "endpoint"), upstreams));
    await new EndpointControl(endpoint.asEndpoint).pointTo({ region: "east", epoch: 1 });
    const gate = { ...eastGate.asGate, controlUrls: [`${toControl.url}/.qdrant-dr/gate`] };
    east = { ...east, gate, endpoint: endpoint.asEndpoint };
    west = { ...west, gate: westGate.asGate, endpoint: endpoint.asEndpoint };
    const [active, standby] = [new RegionAccess(east), new RegionAccess(west)];
    const client = clientOf(eastServer);
    await client.createCollection("notes", {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    const points = Array.from({ length: 50 }, (_, id) => ({ id, vector: [id, 1, 2, 3] }));
    await client.upsert("notes", { wait: true, points });
    const { database } = active;
    const told = { clock: systemClock, progress: silently, toolVersion: "test" };
    const repository = await standby.repositoryForWriting();
    await captureRecoveryPoint({ ...told, region: "east", type: "full", database, repository, allowEmpty: false });
  });

  after(async () => {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    aheadMs = 0;
    eastServer.resume();
    for (const proxy of Object.values(proxies)) proxy.reset();
  });

  async function startedWith<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
    const started = await starting;
    stops.push(() => started.stop());
    return started;
  }

  type Given = { readonly east?: Region; readonly west?: Region };

  function run(args: readonly string[] = [], given: Given = {}) {
    return call(["status", "--stack", "west", ...args], given);
  }

  async function call(args: readonly string[], given: Given = {}) {
    const regions: Readonly<Record<string, Region | undefined>> = { east, west, ...given };
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const said = { out: "", err: "" };
    const begun = performance.now();
    const exitCode = await runCheckedCli(
      args,
      {
        ...deps,
        clock,
        stacks: async () =>
          ({ preview: async (stack: string) => ({ changes: { update: 2, [stack]: 0 } }) }) as unknown as PulumiStacks,
        async access(stack) {
          const region = regions[stack ?? ""];
          if (region === undefined) throw new DrError("PULUMI_FAILED", "the state backend does not answer");
          return new RegionAccess(region);
        },
      },
      { out: (text) => (said.out += `${text}\n`), err: (text) => (said.err += `${text}\n`) },
    );
    return { ...said, exitCode, ms: performance.now() - begun };
  }

  async function statusOf(given: Given = {}): Promise<Said> {
    const { err, exitCode, ms, out } = await run(["--json"], given);
    expect(exitCode, err).to.equal(0);
    expect(ms).to.be.lessThan(longestMs);
    return JSON.parse(out) as Said;
  }

  async function keysIn(region: Region): Promise<string[]> {
    const { control, repository } = new RegionAccess(region).stores;
    const keys: string[] = [];
    for (const store of [control, repository]) {
      for await (const { key } of store.list("")) keys.push(key);
    }
    return keys;
  }

  const statesOf = ({ active }: Said) =>
    Object.fromEntries(Object.entries(active.signals).map(([name, { state }]) => [name, state]));
  const checkOf = ({ readiness }: Said, name: CheckName) => readiness?.checks.find((check) => check.name === name);

  it("says of two regions that are well: who serves, and what the other one lacks", async () => {
    const said = await statusOf();
    expect(said.regions.map(({ epoch, region, role }) => [region, role, epoch])).to.deep.equal([
      ["west", "standby", 1],
      ["east", "active", 1],
    ]);
    expect(said.traffic).to.include({ region: "east", epoch: 1 });
    expect(said.active).to.deep.include({ region: "east", looks: 1, verdict: "unclear" });
    expect(said.active.leaning.verdict).to.equal("serving");
    expect(new Set(Object.values(statesOf(said)))).to.deep.equal(new Set(["good"]));
    expect(said.readiness).to.include({ region: "west" });
    expect(said.readiness?.score).to.be.within(50, 99);
    const wanting = said.readiness?.checks
      .filter(({ state }) => state !== "good")
      .map(({ name, state }) => [name, state]);
    expect(wanting).to.deep.equal([
      ["verified", "poor"],
      ["standby", "not asked"],
      ["drift", "not asked"],
      ["practice", "poor"],
    ]);
    expect(checkOf(said, "capacity")?.detail).to.match(/ GB of disk, .* GB of memory; a restore takes up to /);
  });

  it("says the same in words, and asks no more of a person than to read", async () => {
    const { exitCode, out } = await run();
    expect(exitCode).to.equal(0);
    expect(out).to.contain("east: one look says serving").and.contain("clients are led to east");
    expect(out).to.match(/readiness of west to take over: \d\d of 100/);
    expect(out).to.contain("! Verified recovery point").and.contain("`qdrant-dr verify` reads all of it");
  });

  it("--at-least ends with 13 and the reasons when the readiness is lower, and with 0 when it is not", async () => {
    const { err, exitCode } = await run(["--at-least", "100"]);
    expect(exitCode).to.equal(13);
    expect(err).to.contain("and 100 is wanted").and.contain("Last practice");
    expect((await run(["--at-least", "50"])).exitCode).to.equal(0);
  });

  it("--drift says what `up` of the standby's stack would change", async () => {
    const { out } = await run(["--drift", "--json"]);
    const drift = checkOf(JSON.parse(out) as Said, "drift");
    expect(drift).to.include({ state: "poor", detail: "`pulumi up` would update 2" });
  });

  const faults: [what: string, harm: () => void, qdrant: RegExp][] = [
    [
      "is dead",
      () => {
        for (const proxy of Object.values(proxies)) proxy.plan = () => "cut before the answer";
      },
      /does not answer/,
    ],
    [
      "takes connections and never answers",
      () => {
        eastServer.pause();
        for (const proxy of Object.values(proxies)) proxy.plan = () => "an answer that never comes";
      },
      /does not answer/,
    ],
    [
      "begins answers and never ends them",
      () => {
        for (const proxy of Object.values(proxies)) proxy.plan = () => "an answer that stops";
      },
      /does not answer/,
    ],
    [
      "answers nonsense",
      () => {
        for (const proxy of Object.values(proxies)) proxy.instead = () => Buffer.from("<html>It works!</html>");
      },
      /is not a Qdrant/,
    ],
    [
      "answers other people's JSON",
      () => {
        for (const proxy of Object.values(proxies)) proxy.instead = () => Buffer.from('{"result":{"status":"ok"}}');
      },
      /is not a Qdrant/,
    ],
    [
      "answers nothing but errors",
      () => {
        for (const proxy of Object.values(proxies)) proxy.plan = () => "500";
      },
      /Qdrant answered 500/,
    ],
  ];
  for (const [what, harm, qdrant] of faults) {
    it(`when the active region ${what}: seems down, by every signal, soon, and the other is as ready as before`, async () => {
      const before = await statusOf();
      harm();
      const said = await statusOf();
      expect(said.active.leaning.verdict).to.equal("down");
      expect(statesOf(said)).to.deep.equal({
        qdrant: "bad",
        gate: "bad",
        endpoint: "bad",
        store: "bad",
        control: "bad",
        witness: "good",
      });
      expect(said.active.signals.qdrant.detail).to.match(qdrant);
      const [here, there] = said.regions;
      expect(here.qdrant.isReachable).to.equal(true);
      expect(there.qdrant.isReachable).to.equal(false);
      expect(there.problems).to.have.length(2);
      expect(said.readiness?.score).to.equal(before.readiness?.score);
    });
  }

  it("when only the other region's Qdrant hangs: down by Qdrant and by the public name, and its store answers", async () => {
    eastServer.pause();
    const said = await statusOf();
    expect(statesOf(said)).to.include({ qdrant: "bad", gate: "good", endpoint: "bad", store: "good", control: "good" });
    expect(said.active.leaning.verdict).to.equal("down");
  });

  it("when nothing of the active region is known here, not even where it is: says so, and how ready the other is", async () => {
    const before = await statusOf();
    const said = await statusOf({ east: undefined as unknown as Region });
    const [, there] = said.regions;
    expect(there).to.include({ region: "east", role: "unknown" });
    expect(there.problems[0]).to.contain("the state backend does not answer");
    expect(said.active).to.deep.equal({ region: "east" });
    expect(said.readiness?.score).to.equal(before.readiness?.score);
  });

  const wanting: [name: CheckName, what: string, west: () => Promise<Partial<Region>>][] = [
    [
      "keys",
      "the keys open for somebody else only",
      async () => ({ keys: (await lonelyRegion("west", join(folder, "stranger"))).outputs.keys }),
    ],
    ["server", "its Qdrant refuses the key", async () => ({ qdrant: { ...west.qdrant, apiKey: "another-key" } })],
    [
      "recoveryPoint",
      "its bucket is gone",
      async () => ({ repository: { ...west.repository, bucket: "no-such-bucket" } as Region["repository"] }),
    ],
    ["role", "its control store is gone", async () => ({ control: { kind: "file", folder: join(folder, "nowhere") } })],
    [
      "traffic",
      "the endpoint's control is gone",
      async () => ({ endpoint: { ...east.endpoint, controlUrl: east.qdrant.peers[0] } as Region["endpoint"] }),
    ],
  ];
  for (const [name, what, changed] of wanting) {
    it(`is not ready at all when ${what}, and says what to do`, async () => {
      const said = await statusOf({ west: { ...west, ...(await changed()) } });
      expect(said.readiness?.score).to.equal(0);
      const check = checkOf(said, name);
      expect(check?.state).to.equal("unknown");
      expect(check?.hint).to.be.a("string").and.not.equal("");
    });
  }

  describe("plans", () => {
    const plan = (of: "switchover" | "failover", given: Given = {}) =>
      call([of, "plan", "--to", "west", "--json"], given);
    const stoppingIn = (out: string) => {
      const { obstacles } = JSON.parse(out) as { obstacles: Blocker[] };
      return obstacles.filter(({ stops }) => stops).map(({ region, what }) => `${what} of ${region}`);
    };

    it("of two regions that are well: nothing stands in the way, and what could be better is told", async () => {
      for (const change of ["switchover", "failover"] as const) {
        const { err, exitCode, out } = await plan(change);
        expect(exitCode, err).to.equal(0);
        expect(JSON.parse(out)).to.include({ epoch: 2, continues: false, hasEnded: false });
        expect(stoppingIn(out)).to.deep.equal([]);
      }
      const { out } = await call(["failover", "plan", "--to", "west"]);
      expect(out).to.contain("nothing that was looked at stands in the way");
      expect(out)
        .to.contain("Verified recovery point of west: not here")
        .and.contain("`qdrant-dr verify` reads all of it");
    });

    it("of a switchover, when the active region hangs: all that it needs of it, soon; of a failover: it needs none of that", async () => {
      for (const proxy of Object.values(proxies)) proxy.plan = () => "an answer that never comes";
      const planned = await plan("switchover");
      expect(planned.ms).to.be.lessThan(longestMs);
      expect(stoppingIn(planned.out)).to.have.members(["Qdrant of east", "Control store of east", "Gate of east"]);
      expect(stoppingIn((await plan("failover")).out)).to.deep.equal([]);
    });

    it("of a switchover, when the other region's outputs are lost, or it has no gate: says so", async () => {
      const unknown = await plan("switchover", { east: undefined as unknown as Region });
      expect(stoppingIn(unknown.out)).to.deep.equal(["Outputs of east"]);
      const { gate: _gate, ...open } = east;
      expect(stoppingIn((await plan("switchover", { east: open as Region })).out)).to.deep.equal(["Gate of east"]);
    });

    it("when nothing can be planned: why, and what else stands in the way", async () => {
      const qdrant = { ...west.qdrant, apiKey: "another-key" };
      const { keys } = (await lonelyRegion("west", join(folder, "stranger-of-the-plan"))).outputs;
      const { err, exitCode } = await plan("failover", { west: { ...west, keys, qdrant } });
      expect(exitCode).to.equal(10);
      expect(err).to.contain("Keys of west:").and.contain("Qdrant here of west:");
    });
  });

  it("leaves nothing behind in the stores, neither in the one it may write to", async () => {
    const before = await keysIn(west);
    await statusOf();
    expect(await keysIn(west)).to.deep.equal(before);
  });

  it("of a standby that is kept up to date: how far it is behind, and the age of its point by what was looked at last", async () => {
    const [active, standby] = [new RegionAccess(east), new RegionAccess(west)];
    const replication = new Replication({
      source: { region: "east", database: active.database, control: active.stores.control },
      standby: { region: "west", database: standby.database, repository: await standby.repository() },
      existing: "refuse",
      toolVersion: "test",
      clock,
      progress: silently,
    });
    await replication.cycle("exact");
    aheadMs = 60_000;
    const begun = clock.now().getTime();
    const { isChanged, recoveryPoint } = await replication.cycle("exact");
    expect(isChanged).to.equal(false);

    const said = await statusOf();

    const [here] = said.regions;
    expect(here.newestRecoveryPoint?.id).to.equal(recoveryPoint);
    expect(Date.parse(here.newestRecoveryPoint?.time ?? "")).to.be.lessThan(begun);
    expect(here.newestRecoveryPoint?.ageSeconds).to.be.within(0, (clock.now().getTime() - begun) / 1000);
    expect(checkOf(said, "standby")).to.include({ state: "good" });
    expect(checkOf(said, "standby")?.detail).to.match(/behind \(exact: /);
    expect(checkOf(said, "rto")?.detail).to.contain("the standby holds it");
  });

  describe("looking on", () => {
    const observed = (region: Region) => {
      const access = new RegionAccess(region).withPatience(2_000);
      return {
        region: region.region,
        stores: access.stores,
        database: access.database,
        publicDatabase: access.publicDatabase(),
        gate: access.gate(),
        declared: {},
        repository: () => access.repository(),
        traffic: () => access.traffic(),
      };
    };
    const watch = (seconds: number, now = systemClock) => {
      const watched = { region: observed(east), witness: observed(west), answerMs: 2_000, everyMs: 50 };
      return watchRegion({ ...watched, seconds, rules, clock: now, progress: silently });
    };

    it("ends with a verdict as soon as one stands", async () => {
      expect((await watch(60)).judgement.verdict).to.equal("serving");
      proxies.qdrant.plan = () => "cut before the answer";
      proxies.store.plan = () => "cut before the answer";
      expect((await watch(60)).judgement.verdict).to.equal("down");
    });

    it("ends without one when the region comes and goes all the time", async () => {
      let [count, looked] = [0, 0];
      // However slow a look is: two that agree are never as long as it takes to settle.
      const quick = clockShowing(() => new Date(200 * looked++));
      proxies.qdrant.plan = () => (Math.floor(count++ / 4) % 2 === 0 ? "500" : undefined);
      const { judgement, looks } = await watch(3, quick);
      expect(judgement.verdict).to.equal("unclear");
      expect(looks).to.be.greaterThan(3);
    });

    it("finds a region impaired whose gate is closed, though all of it lives", async () => {
      const fence = { epoch: 2, region: "east", run: "of-a-test", at: new Date().toISOString() };
      await writeFence(storeOf(east, "control"), fence);
      await new RegionAccess(east).gate()?.look();
      const { judgement, look } = await watch(60);
      expect(judgement.verdict).to.equal("impaired");
      expect(look.signals.gate).to.deep.equal({
        state: "bad",
        detail: "closed: fenced for a switchover to epoch 2",
      });
      expect(look.signals.qdrant.state).to.equal("good");
    });
  });
});
