/**
 * Replication that is killed while it makes collections, at instants that a seed chooses among all its calls of stores and of the
 * standby's Qdrant, goes on by itself: what it began is recognised, and what is somebody else's is not taken for it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import { readStandbyKnowledge, StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { clientOf, contentOf } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { Faults, type Method } from "../support/faults/faulty-store.ts";
import { seeded } from "../support/seeded.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const rounds = Number(process.env["QDRANT_DR_ROUNDS"] ?? 8);
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 918_273_645);
const names = ["fresh-1", "fresh-2"] as const;
const settings = {
  vectors: { size: 4, distance: "Dot" },
  shard_number: 2,
  wal_config: { wal_capacity_mb: 1 },
} as const;

type Moment = "before" | "after";

/** The time of the n-th run: nobody waits any more for what the one before was sending. */
const clockOf = (run: number): Clock => clockShowing(() => new Date(Date.now() + run * 30 * 60_000));

/** Counts the calls of one process; from the chosen one on nothing of it reaches anybody. */
class Death extends Faults {
  readonly #at: number;
  readonly #moment: Moment;

  constructor(at: number, moment: Moment) {
    super();
    this.#at = at;
    this.#moment = moment;
  }

  fate(): "lives" | "dies with it" | "is dead" {
    this.calls += 1;
    if (this.calls < this.#at) return "lives";
    return this.calls === this.#at && this.#moment === "after" ? "dies with it" : "is dead";
  }

  override async through<T>(_method: Method, key: string, act: () => Promise<T>): Promise<T> {
    const fate = this.fate();
    const answer = fate === "is dead" ? undefined : { value: await act() };
    if (fate === "lives" && answer !== undefined) return answer.value;
    throw new DrError("UNREACHABLE", `killed at ${key}`);
  }
}

describe("replication that is killed while it makes collections", function () {
  this.timeout(120_000);
  let pair: StandbyPair;
  let proxy: FaultProxy;
  let calls: number;

  before(async () => {
    console.log(`    seed ${seed}: with another QDRANT_DR_SEED, other instants`);
    pair = await StandbyPair.start();
    proxy = await FaultProxy.start(pair.standbyServer.url);
    await begin();
    calls = await runUntil(Number.POSITIVE_INFINITY, { moment: "before", run: 1 });
  });
  after(async () => {
    await proxy?.stop();
    await pair?.stop();
  });

  beforeEach("a standby that follows, and collections that are new", begin);

  async function begin(): Promise<void> {
    proxy.reset();
    await pair.empty();
    await pair.client.createCollection("notes", settings);
    await (await pair.replication()).cycle("exact");
    for (const name of names) await create(name);
  }

  async function create(name: string): Promise<void> {
    await pair.client.createCollection(name, settings);
    await pair.client.createPayloadIndex(name, { field_name: "group", field_schema: "integer", wait: true });
    const points = Array.from({ length: 50 }, (_, n) => ({ id: n + 1, payload: { group: n }, vector: [n, 1, 2, 3] }));
    await pair.client.upsert(name, { wait: true, points });
    await pair.untilQuiet(name);
  }

  /** A cycle of a process that dies with its n-th call; answers how many calls there were. */
  async function runUntil(at: number, { moment, run }: { moment: Moment; run: number }): Promise<number> {
    const death = new Death(at, moment);
    proxy.plan = () => {
      const fate = death.fate();
      if (fate === "is dead") return "cut in the request";
      return fate === "lives" ? undefined : "cut before the answer";
    };
    const stores = { control: death.wrap(pair.west.control), repository: death.wrap(pair.west.repository) };
    const standby = new Qdrant({ peers: [proxy.url], apiKey: pair.standbyServer.apiKey, patienceMs: 10_000 });
    const code = await codeOf((await pair.replication({ standby, stores, clock: clockOf(run) })).cycle("exact"));
    expect(code === undefined, "it was not killed").to.equal(death.calls < at);
    proxy.reset();
    return death.calls;
  }

  const goOn = async (run: number) => (await pair.replication({ clock: clockOf(run) })).cycle("exact");

  for (let round = 0; round < rounds; round += 1) {
    const random = seeded(seed + round * 104_729);
    const moment = random() < 0.5 ? "before" : "after";
    const [first, second] = [random(), random()];
    it(`killed ${moment} some call, and again when it goes on, it makes the standby the source (${round + 1})`, async () => {
      await runUntil(1 + Math.floor(first * calls), { moment, run: 1 });
      await runUntil(1 + Math.floor(second * calls), { moment, run: 2 });
      await goOn(3);
      for (const name of ["notes", ...names]) expect(await pair.differences(name), name).to.deep.equal([]);
    });
  }

  /** Of the requests that make a collection. */
  const killedAtCreation = async (moment: Moment) => {
    const isCreation = (method: string, path: string) => method === "PUT" && /^\/collections\/fresh-1(\?|$)/.test(path);
    const death = new Death(Number.POSITIVE_INFINITY, moment);
    const stores = { control: death.wrap(pair.west.control), repository: death.wrap(pair.west.repository) };
    let isDead = false;
    proxy.plan = ({ method, path }) => {
      if (isDead) return "cut in the request";
      if (!isCreation(method, path)) return undefined;
      isDead = true;
      return moment === "after" ? "cut before the answer" : "cut in the request";
    };
    const standby = new Qdrant({ peers: [proxy.url], apiKey: pair.standbyServer.apiKey, patienceMs: 10_000 });
    expect(await codeOf((await pair.replication({ standby, stores })).cycle("exact"))).to.equal("UNREACHABLE");
    proxy.reset();
  };

  it("takes what it was about to make and somebody else made first for theirs, and leaves it alone", async () => {
    await killedAtCreation("before");
    const client = clientOf(pair.standbyServer);
    await client.createCollection("fresh-1", settings);
    await client.upsert("fresh-1", { wait: true, points: [{ id: 9_000, vector: [1, 2, 3, 4], payload: {} }] });
    const refusal = await errorOf(goOn(1));
    expect(refusal?.code).to.equal("TARGET_NOT_EMPTY");
    expect(refusal?.message).to.contain("fresh-1 is there already");
    expect((await contentOf(pair.standby, "fresh-1")).map(({ id }) => id)).to.deep.equal([9_000]);
  });

  it("does not take what somebody else made for half-made work of its own while Qdrant refuses to describe it", async () => {
    await killedAtCreation("before");
    const client = clientOf(pair.standbyServer);
    await client.createCollection("fresh-1", settings);
    await client.upsert("fresh-1", { wait: true, points: [{ id: 9_000, vector: [1, 2, 3, 4], payload: {} }] });
    const standby = new Qdrant({ peers: [proxy.url], apiKey: pair.standbyServer.apiKey, patienceMs: 10_000 });
    const faults = { "429": "TOO_MANY_REQUESTS", "500": "QDRANT_REFUSED", "503": "UNREACHABLE" } as const;
    for (const [fault, code] of Object.entries(faults) as [keyof typeof faults, string][]) {
      proxy.plan = ({ method, path }) => (method === "GET" && path === "/collections/fresh-1" ? fault : undefined);
      const cycle = (await pair.replication({ standby, clock: clockOf(1) })).cycle("exact");
      expect(await codeOf(cycle), fault).to.equal(code);
    }
    expect((await contentOf(pair.standby, "fresh-1")).map(({ id }) => id)).to.deep.equal([9_000]);
  });

  it("makes again what it began and a kill of the standby's Qdrant left half-made", async () => {
    await killedAtCreation("after");
    await pair.standbyServer.kill();
    writeFileSync(join(pair.standbyServer.folder, "storage", "collections", "fresh-1", "shard_0.initializing"), "");
    await pair.standbyServer.restart();
    expect(await pair.standby.isHalfMade("fresh-1")).to.equal(true);
    await goOn(1);
    expect(await pair.differences("fresh-1")).to.deep.equal([]);
  });

  it("drops what it was cut off in making when the source has dropped it since, and makes it when it is there again", async () => {
    await killedAtCreation("after");
    expect(await pair.standby.collections()).to.include("fresh-1");
    await pair.client.deleteCollection("fresh-1");
    await goOn(1);
    expect(await pair.standby.collections()).not.to.include("fresh-1");
    await create("fresh-1");
    await goOn(2);
    expect(await pair.differences("fresh-1")).to.deep.equal([]);
  });

  it("recognises what it began before the hour changed", async () => {
    const lastSecond = new Date("2026-01-31T10:59:59.000Z");
    const firstSecond = new Date("2026-01-31T11:00:01.000Z");
    const control = pair.west.control;
    const records = new StandbyRecords(control, "run");
    const held = await readStandbyKnowledge(control, new Date());
    if (held.held === undefined) throw new Error("it follows");
    control.objects.clear();
    await records.hold({ ...held.held, at: lastSecond.toISOString() });
    await records.begin(firstSecond, [{ name: "fresh-1", epoch: 1 }]);
    const knowledge = await readStandbyKnowledge(control, firstSecond);
    expect(knowledge.held?.at).to.equal(lastSecond.toISOString());
    expect(knowledge).to.deep.include({ begunAt: firstSecond.toISOString(), making: [{ name: "fresh-1", epoch: 1 }] });
  });
});
