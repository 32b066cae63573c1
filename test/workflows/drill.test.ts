/**
 * A drill on real Qdrants: a standby that follows a source under a writer and a reader, and a throwaway Qdrant. Nobody notices it, nothing
 * of it stays, and killed anywhere it is cleaned up by the next one.
 */
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { parseControlKey } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { DrError } from "../../runtime/errors.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { type DrillRequest, drill } from "../../runtime/workflows/drill/drill.ts";
import { ThrowawayGate } from "../../runtime/workflows/drill/throwaway-gate.ts";
import type { FailoverRequest } from "../../runtime/workflows/failover/request.ts";
import { planKeyRotation, rotateKeys } from "../../runtime/workflows/trust/rotate-keys.ts";
import { planAndFailOver } from "../support/estates/change-roles.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { ageKeys, type MemoryStores, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf } from "../support/expect-code.ts";
import { isProof } from "../support/how-many.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const names = ["notes", "pictures"];
const told = { clock: systemClock, progress: silently };
const points = 400;
const gate = { url: "http://gate.west:6333", controlUrls: ["http://gate.west:6350"], controlToken: "token" };
const gated: Region = { ...regionNamed("west"), gate: { ...gate, mode: "availability" } };
const methods = ["restoreShard", "nearest", "deleteCollection", "createCollection", "count"] as const;

describe("a drill in a throwaway Qdrant", function () {
  this.timeout(180_000);
  let pair: StandbyPair;
  let server: QdrantServer;
  let throwaway: Qdrant;

  before(async () => {
    [pair, server] = await Promise.all([StandbyPair.start(), QdrantServer.start()]);
    throwaway = databaseOf(server);
    for (const name of names) {
      await pair.client.createCollection(name, { vectors: { size: 4, distance: "Dot" }, shard_number: 2 });
      const vectors = Array.from({ length: points }, (_, n) => ({
        id: n + 1,
        vector: [n, 1, 2, n % 7],
        payload: { n },
      }));
      await pair.client.upsert(name, { wait: true, points: vectors });
      await pair.untilQuiet(name);
    }
    await (await pair.replication()).cycle("exact");
  });

  after(async () => {
    await Promise.all([pair?.stop(), server?.stop()]);
  });

  async function sessionOf(): Promise<DrillRequest["session"]> {
    const repository = (await pair.repository()).history;
    return { region: gated, stores: pair.west, wrap: pair.wrap, repository: async () => repository };
  }

  async function rehearse(options: Partial<DrillRequest> = {}) {
    const session = await sessionOf();
    const runner = { mark: "this run", isDead: () => true };
    return drill({ session, target: throwaway, targetName: server.url, runner, ...told, ...options });
  }

  const keysOf = ({ control, repository }: MemoryStores) => [...control.objects.keys(), ...repository.objects.keys()];

  /** All that its stores and Qdrants hold, told shortly. */
  async function everything(): Promise<unknown> {
    const segments = [];
    for (const database of [pair.source, pair.standby]) {
      for (const name of names) {
        for (const shard of await database.shards(name)) segments.push(await database.segments(name, shard));
      }
    }
    return { segments, east: keysOf(pair.east), west: keysOf(pair.west).filter((key) => !key.startsWith("restores/")) };
  }

  it("promotes what the standby holds, asks it, and leaves a record of what it put into the throwaway Qdrant", async () => {
    const before = await everything();
    const found = await rehearse();
    expect(found).to.include({ region: "west", from: "east", isWarm: true, isExact: true, points: 2 * points });
    expect(found.searches).to.be.at.least(10);
    expect(found.steps.map(({ name }) => name)).to.deep.equal([
      ...["assess", "epoch", "restore", "verify", "open", "traffic", "promote"],
    ]);
    const detailOf = (step: string) => found.steps.find(({ name }) => name === step)?.detail;
    expect(detailOf("epoch")).to.equal("epoch 2; east cannot be reached and has no copy");
    expect(detailOf("restore")).to.contain("4 shards held it");
    expect(detailOf("open")).to.equal("open in epoch 2");
    expect(found.rtoSeconds).to.be.greaterThan(0);
    expect(found.rpoSeconds).to.be.greaterThan(0);
    expect(await everything()).to.deep.equal(before);
    expect(await throwaway.collections()).to.deep.equal([]);
    const kinds = [...pair.west.control.objects.keys()].flatMap((key) => parseControlKey(key)?.kind ?? []);
    expect(kinds.filter((kind) => kind.startsWith("restore-")).sort()).to.deep.equal([
      "restore-done",
      "restore-started",
    ]);
  });

  it("fails no request of a writer and a reader, and replication goes on meanwhile", async () => {
    const stopping = new AbortController();
    const failures: unknown[] = [];
    let requests = 0;
    let cycles = 0;
    const untilStopped = async (act: () => Promise<unknown>) => {
      while (!stopping.signal.aborted) await act().catch((error: unknown) => failures.push(error));
    };
    const replication = await pair.replication();
    const working = Promise.all([
      untilStopped(async () => {
        requests += 1;
        const id = 10_000 + requests;
        await pair.client.upsert("notes", { wait: true, points: [{ id, vector: [id, 1, 2, 3], payload: {} }] });
      }),
      untilStopped(() => pair.client.query("notes", { query: [1, 2, 3, 4], limit: 5 })),
      untilStopped(async () => {
        await replication.cycle("provisional");
        cycles += 1;
      }),
    ]);
    const cyclesBefore = cycles;
    const found = await rehearse();
    const during = cycles - cyclesBefore;
    stopping.abort();
    await working;
    expect(failures).to.deep.equal([]);
    expect(during).to.be.greaterThan(0);
    expect(found.isWarm).to.equal(true);
    expect(await throwaway.collections()).to.deep.equal([]);
    await replication.cycle("exact");
    expect(await pair.differences("notes")).to.deep.equal([]);
  });

  it("opens data keys that were wrapped again for other identities", async () => {
    const { wrap } = await ageKeys();
    const rotating = await OpenRepository.open(pair.west, {
      holders: wrap.holders,
      wrap: (secret) => wrap.wrap(secret),
      unwrap: (wrapped) => wrap.unwrap(wrapped).catch(() => pair.wrap.unwrap(wrapped)),
    });
    await rotateKeys(rotating, await planKeyRotation(rotating, { newDataKeys: false }), systemClock);
    const repository = await OpenRepository.open(pair.west, wrap);
    const session = { ...(await sessionOf()), wrap, repository: async () => repository };
    expect(await rehearse({ session })).to.include({ region: "west", isExact: true });
    expect(await throwaway.collections()).to.deep.equal([]);
  });

  for (const method of isProof ? methods : methods.slice(0, 3)) {
    it(`killed at ${method}: the next drill removes what it left, and ends`, async () => {
      const dying = diesAt(throwaway, method);
      expect(await codeOf(rehearse({ target: dying, runner: { mark: "killed", isDead: () => false } }))).to.equal(
        "INTERRUPTED",
      );
      if (method !== "createCollection") expect(await throwaway.collections()).to.have.members(names);
      const beside = rehearse({ runner: { mark: "another", isDead: () => false } });
      expect(await codeOf(beside)).to.equal(method === "createCollection" ? undefined : "TARGET_NOT_EMPTY");
      expect(await rehearse()).to.include({ isWarm: true });
      expect(await throwaway.collections()).to.deep.equal([]);
    });
  }

  it("leaves alone what is not its own: a Qdrant that holds anything is refused, also beside what a killed drill left", async () => {
    await rehearse({ target: diesAt(throwaway, "nearest") }).catch(() => undefined);
    await clientOf(server).createCollection("foreign", { vectors: { size: 2, distance: "Dot" } });
    expect(await codeOf(rehearse())).to.equal("TARGET_NOT_EMPTY");
    expect(await throwaway.collections()).to.deep.equal(["foreign"]);
    await throwaway.deleteCollection("foreign");
  });

  it("is refused in the active region", async () => {
    const session = { ...(await sessionOf()), region: regionNamed("east") };
    expect(await codeOf(rehearse({ session }))).to.equal("ROLE_REFUSES");
  });

  it("restores from the bucket where nothing follows, as a failover would", async () => {
    const { objects } = pair.west.control;
    const states = [...objects].filter(([key]) => key.startsWith("standby/"));
    for (const [key] of states) objects.delete(key);
    const found = await rehearse();
    for (const [key, bytes] of states) objects.set(key, bytes);
    expect(found).to.include({ isWarm: false });
    expect(found.steps.find(({ name }) => name === "restore")?.detail).to.contain("4 restored whole");
  });

  it("counts the wait for the lease of the region that is lost", async () => {
    const witness = { kind: "file", folder: "/nowhere" } as const;
    const region: Region = { ...gated, gate: { ...gate, mode: "consistency", lease: { witness, seconds: 60 } } };
    expect((await rehearse({ session: { ...(await sessionOf()), region } })).rtoSeconds).to.be.greaterThan(60);
  });

  it("says how long a failover takes that then comes", async () => {
    const tells: number[] = [];
    for (let round = 0; round < (isProof ? 5 : 1); round += 1) {
      await (await pair.replication()).cycle("exact");
      tells.push((await rehearse()).rtoSeconds);
    }
    const request: FailoverRequest = {
      kind: "failover",
      stack: "west",
      region: gated,
      gate: new ThrowawayGate("west", pair.west.control),
      repository: await pair.repository(),
      database: pair.standby,
      traffic: undefined,
      stacks: undefined,
      lostControl: undefined,
      acceptedDataLossSeconds: 600,
      run: "real",
      ...told,
    };
    const report = await planAndFailOver(request);
    const opened = report.steps.findIndex(({ name }) => name === "open");
    const real = report.steps.slice(0, opened + 1).reduce((sum, { seconds }) => sum + seconds, 0);
    const [told5] = tells.sort((a, b) => a - b).slice(Math.floor(tells.length / 2));
    console.log(`    the drill told ${told5?.toFixed(3)} s, the failover took ${real.toFixed(3)} s`);
    expect(report.isWarm).to.equal(true);
    if (isProof) expect((told5 ?? 0) / real).to.be.within(0.7, 1.3);
  });
});

/** The same database for a process that dies: from this call on, nothing is asked any more. */
function diesAt(database: VectorDatabase, wanted: keyof VectorDatabase): VectorDatabase {
  let isDead = false;
  return new Proxy(database, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        isDead ||= method === wanted;
        if (isDead) throw new DrError("INTERRUPTED", "killed");
        return value.apply(target, given);
      };
    },
  });
}
