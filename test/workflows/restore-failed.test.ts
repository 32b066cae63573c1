/** A restore that fails or is interrupted leaves nothing: what it made is removed, and its end is recorded. Real Qdrants. */
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { DrError } from "../../runtime/errors.ts";
import { readRestores, restoresUnderWay } from "../../runtime/repository/control/restore-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { planRestore } from "../../runtime/workflows/apply/plan-restore.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { type PlannedRestoreRequest, restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const told = { clock: systemClock, progress: silently };
const [notes, bystander] = ["notes", "bystander"];
const settings = { vectors: { size: 2, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } } as const;
const points = Array.from({ length: 30 }, (_, id) => ({ id, payload: { tag: `tag ${id % 3}` }, vector: [id, 1] }));
const broken = () => new DrError("UNREACHABLE", "the target does not answer");

type Method = keyof Qdrant;
/** Stands in for a call to the target. */
type Around = (method: Method, act: () => Promise<unknown>) => unknown;

function surrounded(database: Qdrant, around: Around): Qdrant {
  return new Proxy(database, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...parameters: unknown[]) => around(name as Method, async () => member.apply(target, parameters));
    },
  });
}

describe("a restore that does not succeed", function () {
  this.timeout(120_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let practice: RecoveryPractice;
  let repository: OpenRepository;
  let recoveryPoint: RecoveryPoint;
  let untouched: ReadonlyMap<string, Buffer>;

  before(async () => {
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    [source, target] = [databaseOf(sourceServer), databaseOf(targetServer)];
    const client = clientOf(sourceServer);
    await client.createCollection(notes, settings);
    await client.createPayloadIndex(notes, { field_name: "tag", field_schema: "keyword", wait: true });
    await client.upsert(notes, { wait: true, points });
    await source.createAlias({ alias: "current", collection: notes });
    practice = await RecoveryPractice.start();
    recoveryPoint = await practice.capture(source);
    repository = await OpenRepository.open(practice.stores, practice.wrap);
    untouched = new Map(practice.stores.control.objects);
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  beforeEach("a target with somebody else's collection, and no records of restores", async () => {
    await emptied(target);
    await clientOf(targetServer).createCollection(bystander, settings);
    const { objects } = practice.stores.control;
    objects.clear();
    for (const [key, bytes] of untouched) objects.set(key, bytes);
  });

  const requestOf = (more: Partial<PlannedRestoreRequest> = {}): PlannedRestoreRequest => ({
    repository,
    recoveryPoint,
    target,
    ...told,
    ...more,
  });
  const restoreThrough = (around: Around, more: Partial<PlannedRestoreRequest> = {}) =>
    restoreRecoveryPoint(requestOf({ target: surrounded(target, around), ...more }));

  /** Everything that the next capture and the next restore look at. */
  async function leftBehind(targetName?: string) {
    const unended = restoresUnderWay(await readRestores(practice.stores.control, targetName), new Date(0)).length;
    return { collections: (await target.collections()).sort(), unended };
  }
  const nothing = { collections: [bystander], unended: 0 };
  const halfMade = { collections: [bystander, notes], unended: 1 };

  it("leaves nothing whatever call to the target fails until all is compared; what may be in use or somebody else's stays", async () => {
    const calls: Method[] = [];
    let isPlanned = false;
    const counting: Around = async (method, act) => {
      // The plan ends with it.
      if (isPlanned) calls.push(method);
      if (method === "aliases") isPlanned = true;
      return act();
    };
    await restoreThrough(counting);
    expect(calls).to.include.members(["createCollection", "createPayloadIndex", "restoreShard", "health", "points"]);
    const made = calls.lastIndexOf("nearest");

    const outcomes = { nothing: 0, left: 0 };
    for (const acts of [false, true]) {
      for (let failing = calls.indexOf("createCollection"); failing < calls.length; failing += 1) {
        const what = `${calls[failing]}, call ${failing}, ${acts ? "after" : "before"} it acted`;
        await emptied(target);
        await clientOf(targetServer).createCollection(bystander, settings);
        let call = -1;
        let isActing = false;
        const code = await codeOf(
          restoreThrough(async (method, act) => {
            if (isActing) call += 1;
            if (method === "aliases") isActing = true;
            if (!isActing || call !== failing) return act();
            if (acts) await act();
            throw broken();
          }),
        );
        // Points are counted for the answer only.
        if (calls[failing] === "count" && failing > made) continue;
        expect(code, what).to.equal("UNREACHABLE");
        const mayBeForeign = calls[failing] === "createCollection" && acts;
        const left = await leftBehind();
        if (failing > made || mayBeForeign) {
          expect(left.collections, what).to.deep.equal(halfMade.collections);
          expect(await codeOf(planRestore(requestOf())), what).to.equal("TARGET_NOT_EMPTY");
          await planRestore(requestOf({ discardUnfinished: true }));
          outcomes.left += 1;
        } else {
          expect(left.collections, what).to.deep.equal(nothing.collections);
          await planRestore(requestOf());
          outcomes.nothing += 1;
        }
        const ended = (await leftBehind()).unended === 0;
        expect(ended, `${what}: the end is recorded`).to.equal(!(failing > made || mayBeForeign));
        for (const key of practice.stores.control.objects.keys()) {
          if (!untouched.has(key)) practice.stores.control.objects.delete(key);
        }
      }
    }
    expect(outcomes.nothing).to.be.greaterThan(10);
    expect(outcomes.left).to.be.greaterThan(1);
  });

  it("lets the next capture and the next restore go on as if it had never been", async () => {
    const failing: Around = (method, act) => (method === "restoreShard" ? Promise.reject(broken()) : act());
    expect(await codeOf(restoreThrough(failing))).to.equal("UNREACHABLE");

    expect(await leftBehind()).to.deep.equal(nothing);
    expect((await practice.capture(source)).collections).to.have.lengthOf(1);
    expect((await restoreRecoveryPoint(requestOf())).points).to.equal(30);
    expect(await contentOf(target, notes)).to.deep.equal(await contentOf(source, notes));
  });

  it("removes what differs from what was captured, too", async () => {
    const late: Around = async (method, act) => {
      const answer = await act();
      if (method === "restoreShard") await clientOf(targetServer).delete(notes, { wait: true, points: [1, 2, 3] });
      return answer;
    };
    expect((await errorOf(restoreThrough(late)))?.message).to.match(/differ from .*point 1 is missing/);
    expect(await leftBehind()).to.deep.equal(nothing);
  });

  it("stays half-made when it cannot be removed: captures are refused, and the next restore discards it when told to", async () => {
    const said: string[] = [];
    const stuck: Around = (method, act) =>
      method === "restoreShard" || method === "deleteCollection" ? Promise.reject(broken()) : act();
    const progress = ({ detail = "" }) => void said.push(detail);
    expect(await codeOf(restoreThrough(stuck, { progress }))).to.equal("UNREACHABLE");

    expect(said.join("\n")).to.match(/may be left: the target does not answer/);
    expect(await leftBehind()).to.deep.equal(halfMade);
    expect(await codeOf(practice.capture(source))).to.equal("ROLE_REFUSES");
    expect((await errorOf(restoreRecoveryPoint(requestOf())))?.hint).to.contain("--discard-unfinished");
    await restoreRecoveryPoint(requestOf({ discardUnfinished: true }));
    expect((await leftBehind()).unended, "of the first restore").to.equal(1);
    expect((await planRestore(requestOf({ as: "beside" }))).collections).to.have.lengthOf(1);
  });

  it("also removes what an earlier restore left and it was told to discard", async () => {
    await restoreThrough((method, act) =>
      method === "restoreShard" || method === "deleteCollection" ? Promise.reject(broken()) : act(),
    ).catch(() => undefined);
    let creations = 0;
    const failing: Around = (method, act) => {
      creations += method === "createCollection" ? 1 : 0;
      return method === "restoreShard" ? Promise.reject(broken()) : act();
    };
    expect(await codeOf(restoreThrough(failing, { discardUnfinished: true }))).to.equal("UNREACHABLE");
    expect(creations).to.equal(1);
    expect((await leftBehind()).collections).to.deep.equal([bystander]);
    await restoreRecoveryPoint(requestOf());
  });

  it("keeps a collection that somebody else made under the name since the plan, and says that it is there", async () => {
    const client = clientOf(targetServer);
    const said: string[] = [];
    const racing: Around = async (method, act) => {
      if (method === "createCollection") {
        await client.createCollection(notes, settings);
        await client.upsert(notes, { wait: true, points: points.slice(0, 3) });
      }
      return act();
    };
    const progress = ({ detail = "" }) => void said.push(detail);
    expect(await codeOf(restoreThrough(racing, { progress }))).to.equal("QDRANT_REFUSED");

    expect(await target.count(notes)).to.equal(3);
    expect(said.join("\n")).to.contain("notes is left");
  });

  it("removes nothing when another server answers at the address by then", async () => {
    let isAnother = false;
    const around: Around = async (method, act) => {
      if (method === "processes" && isAnother) return ["another process"];
      if (method !== "restoreShard") return act();
      isAnother = true;
      throw broken();
    };
    expect(await codeOf(restoreThrough(around, { targetName: "http://elsewhere" }))).to.equal("UNREACHABLE");
    expect(await leftBehind("http://elsewhere")).to.deep.equal(halfMade);
  });

  it("is interrupted in the middle of a shard: what it made is removed before the process may end", async () => {
    let interrupt: () => Promise<void> = async () => undefined;
    let settled: Promise<void> | undefined;
    const around: Around = (method, act) => {
      if (method === "restoreShard") settled = interrupt();
      return act();
    };
    const onInterrupt = (clean: () => Promise<void>) => {
      interrupt = clean;
      return () => undefined;
    };
    const restoring = codeOf(restoreThrough(around, { onInterrupt }));
    expect(await restoring).to.equal("INTERRUPTED");
    await settled;
    expect(await leftBehind()).to.deep.equal(nothing);
  });

  it("is refused before anything is recorded when Qdrant would refuse a name, captured or given", async () => {
    const named: RecoveryPoint = {
      ...recoveryPoint,
      collections: recoveryPoint.collections.map((captured) => ({ ...captured, name: "a:b" })),
    };
    for (const request of [requestOf({ recoveryPoint: named }), requestOf({ as: "a:b" })]) {
      expect((await errorOf(planRestore(request)))?.message).to.contain('no ":" in it');
    }
    expect(await leftBehind()).to.deep.equal(nothing);
  });
});
