/** A restore that fails or is interrupted leaves nothing: what it made is removed, and its end is recorded. Real Qdrants. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { DrError } from "../../runtime/errors.ts";
import { readRestores, restoresUnderWay } from "../../runtime/repository/control/restore-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { planRestore } from "../../runtime/workflows/apply/plan-restore.ts";
import { restore } from "../../runtime/workflows/apply/restore.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { type PlannedRestoreRequest, restoreRecoveryPoint } from "../support/estates/restore-recovery-point.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

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
      if (name === "sketches") {
        return async function* (...parameters: unknown[]) {
          await around(name as Method, async () => undefined);
          yield* member.apply(target, parameters);
        };
      }
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
    const unended = restoresUnderWay(await readRestores(practice.stores.control, targetName), {
      now: new Date(),
    }).length;
    return { collections: (await target.collections()).sort(), unended };
  }
  const nothing = { collections: [bystander], unended: 0 };
  const kept = { collections: [bystander, notes], unended: 0 };
  const halfMade = { collections: [bystander, notes], unended: 1 };

  const elsewhere = { targetName: "http://elsewhere" };
  const places = [
    ["into the region's own Qdrant, where clients may write to it from its last shard on", {}, "restoreShard"],
    ["into another Qdrant, until all is compared", elsewhere, "nearest"],
  ] as const;
  for (const [where, more, last] of places) {
    it(`leaves nothing, whatever call to the target fails, ${where}; afterwards it stays`, async () => {
      const calls: Method[] = [];
      let isPlanned = false;
      const counting: Around = async (method, act) => {
        // The plan ends with it.
        if (isPlanned) calls.push(method);
        if (method === "aliases") isPlanned = true;
        return act();
      };
      await restoreThrough(counting, more);
      expect(calls).to.include.members([
        "createCollection",
        "createPayloadIndex",
        "restoreShard",
        "health",
        "sketches",
      ]);
      const removable = calls.lastIndexOf(last);
      const compared = calls.lastIndexOf("nearest");

      const outcomes = { nothing: 0, left: 0 };
      for (const acts of [false, true]) {
        for (let failing = calls.indexOf("createCollection"); failing < calls.length; failing += 1) {
          const what = `${calls[failing]}, call ${failing}, ${acts ? "after" : "before"} it acted`;
          await emptied(target);
          await clientOf(targetServer).createCollection(bystander, settings);
          let call = -1;
          let isActing = false;
          const said: string[] = [];
          const failingOnce: Around = async (method, act) => {
            if (isActing) call += 1;
            if (method === "aliases") isActing = true;
            if (!isActing || call !== failing) return act();
            if (acts) await act();
            throw broken();
          };
          const progress = ({ detail = "" }) => void said.push(detail);
          const code = await codeOf(restoreThrough(failingOnce, { ...more, progress }));
          // Points are counted for the answer only.
          if (calls[failing] === "count" && failing > compared) continue;
          expect(code, what).to.equal("UNREACHABLE");
          const left = await leftBehind(requestOf(more).targetName);
          if (failing > removable) {
            expect(left, what).to.deep.equal(kept);
            expect(said.join("\n"), what).to.match(/collections stay|notes stays/);
            // It may be in use: a later restore that is told to discard what is half-made does not take it for that.
            for (const discardUnfinished of [false, true]) {
              const again = requestOf({ ...more, discardUnfinished });
              expect(await codeOf(planRestore(again)), what).to.equal("TARGET_NOT_EMPTY");
            }
            outcomes.left += 1;
          } else {
            expect(left, what).to.deep.equal(nothing);
            await planRestore(requestOf(more));
            outcomes.nothing += 1;
          }
          for (const key of practice.stores.control.objects.keys()) {
            if (!untouched.has(key)) practice.stores.control.objects.delete(key);
          }
        }
      }
      expect(outcomes.nothing).to.be.greaterThan(10);
      expect(outcomes.left).to.be.greaterThan(1);
    });
  }

  it("keeps a collection of which nobody knows who made it", async () => {
    const cut: Around = async (method, act) => {
      if (method !== "createCollection") return act();
      await clientOf(targetServer).createCollection(notes, settings);
      throw broken();
    };
    expect(await codeOf(restoreThrough(cut))).to.equal("UNREACHABLE");
    expect(await leftBehind()).to.deep.equal(halfMade);
  });

  it("lets the next capture and the next restore go on as if it had never been", async () => {
    const failing: Around = (method, act) => (method === "restoreShard" ? Promise.reject(broken()) : act());
    expect(await codeOf(restoreThrough(failing))).to.equal("UNREACHABLE");

    expect(await leftBehind()).to.deep.equal(nothing);
    expect((await practice.capture(source)).collections).to.have.lengthOf(1);
    expect((await restoreRecoveryPoint(requestOf())).points).to.equal(30);
    expect(await contentOf(target, notes)).to.deep.equal(await contentOf(source, notes));
  });

  it("removes what differs from what was captured where no client looks for it", async () => {
    const [as, targetName] = ["beside", "http://elsewhere"];
    for (const [name, more] of [[as, { as }] as const, [notes, { targetName }] as const]) {
      const late: Around = async (method, act) => {
        const answer = await act();
        if (method === "restoreShard") await clientOf(targetServer).delete(name, { wait: true, points: [1, 2, 3] });
        return answer;
      };
      expect((await errorOf(restoreThrough(late, more)))?.message).to.match(/differ from .*point 1 is missing/);
      expect(await leftBehind(requestOf(more).targetName)).to.deep.equal(nothing);
    }
  });

  it("keeps what clients wrote to the region's own Qdrant before it was compared, also when it is interrupted, and says what now", async () => {
    let interrupt: () => Promise<void> = async () => undefined;
    const onInterrupt = (clean: () => Promise<void>) => {
      interrupt = clean;
      return () => undefined;
    };
    const restoreBesideClients = async (then: () => void) => {
      const said: string[] = [];
      const written: Around = async (method, act) => {
        const answer = await act();
        if (method === "restoreShard") {
          await clientOf(targetServer).upsert(notes, { wait: true, points: [{ id: 1, vector: [7, 7], payload: {} }] });
          then();
        }
        return answer;
      };
      const progress = ({ detail = "" }) => void said.push(detail);
      const code = await codeOf(restoreThrough(written, { onInterrupt, progress }));
      expect(said.join("\n")).to.match(/notes stays: .*clients may have written.*captures go on.*delete it yourself/);
      expect(await leftBehind()).to.have.deep.property("collections", [bystander, notes]);
      expect((await target.points(notes, [1]))[0]?.vector).to.deep.equal([7, 7]);
      await practice.capture(source);
      return code;
    };
    expect(await restoreBesideClients(() => undefined)).to.equal("VERIFICATION_FAILED");
    await target.deleteCollection(notes);
    let settled: Promise<void> | undefined;
    const interrupted = restoreBesideClients(() => {
      settled = interrupt();
    });
    expect(await interrupted).to.equal("INTERRUPTED");
    await settled;
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

  it("that was killed holds nobody up: what it had not loaded is kept as it was captured before, and named", async () => {
    const pictures = "pictures";
    await clientOf(sourceServer).createCollection(pictures, settings);
    await clientOf(sourceServer).upsert(pictures, { wait: true, points });
    try {
      const both = await practice.capture(source);
      let uploads = 0;
      const killed = new Promise<never>((_, reject) => setImmediate(reject, broken()));
      killed.catch(() => undefined);
      const dying: Around = async (method, act) => {
        uploads += method === "restoreShard" ? 1 : 0;
        // Nothing of it acts from then on: neither what it would have restored nor what it would have cleaned up.
        return uploads > 1 ? killed : act();
      };
      const dies = { recoveryPoint: both, runner: "the killed process" };
      expect(await codeOf(restoreThrough(dying, dies))).to.equal("UNREACHABLE");
      const { objects } = practice.stores.control;
      expect([...objects.keys()].filter((key) => key.endsWith(".done.json"))).to.deep.equal([]);

      const at = (later: Date, runner?: { isDead(): boolean }) => {
        const clock = clockShowing(() => later);
        const database = surrounded(target, async (method, act) => (method === "time" ? later : act()));
        return {
          region: "east",
          type: "full",
          database,
          repository,
          ...told,
          clock,
          runner,
          toolVersion: "test",
        } as const;
      };
      const capture = (runner?: { isDead(): boolean }, later = new Date()) => captureRecoveryPoint(at(later, runner));
      expect(await codeOf(capture()), "while it may go on").to.equal("ROLE_REFUSES");
      expect(await codeOf(capture({ isDead: () => false })), "while it goes on").to.equal("ROLE_REFUSES");
      const { missing, recoveryPoint: id } = await capture({ isDead: () => true });
      expect(missing.map(({ name }) => name)).to.have.lengthOf(1);
      const [lacking] = missing;
      expect(lacking?.because).to.contain("was cut off and left it half-made");
      expect(lacking?.heldAsOf, "as it was before").to.equal(undefined);
      const { collections } = await repository.readRecoveryPoint(id);
      expect(collections.map(({ name }) => name)).to.have.members([
        bystander,
        lacking?.name === notes ? pictures : notes,
      ]);
      const inSixMinutes = new Date(Date.now() + 6 * 60_000);
      expect((await capture(undefined, inSixMinutes)).missing.map(({ name }) => name)).to.deep.equal([lacking?.name]);
    } finally {
      await clientOf(sourceServer).deleteCollection(pictures);
    }
  });

  it("ends by itself when the store took no sign of its life for long: captures have gone on without waiting for it", async () => {
    let silentMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + silentMs };
    const late: Around = async (method, act) => {
      if (method === "createCollection") silentMs = 6 * 60_000;
      return act();
    };
    expect(await codeOf(restoreThrough(late, { clock }))).to.equal("EPOCH_CONFLICT");
    expect(await leftBehind()).to.deep.equal(nothing);
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
    expect(said.join("\n")).to.contain("notes was made by somebody else").and.not.to.contain("--discard-unfinished");
    expect((await leftBehind()).unended).to.equal(0);
  });

  it("does not call half-made what another restore, begun at the same moment, has made", async () => {
    const { clock, progress } = told;
    const plan = await planRestore(requestOf());
    let loser: string | undefined;
    await restoreThrough(async (method, act) => {
      if (method === "restoreShard") loser = await codeOf(restore({ clock, progress, repository, target }, plan));
      return act();
    });
    expect(loser).to.equal("QDRANT_REFUSED");
    expect(await leftBehind()).to.deep.equal({ collections: [bystander, notes], unended: 0 });
    expect(await codeOf(planRestore(requestOf({ discardUnfinished: true })))).to.equal("TARGET_NOT_EMPTY");
    await practice.capture(source);
  });

  it("replaces nothing when another server answers at the address since the plan", async () => {
    const to = { targetName: "http://elsewhere", discardUnfinished: true };
    await restoreThrough(
      (method, act) => (method === "restoreShard" || method === "deleteCollection" ? Promise.reject(broken()) : act()),
      to,
    ).catch(() => undefined);
    const { clock, progress } = told;
    const plan = await planRestore(requestOf(to));
    expect(plan.collections.map(({ action }) => action)).to.deep.equal(["replace"]);
    const before = practice.stores.control.objects.size;
    const another = surrounded(target, async (method, act) => (method === "processes" ? ["another process"] : act()));
    const refused = codeOf(restore({ clock, progress, repository, target: another }, plan));
    expect(await refused).to.equal("TARGET_NOT_EMPTY");
    expect(await target.collections()).to.include(notes);
    expect(practice.stores.control.objects.size, "records").to.equal(before);
  });

  it("may be interrupted while it moves an alias: that is waited for", async () => {
    const order: string[] = [];
    let interrupt: () => Promise<void> = async () => void order.push("withdrawn");
    const onInterrupt = (clean: () => Promise<void>) => {
      interrupt = clean;
      return () => {
        interrupt = async () => void order.push("withdrawn");
      };
    };
    let settled: Promise<unknown> | undefined;
    const around: Around = async (method, act) => {
      if (method !== "createAlias") return act();
      settled = interrupt().then(() => order.push("may end"));
      await act();
      order.push("moved");
    };
    await restoreThrough(around, { as: "beside", swapAlias: "served", onInterrupt });
    await settled;
    expect(order).to.deep.equal(["moved", "may end"]);
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
    const [captured] = recoveryPoint.collections;
    if (captured === undefined) throw new Error("it holds a collection");
    const both = { ...recoveryPoint, collections: [captured, { ...captured, name: "a:b" }] };
    const { collections, impossible } = await planRestore(requestOf({ recoveryPoint: both }));
    expect(
      collections.map(({ name }) => name),
      "all else of everything",
    ).to.deep.equal([notes]);
    expect(impossible?.map(({ name }) => name)).to.deep.equal(["a:b"]);
    const refused = [{ recoveryPoint: named }, { as: "a:b" }, { recoveryPoint: both, only: ["a:b", notes] }];
    for (const request of refused.map(requestOf)) {
      expect((await errorOf(planRestore(request)))?.message).to.contain('no ":" in it');
    }
    expect(await leftBehind()).to.deep.equal(nothing);
  });

  it("leaves nothing when a proxy takes no shard, and the next restore and capture go on at once", async () => {
    const proxy = await FaultProxy.start(targetServer.url);
    try {
      const page = Buffer.from("<html><title>413 Request Entity Too Large</title></html>");
      proxy.instead = ({ path }) =>
        path.includes("/snapshots/upload") ? { status: 413, headers: { server: "nginx" }, body: page } : undefined;
      const behind = new Qdrant({ peers: [proxy.url], apiKey: targetServer.apiKey });
      const error = await errorOf(restoreRecoveryPoint(requestOf({ target: behind })));
      expect(error?.code).to.equal("PROXY_REFUSED");
      expect(await leftBehind()).to.deep.equal(nothing);
      await practice.capture(source);
      proxy.reset();
      expect((await restoreRecoveryPoint(requestOf({ target: behind }))).points).to.equal(30);
    } finally {
      await proxy.stop();
    }
  });

  it("leaves nothing on a target whose disk is full, and goes on when there is room", async function () {
    const disk = mkdtempSync(join(tmpdir(), "qdrant-dr-disk-"));
    const mount = (size: string, ...more: string[]) =>
      spawnSync("mount", ["-t", "tmpfs", "-o", [...more, `size=${size}`].join(","), "tmpfs", disk]).status === 0;
    // Only root may.
    if (!mount("24m")) return this.skip();
    const large = "large";
    const client = clientOf(sourceServer);
    let small: QdrantServer | undefined;
    try {
      await client.createCollection(large, settings);
      const vector = [1, 1];
      for (let batch = 0; batch < 8; batch += 1) {
        const some = Array.from({ length: 100 }, (_, n) => ({ id: 100 * batch + n, vector, payload: { of: noise() } }));
        await client.upsert(large, { wait: true, points: some });
      }
      const own = await RecoveryPractice.start();
      const captured = await own.capture(source);
      small = await QdrantServer.start("alone", undefined, {
        QDRANT__STORAGE__STORAGE_PATH: join(disk, "storage"),
        QDRANT__STORAGE__SNAPSHOTS_PATH: join(disk, "snapshots"),
        QDRANT__STORAGE__TEMP_PATH: join(disk, "temp"),
      });
      const full = databaseOf(small);
      const opened = await OpenRepository.open(own.stores, own.wrap);
      const request = { ...requestOf({ recoveryPoint: captured, target: full }), repository: opened, only: [large] };
      const error = await errorOf(restoreRecoveryPoint(request));
      expect(error?.exitCode, `${error?.code} ${error?.message}`).to.equal(5);
      expect(await full.collections()).to.deep.equal([]);
      await own.capture(source);

      expect(mount("400m", "remount")).to.equal(true);
      expect((await restoreRecoveryPoint(request)).points).to.equal(800);
    } finally {
      await small?.stop();
      await client.deleteCollection(large);
      spawnSync("umount", [disk]);
      rmSync(disk, { recursive: true, force: true });
    }
  });
});

/** What no disk stores in less. */
function noise(): string {
  return randomBytes(30_000).toString("base64");
}
