/**
 * Whole failovers while a server is killed, hangs, is cut off, slow or answers errors, at a step that a seed chooses: real
 * Qdrants, a real S3 server, real gates and endpoint; only the stacks are stand-ins. A run completes, or says why and loses
 * nothing; the next one, with all servers well again, completes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EndpointControl } from "../../runtime/adapters/endpoint-control.ts";
import { GateControl } from "../../runtime/adapters/gate-control.ts";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { DrError, toDrError } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { readEpochs } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import type { RoleChangeReport } from "../../runtime/workflows/failover/fail-over.ts";
import { findDivergence } from "../../runtime/workflows/failover/report-divergence.ts";
import type { RoleChangeRequest } from "../../runtime/workflows/failover/request.ts";
import { Replication } from "../../runtime/workflows/replicate/replication.ts";
import { BucketRegion, type BucketState } from "../support/estates/bucket-region.ts";
import { planAndFailOver, planAndSwitchOver } from "../support/estates/change-roles.ts";
import { FakeStacks, regionNamed } from "../support/estates/fake-region.ts";
import { ageKeys, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { type FaultKind, FaultProxy } from "../support/faults/fault-proxy.ts";
import { UncertainWriter } from "../support/faults/uncertain-writer.ts";
import { howMany } from "../support/how-many.ts";
import { seeded } from "../support/seeded.ts";
import { FrontProcess } from "../support/servers/front-process.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const notes = "notes";
const told = { clock: systemClock, progress: silently };
const rounds = howMany("QDRANT_DR_ROUNDS", { suite: 4, proof: 5 });
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 1_274_847_305);
const patienceMs = 1_500;
const briefMs = 1_000;

const switchoverSteps = ["follow", "fence", "drain", "last-writes", "compare", "epoch", "open", "traffic"] as const;
const failoverSteps = ["epoch", "restore", "verify", "open", "traffic"] as const;
const places = ["east-qdrant", "west-qdrant", "east-store", "west-store"] as const;
type Place = (typeof places)[number];
const harms = ["killed", "hangs for a while", "cut off", "cut off for a while", "slow", "answers errors"] as const;
type Harm = (typeof harms)[number];
const faultOf: Readonly<Record<Harm, FaultKind>> = {
  killed: "cut before the answer",
  "hangs for a while": "an answer that never comes",
  "cut off": "cut before the answer",
  "cut off for a while": "cut before the answer",
  slow: "a slow answer",
  "answers errors": "500",
};

interface Round {
  readonly mode: "switchover" | "warm" | "cold";
  readonly step: string;
  readonly place: Place;
  readonly harm: Harm;
}

/** Modes in turn, all else by the seed. */
function roundOf(number: number, random: () => number): Round {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const mode = (["switchover", "warm", "switchover", "cold", "switchover"] as const)[number % 5] ?? "switchover";
  // Of a region that is lost nothing can be lost any more.
  const hit = mode === "switchover" ? places : places.filter((place) => place !== "east-qdrant");
  return {
    mode,
    step: one(mode === "switchover" ? switchoverSteps : failoverSteps),
    place: one(hit),
    harm: one(harms),
  };
}

describe("failover while servers fail", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-failover-faults-"));
  const servers = {} as Record<"east" | "west", QdrantServer>;
  const proxies = {} as Record<Place, FaultProxy>;
  const regions = {} as Record<"east" | "west", BucketRegion>;
  const empty = {} as Record<"east" | "west", BucketState>;
  let store: SeaweedServer;
  let wrap: KeyWrap;

  before(async () => {
    console.log(`    seed ${seed}: with another QDRANT_DR_SEED, other steps, servers and faults`);
    wrap = (await ageKeys()).wrap;
    [store, servers.east, servers.west] = await Promise.all([
      SeaweedServer.start(),
      QdrantServer.start(),
      QdrantServer.start(),
    ]);
    for (const region of ["east", "west"] as const) {
      regions[region] = await BucketRegion.make(store, region);
      empty[region] = await regions[region].state();
    }
    for (const place of places) {
      const [region, kind] = place.split("-") as ["east" | "west", "qdrant" | "store"];
      proxies[place] = await FaultProxy.start(kind === "store" ? store.endpoint : servers[region].url);
    }
  });

  after(async () => {
    for (const one of [...Object.values(proxies), ...Object.values(servers), store]) await one?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function harmed({ harm, place }: Round): Promise<void> {
    const [region, kind] = place.split("-") as ["east" | "west", "qdrant" | "store"];
    const proxy = proxies[place];
    proxy.plan = () => faultOf[harm];
    if (harm === "killed" && kind === "qdrant") await servers[region].kill();
    if (harm.endsWith("for a while")) {
      if (kind === "qdrant" && harm.startsWith("hangs")) servers[region].pause();
      setTimeout(() => {
        proxy.reset();
        servers[region].resume();
      }, briefMs);
    }
  }

  async function healed(lost?: "east"): Promise<void> {
    for (const proxy of Object.values(proxies)) proxy.reset();
    for (const [region, server] of Object.entries(servers)) {
      server.resume();
      const answers = await fetch(`${server.url}/readyz`).catch(() => undefined);
      if (answers === undefined && region !== lost) await server.restart();
    }
  }

  async function contentOf(server: QdrantServer): Promise<Map<number, number>> {
    const { points } = await clientOf(server).scroll(notes, { limit: 1_000, with_payload: true });
    return new Map(points.map(({ id, payload }) => [Number(id), Number(payload?.["value"])]));
  }

  class Estate {
    readonly gates: Record<"east" | "west", FrontProcess>;
    readonly endpoint: FrontProcess;
    readonly stacks = new FakeStacks(regions.west.stores.control);

    private constructor(gates: Estate["gates"], endpoint: FrontProcess) {
      this.gates = gates;
      this.endpoint = endpoint;
    }

    static async make(name: string): Promise<Estate> {
      for (const server of Object.values(servers)) await emptied(databaseOf(server));
      await clientOf(servers.east).createCollection(notes, {
        vectors: { size: 4, distance: "Dot" },
        shard_number: 2,
        wal_config: { wal_capacity_mb: 1 },
      });
      for (const region of ["east", "west"] as const) await regions[region].rewind(empty[region]);
      const { east, west } = regions;
      const gateOf = (region: "east" | "west", own: BucketRegion, peer: BucketRegion) => {
        const at = join(folder, `${name}-${region}`);
        return FrontProcess.gate(at, region, servers[region], own.addresses.control, peer.addresses.control);
      };
      const [eastGate, westGate] = await Promise.all([gateOf("east", east, west), gateOf("west", west, east)]);
      const upstreams = { east: eastGate.asUpstream, west: westGate.asUpstream };
      const endpoint = await FrontProcess.endpoint(join(folder, `${name}-endpoint`), upstreams);
      await new EndpointControl(controlOf(endpoint)).pointTo({ region: "east", epoch: 1 });
      return new Estate({ east: eastGate, west: westGate }, endpoint);
    }

    async stop(): Promise<void> {
      for (const front of [this.endpoint, ...Object.values(this.gates)]) await front.stop();
    }

    /** As a command would compose it: new clients each time. The first run's have little patience for what hangs. */
    async request(run: string, mode: Round["mode"], hooks: RoleChangeRequest["hooks"]): Promise<RoleChangeRequest> {
      const limits = run === "run-1" ? { patienceMs } : {};
      const at = (region: "east" | "west") => ({
        stores: run === "run-1" ? regions[region].through(proxies[`${region}-store`].url) : regions[region].stores,
        database: new Qdrant({
          peers: [proxies[`${region}-qdrant`].url],
          apiKey: servers[region].apiKey,
          ...limits,
        }),
        gate: new GateControl(this.gates[region].asGate),
      });
      const [east, west] = [at("east"), at("west")];
      const repository = (await OpenRepository.openOrCreate(west.stores, wrap)).withStream();
      const common = {
        stack: "west",
        region: regionNamed("west"),
        repository,
        database: west.database,
        gate: west.gate,
        traffic: new EndpointControl(controlOf(this.endpoint)),
        stacks: this.stacks,
        run,
        hooks,
        // Runs of one process follow each other here: the one before is dead.
        runner: { mark: run, isDead: (mark: string) => mark !== run },
        ...told,
      };
      if (mode !== "switchover") {
        return { ...common, kind: "failover", lostControl: east.stores.control, acceptedDataLossSeconds: 600 };
      }
      const active = { region: "east", database: east.database, control: east.stores.control, gate: east.gate };
      return { ...common, kind: "switchover", active, toolVersion: "test" };
    }

    /** Brings the active region's points to the standby; `isKept` leaves them in its Qdrant, too. */
    async follow(isKept: boolean): Promise<void> {
      const replication = new Replication({
        source: { region: "east", database: databaseOf(servers.east), control: regions.east.stores.control },
        standby: {
          region: "west",
          database: databaseOf(servers.west),
          repository: await OpenRepository.openOrCreate(regions.west.stores, wrap),
        },
        existing: "refuse",
        toolVersion: "test",
        ...told,
      });
      await replication.cycle("exact");
      if (!isKept) await emptied(databaseOf(servers.west));
    }
  }

  /** Runs it until it is done; the servers are well again after the first run. */
  async function seenThrough(estate: Estate, round: Round): Promise<{ report: RoleChangeReport; refusal?: string }> {
    let isHarmed = false;
    const request = await estate.request("run-1", round.mode, async ({ step, when }) => {
      if (isHarmed || step !== round.step || when !== "before") return;
      isHarmed = true;
      await harmed(round);
    });
    const outcome = await changeRoles(request).catch((error: unknown) => toDrError(error));
    expect(isHarmed, "the fault came").to.equal(true);
    await healed(round.mode === "switchover" ? undefined : "east");
    if (!(outcome instanceof DrError)) return { report: outcome };
    const { code, message } = outcome;
    expect(code, message).to.not.equal("INTERNAL");
    const report = await changeRoles(await estate.request("run-2", round.mode, undefined));
    return { report, refusal: `${code}: ${message}` };
  }

  for (let number = 0; number < rounds; number += 1) {
    const random = seeded(seed + number * 104_729);
    const round = roundOf(number, random);
    const { harm, mode, place, step } = round;
    it(`${mode}, ${place} ${harm} at ${step}: completes, or says why and then completes; every point is right or told`, async () => {
      const estate = await Estate.make(`round-${number}`);
      const { clientKey: apiKey, url } = estate.endpoint.asEndpoint as { clientKey: string; url: string };
      const writer = new UncertainWriter({ url, apiKey, collection: notes, random });
      try {
        await writer.acknowledges(40);
        if (mode !== "switchover") {
          await estate.follow(mode === "warm");
          await writer.acknowledges(20);
          await servers.east.kill();
          await writer.settles();
        }
        const lostAt = Date.now();
        const { refusal, report } = await seenThrough(estate, round);
        if (refusal !== undefined) console.log(`        ${refusal}`);
        await writer.acknowledges(20);
        await writer.stop();
        const looks = await Promise.all(
          (["east", "west"] as const).map((region) => new GateControl(estate.gates[region].asGate).look()),
        );
        expect(
          looks.map(({ isOpen }) => isOpen),
          "gates",
        ).to.deep.equal([false, true]);
        const newest = (await readEpochs(regions.west.stores.control)).at(-1);
        expect(newest).to.include({ active: "west", epoch: report.epoch });

        const present = await contentOf(servers.west);
        if (mode === "switchover") {
          expect(writer.wrongIn(present)).to.deep.equal([]);
          return;
        }
        const asOf = Date.parse(newest?.asOf ?? "");
        expect(writer.wrongIn(present, asOf, lostAt)).to.deep.equal([]);
        // The region that was lost comes back: what only it holds is told, id by id.
        await servers.east.restart();
        const missing = writer.missingFrom(present, asOf, lostAt);
        const divergence = await findDivergence(databaseOf(servers.east), databaseOf(servers.west));
        const reported = divergence.flatMap(({ different, onlyThere }) => [...onlyThere, ...different]).map(Number);
        const old = await contentOf(servers.east);
        const differing = [...old].filter(([id, value]) => present.get(id) !== value).map(([id]) => id);
        expect([...reported].sort(byNumber)).to.deep.equal(differing.sort(byNumber));
        // A delete that was lost leaves the point in the new region alone.
        expect(reported).to.include.members(missing.filter((id) => old.has(id)));
        const unsettled = writer.unsettledSince(lostAt);
        expect(reported.filter((id) => !missing.includes(id) && !unsettled.has(id))).to.deep.equal([]);
      } finally {
        await writer.stop();
        await healed();
        await estate.stop();
      }
    });
  }
});

function changeRoles(request: RoleChangeRequest): Promise<RoleChangeReport> {
  return request.kind === "switchover" ? planAndSwitchOver(request) : planAndFailOver(request);
}

function byNumber(a: number, b: number): number {
  return a - b;
}

function controlOf(endpoint: FrontProcess): { controlUrl: string; controlToken: string } {
  const { controlToken, controlUrl } = endpoint.asEndpoint as { controlUrl: string; controlToken: string };
  return { controlUrl, controlToken };
}
