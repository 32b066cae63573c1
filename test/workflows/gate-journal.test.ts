/**
 * The journal of a gate says what its Qdrant holds, whatever clients write and whoever is killed. Real Qdrants, and the gate as a process.
 * QDRANT_DR_SEEDS says how many rounds (100 is the bar), QDRANT_DR_SEED where they begin.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import { samplesOf } from "../../runtime/domain/monitoring/metrics.ts";
import type { GateJournal } from "../../runtime/domain/roles/gate-journal.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { JournalledGate, replay } from "../support/journal/journalled-gate.ts";
import { SeededWrites, writtenCollections } from "../support/journal/seeded-writes.ts";
import { ask, collectionsOf, differencesBetween, told } from "../support/journal/told-points.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { eventually } from "../support/time/eventually.ts";

const seeds = Number(process.env["QDRANT_DR_SEEDS"] ?? 1);
const firstSeed = Number(process.env["QDRANT_DR_SEED"] ?? 1);
const clients = 4;
const writesOfEach = 20;

const point = (id: number, more = "") => `{"points":[{"id":${id},"vector":[1,2],"payload":{"n":${id}}${more}}]}`;

/** Of the points that are told to be there. */
const idsOf = (entries: readonly JournalEntry[]) =>
  entries.flatMap((entry) => (entry.kind === "points" && entry.points.length > 0 ? entry.ids : []));

/** As they are scraped, by the way that the exporter asks. */
async function journalMetrics(gate: JournalledGate): Promise<Record<string, number>> {
  const { journal } = await gate.control.state();
  const samples = samplesOf({ region: "east", toolVersion: "test", sources: {}, runs: {}, journal });
  return Object.fromEntries(samples.map(({ metric, value }) => [metric, value]));
}

describe("the journal of a gate", function () {
  this.timeout(Math.max(180_000, seeds * 60_000));
  const gates: JournalledGate[] = [];
  let qdrant: QdrantServer;
  let other: QdrantServer;

  before(async () => {
    [qdrant, other] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
  });
  afterEach(async () => {
    for (const gate of gates.splice(0)) await gate.stop();
    await empty();
  });
  after(() => Promise.all([qdrant.stop(), other.stop()]));

  async function empty(): Promise<void> {
    for (const server of [qdrant, other]) {
      for (const name of await collectionsOf(server)) await told(server, "DELETE", `/collections/${name}`);
    }
  }

  async function start(settings: Partial<GateJournal> = {}): Promise<JournalledGate> {
    const gate = await JournalledGate.start(qdrant, settings);
    gates.push(gate);
    return gate;
  }

  async function startWithItems(settings: Partial<GateJournal> = {}): Promise<JournalledGate> {
    const gate = await start(settings);
    await told(gate.asServer, "PUT", "/collections/items", '{"vectors":{"size":2,"distance":"Dot"}}');
    return gate;
  }

  it(`says what Qdrant holds after ${seeds} rounds of writes of several clients, with kills of the gate and of Qdrant`, async () => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      const gate = await start();
      for (const { indexes, name, settings } of writtenCollections) {
        await told(gate.asServer, "PUT", `/collections/${name}`, JSON.stringify(settings));
        for (const index of indexes) {
          await told(gate.asServer, "PUT", `/collections/${name}/index?wait=true`, JSON.stringify(index));
        }
      }
      let [done, refused, unanswered] = [0, 0, 0];
      const kills = new Map([
        [25, () => gate.restart()],
        [50, () => gate.qdrant.kill().then(() => gate.qdrant.restart())],
      ]);
      let disturbing: Promise<unknown> = Promise.resolve();
      await Promise.all(
        Array.from({ length: clients }, async (_, client) => {
          // Few ids, so that clients meet at the same points.
          const writes = new SeededWrites(100 * seed + client, 60);
          for (let n = 0; n < writesOfEach; n += 1) {
            const { body, method, path } = writes.next();
            done += 1;
            const kill = kills.get(done);
            if (kill !== undefined) disturbing = kill();
            const answer = await ask(gate.asServer, method, path, body).catch(() => undefined);
            if (answer === undefined || answer.status >= 500) {
              unanswered += 1;
              await disturbing;
            } else if (!answer.ok) refused += 1;
          }
        }),
      );
      await disturbing;
      await gate.untilTold();
      const entries = await gate.entries();
      expect(entries.filter(({ kind }) => kind === "unreconciled")).to.deep.equal([]);
      await replay(entries, other);
      expect(await differencesBetween(gate.qdrant, other), `seed ${seed}`).to.deep.equal([]);
      expect(
        [refused, unanswered].every((count) => count > 0),
        "writes that were refused, and unanswered",
      ).to.equal(true);
      await gate.stop();
      await empty();
    }
  });

  it("tells collections, indexes, aliases and what is written through these, and answers as Qdrant does", async () => {
    const gate = await startWithItems();
    const { asServer } = gate;
    const alias = { create_alias: { alias_name: "current", collection_name: "items" } };
    await told(asServer, "POST", "/collections/aliases", JSON.stringify({ actions: [alias] }));
    await told(asServer, "PUT", "/collections/current/index?wait=true", '{"field_name":"n","field_schema":"integer"}');
    const waited = await told(asServer, "PUT", "/collections/current/points?wait=true", point(1));
    expect(JSON.parse(waited).result.status).to.equal("completed");
    const notWaited = await told(asServer, "PUT", "/collections/items/points", point(2));
    expect(JSON.parse(notWaited).result.status).to.equal("acknowledged");
    await told(
      asServer,
      "POST",
      "/collections/current/points/delete?wait=true",
      '{"filter":{"must":[{"key":"n","match":{"value":1}}]}}',
    );
    expect((await ask(asServer, "PUT", "/collections/nowhere/points?wait=true", point(1))).status).to.equal(404);
    expect((await ask(asServer, "PUT", "/collections/items/points?wait=true", "{")).status).to.equal(400);
    // Qdrant takes the last of two members of one name.
    await told(asServer, "PUT", "/collections/items/points?wait=true", point(3, ',"id":4'));
    await told(asServer, "PUT", "/collections/gone", '{"vectors":{"size":2,"distance":"Dot"}}');
    await told(asServer, "DELETE", "/collections/gone");
    await gate.untilTold();
    const entries = await gate.entries();
    const collections = entries.map((entry) => ("collection" in entry ? entry.collection : entry.kind));
    expect(collections).to.not.include("current");
    expect(entries.map(({ kind }) => kind)).to.include.members(["aliases", "collection", "collection-deleted"]);
    await replay(
      entries.filter(({ kind }) => kind !== "unreconciled"),
      other,
    );
    expect(await differencesBetween(gate.qdrant, other)).to.deep.equal([]);
  });

  it("tells no points of what it cannot follow, and says that a capture has to bring it", async () => {
    const gate = await startWithItems();
    const { asServer } = gate;
    const points = Array.from({ length: 10_001 }, (_, id) => `{"id":${id},"vector":[1,2],"payload":{"n":${id}}}`);
    await told(asServer, "PUT", "/collections/items/points?wait=true", `{"points":[${points.join(",")}]}`);
    await told(asServer, "POST", "/collections/items/points/payload?wait=true", '{"payload":{"a":1},"filter":{}}');
    await gate.untilTold();
    const last = (await gate.entries()).at(-1);
    expect(last).to.deep.include({ kind: "unreconciled", collection: "items" });
  });

  it("tells of refused writes what stays when Qdrant is started again, which does them once more", async () => {
    const gate = await startWithItems();
    const { asServer } = gate;
    const ids = Array.from({ length: 30 }, (_, n) => n + 1);
    const upsert = (n: number, vector: (id: number) => string) =>
      ask(
        asServer,
        "PUT",
        "/collections/items/points?wait=true",
        `{"points":[${ids.map((id) => `{"id":${id},"vector":${vector(id)},"payload":{"n":${n}}}`).join(",")}]}`,
      );
    await told(asServer, "PUT", "/collections/items/points?wait=true", point(1));
    for (let n = 0; n < 4; n += 1) {
      expect((await upsert(n, (id) => (id % 7 === 3 ? "[1,2,3]" : `[${n},${id}]`))).status).to.equal(400);
    }
    const missing = ids.map((id) => id + 20);
    const payload = `{"payload":{"m":1},"points":[${missing.join(",")}]}`;
    expect((await ask(asServer, "POST", "/collections/items/points/payload?wait=true", payload)).status).to.equal(404);
    await gate.untilTold();
    await replay(await gate.entries(), other);
    for (const when of ["before", "after one restart", "after two"]) {
      expect(await differencesBetween(qdrant, other), when).to.deep.equal([]);
      await qdrant.kill();
      await qdrant.restart();
    }
  });

  it("tells what Qdrant reads late of a gate that was killed", async () => {
    const proxy = await FaultProxy.start(qdrant.url);
    const readLate = Promise.withResolvers<undefined>();
    let isHeld = false;
    try {
      const gate = await JournalledGate.start(qdrant, {}, proxy.url);
      gates.push(gate);
      await told(gate.asServer, "PUT", "/collections/items", '{"vectors":{"size":2,"distance":"Dot"}}');
      proxy.plan = ({ method, path }) => {
        if (isHeld || method !== "PUT" || !path.includes("/points")) return undefined;
        isHeld = true;
        return readLate.promise;
      };
      await gate.untilTold();
      const writing = ask(gate.asServer, "PUT", "/collections/items/points?wait=true", point(1)).catch(() => undefined);
      await eventually("the request is sent", () => isHeld);
      await gate.restart();
      await writing;
      await told(gate.asServer, "PUT", "/collections/items/points?wait=true", point(2));
      await gate.untilTold();
      expect(idsOf(await gate.entries())).to.deep.equal(["2"]);
      expect(await journalMetrics(gate)).to.include({ qdrant_dr_journal_late_writes: 1 });
      readLate.resolve(undefined);
      await eventually("it is told", async () => idsOf(await gate.entries()).includes("1"), { withinMs: 30_000 });
      await replay(await gate.entries(), other);
      expect(await differencesBetween(qdrant, other)).to.deep.equal([]);
    } finally {
      readLate.resolve(undefined);
      await proxy.stop();
    }
  });

  it("refuses writes while its store does not answer for too long, and stores everything when it answers again", async () => {
    const gate = await startWithItems({ bufferSeconds: 1 });
    renameSync(gate.store, `${gate.store}.away`);
    const write = (id: number) => ask(gate.asServer, "PUT", "/collections/items/points?wait=true", point(id));
    expect((await write(1)).status).to.equal(200);
    await eventually("writes are refused", async () => (await gate.state()).refusal !== undefined);
    const metrics = await journalMetrics(gate);
    expect(metrics).to.include({ qdrant_dr_journal_unprotected: 0, qdrant_dr_journal_refuses_writes: 1 });
    expect(metrics["qdrant_dr_journal_lag_seconds"]).to.be.greaterThan(1);
    expect(metrics["qdrant_dr_journal_buffered_bytes"]).to.be.greaterThan(0);
    const refused = await write(2);
    expect([refused.status, refused.text]).to.satisfy(
      ([status, text]: [number, string]) => status === 503 && text.includes("does not answer"),
    );
    expect((await ask(gate.asServer, "GET", "/collections/items/points/1")).status, "reads go on").to.equal(200);
    renameSync(`${gate.store}.away`, gate.store);
    await eventually("writes are taken", async () => (await gate.state()).refusal === undefined);
    expect((await write(3)).status).to.equal(200);
    await gate.untilTold();
    await replay(await gate.entries(), other);
    expect(await differencesBetween(gate.qdrant, other)).to.deep.equal([]);
  });

  it("with `serve` goes on unprotected, and names the collections that were written to", async () => {
    const gate = await startWithItems({ bufferSeconds: 1, onStoreDown: "serve" });
    await gate.untilTold();
    renameSync(gate.store, `${gate.store}.away`);
    const write = (id: number) => told(gate.asServer, "PUT", "/collections/items/points?wait=true", point(id));
    await write(1);
    await eventually("it is unprotected", async () => (await gate.state()).isUnprotected);
    expect(await journalMetrics(gate)).to.include({ qdrant_dr_journal_unprotected: 1 });
    await write(2);
    renameSync(`${gate.store}.away`, gate.store);
    await eventually("it is protected", async () => !(await gate.state()).isUnprotected);
    await write(3);
    await gate.untilTold();
    const [unreconciled, ...after] = (await gate.entries()).slice(-2);
    expect(unreconciled).to.deep.include({ kind: "unreconciled", collection: "items" });
    expect(after[0]).to.deep.include({ kind: "points", ids: ["3"] });
  });

  it("in the mode `sync` holds every write that was acknowledged, when gate and spool are lost at once", async () => {
    const gate = await startWithItems({ mode: "sync" });
    const acknowledged: string[] = [];
    const writing = Promise.all(
      [0, 1, 2, 3].map(async (client) => {
        for (let n = 0; ; n += 1) {
          const id = 1000 * client + n;
          const answer = await ask(gate.asServer, "PUT", "/collections/items/points?wait=true", point(id)).catch(
            () => undefined,
          );
          if (answer?.ok !== true) return;
          acknowledged.push(`${id}`);
        }
      }),
    );
    await eventually("writes are acknowledged", () => acknowledged.length > 20);
    await gate.kill();
    await writing;
    const stored = new Set((await gate.entries()).flatMap((entry) => (entry.kind === "points" ? entry.ids : [])));
    expect(acknowledged.filter((id) => !stored.has(id))).to.deep.equal([]);
  });

  it("has one writer: who comes takes over, says what it cannot know, and the one before takes no more writes", async () => {
    const gate = await startWithItems();
    await gate.untilTold();
    const second = await gate.another("second", join(gate.store, "..", "spool-of-another-machine"));
    try {
      await eventually(
        "the second takes writes",
        async () => (await ask(second.asUpstream, "PUT", "/collections/items/points?wait=true", point(1))).ok,
      );
      await eventually(
        "the first takes none",
        async () => (await ask(gate.asServer, "PUT", "/collections/items/points?wait=true", point(2))).status === 503,
      );
      expect((await gate.state()).refusal).to.include("another gate has taken over");
      const kinds = (await gate.entries()).map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === "unreconciled")).to.have.length(1);
    } finally {
      await second.stop();
    }
  });
});
