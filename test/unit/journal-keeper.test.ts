/** What the journal tells when Qdrant, what stands before it, the other region's store or the own disk does not do as it should. */
import { expect } from "chai";
import type { JournalEntry } from "../../runtime/domain/journal/entry.ts";
import type { JournalSettings } from "../../runtime/domain/roles/gate-journal.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { GatedOutcome, GatedRequest } from "../../runtime/ports/gated-qdrant.ts";
import type { Intent, NumberedIntent } from "../../runtime/ports/spool.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { JournalBuffer } from "../../runtime/workflows/gate/journal/journal-buffer.ts";
import { JournalKeeper } from "../../runtime/workflows/gate/journal/journal-keeper.ts";
import { ReadBack } from "../../runtime/workflows/gate/journal/read-back.ts";
import { eventually } from "../support/time/eventually.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

type Answer = { readonly status: number; readonly body: string };
type Qdrant = (request: GatedRequest) => Answer | Promise<Answer>;

const none = { status: 404, body: '{"status":{"error":"Not found: Collection `items` doesn\'t exist!"},"time":0}' };
const proxys = { status: 404, body: "<html>no such page</html>" };
const ok = (result: unknown) => ({ status: 200, body: JSON.stringify({ result, status: "ok", time: 0 }) });
const items = ok({ config: { params: { vectors: { size: 2, distance: "Dot" } } }, payload_schema: {} });

/** One collection `items` without points. */
const plain: Qdrant = ({ method, url }) => {
  if (url === "/aliases") return ok({ aliases: [] });
  if (method === "GET") return items;
  return ok(url.includes("scroll") ? { points: [], next_page_offset: null } : { status: "completed" });
};

/** Of one process; what it holds can be looked at. */
class MemorySpool {
  readonly left: NumberedIntent[] = [];
  readonly open = new Map<number, Intent>();
  term: number | undefined;
  isFull = false;
  #next = 100;

  begin(intent: Intent): number {
    this.#refuseIfFull();
    this.#next += 1;
    this.open.set(this.#next, intent);
    return this.#next;
  }
  done(numbers: readonly number[]): void {
    this.#refuseIfFull();
    for (const number of numbers) this.open.delete(number);
  }
  remember(term: number): void {
    this.#refuseIfFull();
    this.term = term;
  }
  close(): void {}
  #refuseIfFull(): void {
    if (this.isFull) throw new DrError("DISK_FULL", "the disk is full");
  }
}

interface Kept {
  readonly keeper: JournalKeeper;
  readonly buffer: JournalBuffer;
  readonly spool: MemorySpool;
  readonly objects: JournalEntry[][];
  readonly store: { problem: DrError | undefined };
}

describe("the keeper of a journal", () => {
  const kept: Kept[] = [];
  afterEach(async () => {
    for (const { keeper, spool, store } of kept.splice(0)) {
      store.problem = undefined;
      spool.isFull = false;
      await keeper.end();
    }
  });

  function keep(
    qdrant: Qdrant,
    settings: Partial<JournalSettings> = {},
    takeOver?: () => Promise<void>,
    left: NumberedIntent[] = [],
    clock: Clock = systemClock,
  ): Kept {
    const spool = new MemorySpool();
    spool.left.push(...left);
    const objects: JournalEntry[][] = [];
    const store: Kept["store"] = { problem: undefined };
    const whole: JournalSettings = {
      mode: "async",
      flushMilliseconds: 10,
      bufferBytes: 256 * 1024 * 1024,
      bufferSeconds: 60,
      onStoreDown: "refuse",
      ...settings,
    };
    const buffer = new JournalBuffer({ settings: whole, spool, clock: systemClock, tell: () => undefined });
    const position = { number: 1, digest: "" };
    const writer = {
      position,
      hasSent: false,
      async append(entries: readonly JournalEntry[]) {
        if (store.problem !== undefined) throw store.problem;
        objects.push([...entries]);
        return position;
      },
    };
    const keeper = new JournalKeeper({
      qdrant: {
        async ask(request): Promise<GatedOutcome> {
          const { body, status } = await qdrant(request);
          return { kind: "answered", status, headers: {}, body: Buffer.from(body) };
        },
      },
      spool,
      buffer,
      clock,
      tell: () => undefined,
      onStoreDown: whole.onStoreDown,
      async takeOver() {
        await takeOver?.();
        return { writer, termOfOthers: undefined };
      },
    });
    const made = { keeper, buffer, spool, objects, store };
    kept.push(made);
    return made;
  }

  async function begun(qdrant: Qdrant, settings: Partial<JournalSettings> = {}): Promise<Kept> {
    const made = keep(qdrant, settings);
    await made.keeper.begin();
    return made;
  }

  const write = (
    { keeper }: Kept,
    {
      body = "{}",
      method = "POST",
      path = "points/payload",
    }: { method?: string; path?: string; body?: string | Buffer },
  ) =>
    keeper.write(
      path.startsWith("points")
        ? { changes: "points", collection: "items" }
        : { changes: "collection", collection: "items" },
      { method, url: `/collections/items/${path}?wait=true`, body: Buffer.from(body) },
    );
  const told = async ({ keeper, objects }: Kept): Promise<JournalEntry[]> => {
    await eventually("all is told", () => keeper.pending === 0);
    return objects.flat();
  };
  const kinds = async (made: Kept) => (await told(made)).map(({ kind }) => kind);

  for (const answer of [{ status: 401, body: "" }, { status: 403, body: "{}" }, proxys]) {
    it(`believes no ${answer.status} that is not Qdrant's that a collection is gone`, async () => {
      const made = await begun((request) =>
        request.method === "GET" && request.url !== "/aliases" ? answer : plain(request),
      );
      await write(made, { method: "PUT", path: "index" });
      expect(await kinds(made)).to.deep.equal(["unreconciled"]);
    });
  }

  it("believes Qdrant that a collection is gone", async () => {
    const made = await begun((request) =>
      request.method === "GET" && request.url !== "/aliases" ? none : plain(request),
    );
    await write(made, { method: "PUT", path: "index" });
    expect(await kinds(made)).to.deep.equal(["collection-deleted"]);
  });

  it("lets no write through while aliases are not told", async () => {
    const made = await begun((request) => (request.url === "/aliases" ? proxys : plain(request)));
    expect(await write(made, {})).to.deep.include({ kind: "refused", isDoneMaybe: false });
    expect(made.spool.open.size).to.equal(0);
  });

  it("tells nothing of a write whose key Qdrant does not know", async () => {
    const made = await begun((request) =>
      request.url.includes("payload") ? { status: 401, body: "" } : plain(request),
    );
    expect(await write(made, { body: '{"points":[1],"payload":{}}' })).to.deep.include({ status: 401 });
    expect(await kinds(made)).to.deep.equal([]);
    expect(made.spool.open.size).to.equal(0);
  });

  it("says that it does not know what a delete by a filter left that no read may have", async () => {
    const refusing: Qdrant = (request) =>
      request.url.includes("scroll") ? { status: 400, body: '{"status":{"error":"strict mode"}}' } : plain(request);
    const made = await begun(refusing);
    await write(made, { path: "points/delete", body: '{"filter":{}}' });
    expect(await kinds(made)).to.deep.equal(["collection", "unreconciled"]);
  });

  it("tells nothing of a filter that Qdrant refuses to reads and writes alike", async () => {
    const made = await begun((request) =>
      request.method === "POST" ? { status: 400, body: '{"status":{"error":"bad filter"}}' } : plain(request),
    );
    await write(made, { path: "points/delete", body: '{"filter":{"x":1}}' });
    expect((await told(made)).filter(({ kind }) => kind === "unreconciled")).to.deep.equal([]);
  });

  it("says that it does not know what a delete did that it cannot read", async () => {
    const made = await begun(plain);
    await write(made, { path: "points/delete", body: Buffer.from([0x1f, 0x8b, 8, 0]) });
    expect(await kinds(made)).to.deep.equal(["collection", "unreconciled"]);
  });

  it("asks for aliases again when they were asked for before they changed", async () => {
    const first = Promise.withResolvers<Answer>();
    const resolved: string[] = [];
    let asked = 0;
    const made = await begun((request) => {
      if (request.url !== "/aliases") {
        if (request.method === "GET") resolved.push(request.url);
        return plain(request);
      }
      asked += 1;
      if (asked === 1) return first.promise;
      return ok({ aliases: [{ alias_name: "items", collection_name: "second" }] });
    });
    const writing = write(made, { body: '{"points":[1],"payload":{}}' });
    await made.keeper.write(
      { changes: "aliases" },
      { method: "POST", url: "/collections/aliases", body: Buffer.from("{}") },
    );
    first.resolve(ok({ aliases: [{ alias_name: "items", collection_name: "first" }] }));
    await writing;
    expect(resolved).to.deep.equal(["/collections/second"]);
  });

  it("leaves no write untold when reading back fails", async () => {
    const made = await begun((request) => {
      if (request.url.includes("consistency=all")) throw new Error("odd");
      return plain(request);
    });
    await write(made, { body: '{"points":[1],"payload":{}}' });
    expect(await told(made)).to.have.length(1);
    expect((await told(made))[0]).to.deep.include({ kind: "unreconciled", collection: "items", reason: "odd" });
  });

  it("tells a write that is larger than any object as one that a capture has to bring, and goes on", async () => {
    const { buffer, objects, spool } = await begun(plain);
    const entry = (bytes: number): JournalEntry => ({
      kind: "points",
      at: new Date().toISOString(),
      collection: "items",
      isComplete: true,
      ids: ["1"],
      points: ["x".repeat(bytes)],
    });
    await Promise.all([
      buffer.add(spool.begin({ changes: "everything" }), [entry(41 * 1024 * 1024)]),
      buffer.add(spool.begin({ changes: "everything" }), [entry(10)]),
    ]);
    expect(objects.flat().map(({ kind }) => kind)).to.deep.equal(["unreconciled", "points"]);
  });

  it("does not end on a disk that is full: reads go on, and writes when there is space", async () => {
    const made = await begun(plain, { mode: "sync" });
    made.objects.push = (...objects) => {
      made.spool.isFull = true;
      return Array.prototype.push.apply(made.objects, objects);
    };
    expect(await write(made, { body: '{"points":[1],"payload":{}}' })).to.deep.include({ kind: "answered" });
    expect(await write(made, {})).to.deep.include({ kind: "refused", isDoneMaybe: false, reason: "the disk is full" });
    made.spool.isFull = false;
    expect(await write(made, { body: '{"points":[2],"payload":{}}' })).to.deep.include({ kind: "answered" });
  });

  it("begins again where it failed", async () => {
    const made = keep(plain);
    made.spool.isFull = true;
    expect(await made.keeper.begin().catch((error: DrError) => error.code)).to.equal("DISK_FULL");
    expect(made.keeper.state.refusal).to.include("disk is full");
    made.spool.isFull = false;
    await made.keeper.begin();
    expect(made.keeper.state.refusal).to.equal(undefined);
  });

  it("waits for nothing when another gate has taken over, and its spool keeps what it did not tell", async () => {
    const made = await begun(plain, { mode: "sync" });
    made.store.problem = new DrError("APPLY_CONFLICT", "another gate has taken over");
    const writing = [1, 2].map((id) => write(made, { body: `{"points":[${id}],"payload":{}}` }));
    for (const reply of await Promise.all(writing)) expect(reply).to.deep.include({ kind: "refused" });
    expect(made.keeper.pending).to.equal(0);
    expect(await made.buffer.add(1, [])).to.equal(false);
    expect([...made.spool.open.values()].length).to.be.greaterThan(0);
  });

  it("with `serve` takes writes before it could take over, and names their collections when it has", async () => {
    let isDown = true;
    const left: NumberedIntent = { number: 7, changes: "points", collection: "before", ids: ["1"] };
    const made = keep(
      plain,
      { onStoreDown: "serve" },
      async () => {
        if (isDown) throw new DrError("UNREACHABLE", "the store is gone");
      },
      [left],
    );
    const beginning = made.keeper.begin();
    await eventually("writes are taken", () => made.keeper.state.refusal === undefined);
    expect(made.keeper.state.isUnprotected).to.equal(true);
    expect(await write(made, { body: '{"points":[1],"payload":{}}' })).to.deep.include({ kind: "answered" });
    isDown = false;
    await beginning;
    await eventually("it is protected", () => !made.keeper.state.isUnprotected);
    const entries = await told(made);
    const names = entries.map((entry) => ("collection" in entry ? entry.collection : entry.kind));
    expect(names).to.have.members(["before", "items"]);
    expect(new Set(entries.map(({ kind }) => kind))).to.deep.equal(new Set(["unreconciled"]));
    expect(made.spool.open.size).to.equal(0);
  });

  it("with `refuse` says why it could not take over", async () => {
    let isDown = true;
    const made = keep(plain, {}, async () => {
      if (isDown) throw new DrError("UNREACHABLE", "the store is gone");
    });
    const beginning = made.keeper.begin();
    await eventually("it was tried", () => made.keeper.state.refusal?.includes("the store is gone") === true);
    isDown = false;
    await beginning;
  });

  describe("when Qdrant does late what a gate had sent that was killed", () => {
    const intent: NumberedIntent = { number: 7, changes: "points", collection: "items", ids: ["1"] };

    /** A gate that begins with the spool of the killed one, and what Qdrant holds of the point. */
    async function begunAfterKill(left: NumberedIntent) {
      const clock = new SimulatedClock();
      let text = "before";
      const qdrant: Qdrant = (request) =>
        request.url.includes("consistency=all") ? ok([{ id: 1, payload: { text }, vector: [1, 2] }]) : plain(request);
      const made = keep(qdrant, {}, undefined, [left], clock);
      made.spool.open.set(left.number, left);
      await made.keeper.begin();
      await told(made);
      return { made, clock, doLate: () => (text = "late") };
    }
    const pointsTold = async (made: Kept) =>
      (await told(made)).flatMap((entry) => (entry.kind === "points" ? entry.points : []));

    it("tells at the next look what it left, and until the last one says that there may be more", async () => {
      const { clock, doLate, made } = await begunAfterKill(intent);
      expect(made.keeper.state).to.deep.include({ lateWrites: 1, refusal: undefined });
      doLate();
      for (const [looks, ms] of [1_000, 10_000, 60_000, 300_000].entries()) {
        expect(made.spool.open.has(7), "the spool knows of it").to.equal(true);
        await clock.advance(ms - clock.monotonic());
        await eventually("it is told", async () => (await pointsTold(made)).length === looks + 2);
        expect((await pointsTold(made)).at(-1)).to.include("late");
      }
      await eventually("the spool forgets it", () => !made.spool.open.has(7));
      await eventually("nothing is awaited", () => made.keeper.state.lateWrites === 0);
    });

    it("asks for a capture again of what it cannot tell point by point", async () => {
      const { clock, made } = await begunAfterKill({ number: 7, changes: "everything", collection: "items" });
      const asked = async () => (await kinds(made)).filter((kind) => kind === "unreconciled").length;
      expect(await asked()).to.equal(1);
      for (const [looks, ms] of [10_000, 300_000].entries()) {
        await clock.advance(ms - clock.monotonic());
        await eventually("a capture is asked for", async () => (await asked()) === looks + 2);
      }
      await eventually("the spool forgets it", () => made.spool.open.size === 0);
    });

    it("does not when Qdrant has answered", async () => {
      const made = await begun(plain);
      await write(made, { body: '{"points":[1],"payload":{}}' });
      await told(made);
      expect(made.keeper.state.lateWrites).to.equal(0);
    });

    it("does for a write that something before Qdrant answered, also of a collection", async () => {
      const made = await begun((request) =>
        request.method === "PUT" ? { status: 504, body: "gateway time-out" } : plain(request),
      );
      await write(made, { method: "PUT", path: "points", body: '{"points":[{"id":1,"vector":[1,2],"payload":{}}]}' });
      await write(made, { method: "PUT", path: "index" });
      await told(made);
      expect(made.keeper.state.lateWrites).to.equal(2);
      expect(made.spool.open.size, "in the spool").to.equal(2);
    });
  });

  it("splits what it reads back, so that a standby's Qdrant takes each entry", async () => {
    const point = (id: number) => ({ id, payload: { text: "é".repeat(1024 * 1024) }, vector: [1, 2] });
    const qdrant = {
      ask: async (): Promise<GatedOutcome> => {
        const { body, status } = ok([point(1), point(2), point(4)]);
        return { kind: "answered", status, headers: {}, body: Buffer.from(body) };
      },
    };
    const entries = await new ReadBack(qdrant, () => false).points("items", ["1", "2", "3", "4"], undefined, "now");
    expect(Array.isArray(entries) && entries.map((entry) => entry.kind === "points" && entry.ids)).to.deep.equal([
      ["3", "1"],
      ["2"],
      ["4"],
    ]);
  });
});
