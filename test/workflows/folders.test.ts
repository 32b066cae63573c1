/**
 * Folders of configuration and user data through capture, copy, verify and restore: what comes back is what was there, an
 * unchanged folder costs nothing, and nothing is lost. Stores are in memory, folders are on the disk.
 */
import { createHash } from "node:crypto";
import {
  appendFile,
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { z } from "zod";
import { LocalFolders } from "../../runtime/adapters/folders/folder-target.ts";
import { LocalFolder } from "../../runtime/adapters/folders/local-folder.ts";
import { quarantineOfFolders, resolveLatestRestorable } from "../../runtime/domain/recovery-points/catalog.ts";
import { type FolderTree, filesOf, folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import {
  type CaptureType,
  capturedFolderSchema,
  type RecoveryPoint,
} from "../../runtime/domain/recovery-points/recovery-point.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { packSchema } from "../../runtime/domain/recovery-points/stored-content.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { FolderSource, FolderTarget, FoundEntry } from "../../runtime/ports/folders.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { foldersInWords, restoreDeclaredFolders } from "../../runtime/workflows/failover/restore-declared-folders.ts";
import { folderCapture } from "../../runtime/workflows/folders/capture-folder.ts";
import {
  type FolderRestoreRequest,
  planFolderRestore,
  restoreFolders,
} from "../../runtime/workflows/folders/restore-folder.ts";
import { verifyRecoveryPoint } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import {
  ageKeys,
  copyOf,
  type MemoryStores,
  silently,
  storesWithEpoch,
  systemClock,
} from "../support/estates/recovery-estate.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const untouched = new Proxy({} as VectorDatabase, {
  get: (_, method) => {
    throw new Error(`Qdrant was asked for ${String(method)}`);
  },
});

describe("folders in recovery points", function () {
  this.timeout(60_000);
  let ground: string;
  let home: string;
  let stores: MemoryStores;
  let repository: OpenRepository;
  let wrap: KeyWrap;
  let told: string[];
  /** A day later each time: nothing is so new that it must be read again. */
  let clock: Clock;

  before(async () => {
    ({ wrap } = await ageKeys());
  });

  beforeEach(async () => {
    ground = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    home = join(ground, "home");
    await mkdir(home);
    stores = storesWithEpoch();
    repository = await OpenRepository.openOrCreate(stores, wrap);
    told = [];
    let hours = 24;
    clock = clockShowing(() => new Date(Date.now() + (hours++ - 24) * 3_600_000));
  });

  afterEach(async () => {
    await rm(ground, { recursive: true, force: true });
  });

  const local = () => new LocalFolder({ path: home });
  const tell = ({ detail }: { detail?: string }) => void told.push(detail ?? "");

  async function capture(
    type: CaptureType = "incremental",
    more: { source?: FolderSource; allowEmpty?: boolean; into?: OpenRepository } = {},
  ) {
    const report = await captureRecoveryPoint({
      region: "east",
      type,
      kinds: ["user-data"],
      folders: [folderCapture({ kind: "user-data", name: "files", source: more.source ?? local() }, tell)],
      database: untouched,
      repository: more.into ?? repository,
      clock,
      progress: silently,
      toolVersion: "test",
      allowEmpty: more.allowEmpty ?? false,
    });
    return { report, recoveryPoint: await (more.into ?? repository).readRecoveryPoint(report.recoveryPoint) };
  }

  async function treeOf(recoveryPoint: RecoveryPoint): Promise<FolderTree> {
    return repository.readTree(recoveryPoint.folders[0]?.tree.id ?? "", folderTreeSchema);
  }

  function restoring(recoveryPoint: RecoveryPoint, more: Partial<FolderRestoreRequest> = {}): FolderRestoreRequest {
    const request = {
      repository,
      recoveryPoint,
      target: new LocalFolders(),
      kinds: ["user-data" as const],
      homes: new Map(),
    };
    return { ...request, progress: silently, ...more };
  }

  async function restore(recoveryPoint: RecoveryPoint, more: Partial<FolderRestoreRequest> = {}) {
    const request = restoring(recoveryPoint, more);
    return restoreFolders(request, await planFolderRestore(request));
  }

  async function write(path: string, content: string | Buffer = path): Promise<void> {
    await mkdir(join(home, path, ".."), { recursive: true });
    await writeFile(join(home, path), content);
  }

  const objects = () => [...stores.repository.objects.keys()];
  const packsAndTrees = () => objects().filter((key) => /^(packs|trees)\//.test(key));

  /** A folder with a bit of everything. */
  async function fill(): Promise<void> {
    await write("a/small", "small");
    await write("a/empty", "");
    await write("large", Buffer.alloc(300_000, "pattern-"));
    await write("a/b/c/deep");
    await mkdir(join(home, "nothing"), { mode: 0o750 });
    await symlink("../outside", join(home, "a/link"));
    await symlink("/nowhere", join(home, "broken"));
    const sparse = await open(join(home, "sparse"), "w");
    await sparse.write("begin", 0);
    await sparse.write("middle", 200_000);
    await sparse.truncate(500_000);
    await sparse.close();
    await write("zeros", Buffer.alloc(70_000));
    await chmod(join(home, "a/small"), 0o600);
    await chmod(join(home, "a/b"), 0o555);
    await utimes(join(home, "a/small"), 1, 1_600_000_000.5);
    await utimes(join(home, "a"), 1, 1_600_000_001);
    await utimes(join(home, "large"), 1, "-86400.25");
  }

  it("come back as they were: content, modes, owners, times, links, holes", async () => {
    await fill();
    const { recoveryPoint, report } = await capture("full");
    expect(report).to.include({ isExact: true, folders: 1, collections: 0 });
    const elsewhere = join(ground, "else where/new");
    const [restored] = await restore(recoveryPoint, { places: new Map([["files", elsewhere]]) });
    expect(restored).to.deep.include({ path: elsewhere, files: 6, notOwned: [], inconsistent: [] });
    expect(await stateOf(elsewhere)).to.deep.equal(await stateOf(home));
    expect((await lstat(join(elsewhere, "sparse"))).blocks * 512).to.be.lessThan(400_000);
    await chmod(join(home, "a/b"), 0o755);
  });

  it("are restored by a failover, configuration first, once, each by itself, and of what the lost region captured last", async () => {
    const places = { conf: join(ground, "conf"), files: join(ground, "files"), more: join(ground, "more") };
    const captureAll = (epoch: number) =>
      captureRecoveryPoint({
        ...{ region: epoch === 1 ? "east" : "west", type: "full", kinds: ["config", "user-data"] },
        folders: [
          folderCapture({ kind: "config", name: "conf", source: local() }, tell),
          folderCapture({ kind: "user-data", name: "files", source: local() }, tell),
        ],
        ...{ database: untouched, repository, clock, progress: silently, toolVersion: "test", allowEmpty: true },
      });
    await write("page", "of the lost region");
    await captureAll(1);
    const change = {
      epoch: 2,
      active: "west",
      previous: "east",
      reason: "failover",
      run: "r",
      at: clock.now().toISOString(),
    };
    stores.control.objects.set(controlLayout.epoch(2), Buffer.from(JSON.stringify(change)));
    await write("page", "of the promoted region, which has none of it yet");
    await captureAll(2);

    await mkdir(places.conf);
    await writeFile(join(places.conf, "page"), "in the way");
    const target = new LocalFolders();
    let isStuck = true;
    const drafted: string[] = [];
    const restoreAll = async () => {
      const all = [
        { kind: "config" as const, name: "conf", path: places.conf },
        { kind: "user-data" as const, name: "more", path: places.more },
        { kind: "user-data" as const, name: "files", path: places.files },
      ];
      const folders = {
        ...{ all, onInterrupt: () => () => undefined },
        target: {
          look: target.look.bind(target),
          draft: async (path: string, below?: string) => {
            drafted.push(path);
            if (path === places.conf && isStuck) throw new Error("the disk is full");
            return target.draft(path, below);
          },
        },
      };
      const report = await restoreDeclaredFolders({
        folders,
        clock,
        repository,
        epoch: 2,
        from: "east",
        progress: silently,
      });
      return { said: foldersInWords(report).join("; "), left: report.left.map(({ name }) => name) };
    };
    const first = await restoreAll();
    expect(first.left, first.said).to.deep.equal(["conf", "more"]);
    expect(drafted).to.deep.equal([places.conf, places.files]);
    expect(await readFile(join(places.conf, "page"), "utf8")).to.equal("in the way");
    expect(await readFile(join(places.files, "page"), "utf8")).to.equal("of the lost region");
    await writeFile(join(places.files, "page"), "of the application since");
    isStuck = false;
    const again = await restoreAll();
    expect(again.left).to.deep.equal(["more"]);
    expect(again.said).to.contain("files by an earlier run").and.contain("kept as");
    expect(await readFile(join(places.conf, "page"), "utf8")).to.equal("of the lost region");
    expect(await readFile(join(places.files, "page"), "utf8")).to.equal("of the application since");
  });

  it("cost a point nothing when nothing changed, whether they are read or not", async () => {
    await fill();
    const first = await capture("full");
    const stored = packsAndTrees();
    for (const type of ["incremental", "full"] as const) {
      const { recoveryPoint, report } = await capture(type);
      expect(report.storedBytes, type).to.equal(0);
      expect(report.readBytes > 0, type).to.equal(type === "full");
      expect(recoveryPoint.folders[0]?.tree).to.deep.equal(first.recoveryPoint.folders[0]?.tree);
    }
    expect(packsAndTrees()).to.deep.equal(stored);
    await chmod(join(home, "a/b"), 0o755);
  });

  it("are not read again where they are unchanged, and cost what changed", async () => {
    await write("same", Buffer.alloc(1_000_000, "same"));
    await write("large", randomBytes(1_000_000));
    await capture("full");
    const file = await open(join(home, "large"), "r+");
    await file.write("changed", 500_000);
    await file.close();
    const opened: string[] = [];
    const { recoveryPoint, report } = await capture("incremental", { source: watched(opened) });
    expect(opened).to.deep.equal(["large"]);
    expect(report.storedBytes).to.be.lessThan(100_000);
    await restore(recoveryPoint, { places: new Map([["files", join(ground, "new")]]) });
    expect(await stateOf(join(ground, "new"))).to.deep.equal(await stateOf(home));
  });

  it("are read again where they changed so shortly before the last capture that their times may not tell", async () => {
    await write("file");
    clock = systemClock;
    await capture("full");
    const opened: string[] = [];
    await capture("incremental", { source: watched(opened) });
    expect(opened).to.deep.equal(["file"]);
  });

  it("keep up with files that come, go, move, and turn into something else", async () => {
    for (const path of ["gone", "moved", "becomes-directory", "becomes-link", "becomes-file/in"]) await write(path);
    await capture("full");
    await unlink(join(home, "gone"));
    await rename(join(home, "moved"), join(home, "moved-to"));
    await unlink(join(home, "becomes-directory"));
    await write("becomes-directory/in");
    await unlink(join(home, "becomes-link"));
    await symlink("moved-to", join(home, "becomes-link"));
    await rm(join(home, "becomes-file"), { recursive: true });
    await write("becomes-file");
    await write("new");
    const { recoveryPoint } = await capture();
    await restore(recoveryPoint, { places: new Map([["files", join(ground, "new")]]) });
    expect(await stateOf(join(ground, "new"))).to.deep.equal(await stateOf(home));
  });

  it("hold the last of several tries of a file that changes while it is read", async () => {
    await write("log", "1\n");
    let reads = 0;
    const settling = changing(async (path) => {
      reads += 1;
      if (reads < 3) await appendFile(path, `${reads + 1}\n`);
    });
    const { recoveryPoint, report } = await capture("full", { source: settling });
    expect([reads, report.isExact]).to.deep.equal([3, true]);
    await restore(recoveryPoint, { places: new Map([["files", join(ground, "new")]]) });
    expect(await readFile(join(ground, "new/log"), "utf8")).to.equal("1\n2\n3\n");
  });

  it("say of a file that changes each time it is read that they are not exact", async () => {
    await write("log", "1\n");
    await write("quiet");
    const { recoveryPoint, report } = await capture("full", { source: changing((path) => appendFile(path, "more\n")) });
    expect([report.isExact, recoveryPoint.folders[0]?.isExact]).to.deep.equal([false, false]);
    expect(told.join()).to.contain("log changed each time it was read");
    const tree = await treeOf(recoveryPoint);
    expect(filesOf(tree).filter(({ isConsistent }) => isConsistent === false)).to.have.length(1);
    const [restored] = await restore(recoveryPoint, { places: new Map([["files", join(ground, "new")]]) });
    expect(restored?.inconsistent).to.deep.equal(["log"]);
    // Its content is not relied on by the next capture, though it looks the same.
    expect((await capture()).report.isExact).to.equal(true);
  });

  it("leave out a file that is deleted, and keep the end of one that is cut, while they are read", async () => {
    for (const path of ["cut", "deleted"]) await write(path, Buffer.alloc(200_000, path));
    const cutting = changing(async (path) => {
      if (path.endsWith("cut")) await truncate(path, 100_000);
      else await unlink(path);
    });
    const { recoveryPoint } = await capture("full", { source: cutting });
    expect(filesOf(await treeOf(recoveryPoint)).map(({ path, size }) => [path, size])).to.deep.equal([
      ["cut", 100_000],
    ]);
  });

  it("tell of a file whose content changed and whose times did not, when all is read", async () => {
    await write("file", "content");
    await capture("full");
    const rotten = rewriting("CONTENT");
    expect((await capture("incremental", { source: rotten })).report.storedBytes).to.equal(0);
    expect(told).to.deep.equal([]);
    await capture("full", { source: rotten });
    expect(told.join()).to.contain("file has other content than before and the same times");
  });

  it("are refused when they are gone or empty and were not, unless that is said to be meant", async () => {
    await write("file");
    await capture("full");
    const points = () => objects().filter((key) => key.endsWith("/manifest")).length;
    for (const what of ["emptied", "gone"]) {
      if (what === "emptied") await unlink(join(home, "file"));
      else await rm(home, { recursive: true });
      const error = await errorOf(capture());
      expect([error?.code, error?.hint?.includes("--allow-empty")], what).to.deep.equal(["LINEAGE_BROKEN", true]);
      expect(error?.message).to.contain(home);
    }
    expect(points()).to.equal(1);
    const { recoveryPoint } = await capture("incremental", { allowEmpty: true });
    expect((await treeOf(recoveryPoint)).entries).to.deep.equal([]);
    await restore(recoveryPoint, { places: new Map([["files", join(ground, "new")]]) });
    expect(await readdir(join(ground, "new"))).to.deep.equal([]);
  });

  it("are refused when they never were there, by the setting to correct", async () => {
    await rm(home, { recursive: true });
    const error = await errorOf(capture());
    expect(error?.code).to.equal("SETTING_INVALID");
    expect(error?.message).to.contain("user-data files").and.contain(home);
  });

  it("commit nothing when a file cannot be read", async () => {
    await write("file");
    const source = Object.assign(local(), {
      open: () => Promise.reject(Object.assign(new Error("injected"), { code: "CAPTURE_INCOMPLETE" })),
    });
    expect(await capture("full", { source }).catch((error: Error) => error.message)).to.equal("injected");
    expect(objects().filter((key) => key.endsWith("/manifest"))).to.deep.equal([]);
  });

  it("make a point incomplete when a pack or a tree of theirs is missing, and are stored again then", async () => {
    await write("file", randomBytes(100_000));
    const { recoveryPoint } = await capture("full");
    for (const prefix of ["packs/", "trees/"]) {
      const damaged = { repository: copyOf(stores.repository), control: stores.control };
      const lost = [...damaged.repository.objects.keys()].find((key) => key.startsWith(prefix)) ?? "";
      damaged.repository.objects.delete(lost);
      const opened = await OpenRepository.open(damaged, wrap);
      const [entry] = (await readCatalog(opened)).entries;
      expect(entry?.state, prefix).to.equal("incomplete");
      expect(entry?.reasons.join()).to.contain(lost);
      const again = await capture("incremental", { into: opened });
      // Whatever the order: the test's clock is ahead of the store's.
      const { entries } = await readCatalog(opened);
      expect(entries.find(({ id }) => id === again.recoveryPoint.id)?.state, prefix).to.equal("complete");
    }
    expect((await readCatalog(repository)).entries.map(({ id, state }) => [id, state])).to.deep.equal([
      [recoveryPoint.id, "complete"],
    ]);
  });

  it("are read by verify, which finds damage in them", async () => {
    await write("file", randomBytes(200_000));
    const { recoveryPoint } = await capture("full");
    const report = await verifyRecoveryPoint(repository, recoveryPoint, { clock, progress: silently, region: "east" });
    expect(report).to.include({ files: 1, bytes: 200_000 });
    const pack = objects().find((key) => key.startsWith(storeLayout.packs)) ?? "";
    const bytes = Buffer.from(stores.repository.objects.get(pack) ?? "");
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    stores.repository.objects.set(pack, bytes);
    const verifying = verifyRecoveryPoint(repository, recoveryPoint, { clock, progress: silently, region: "east" });
    expect(await codeOf(verifying)).to.equal("OBJECT_CORRUPT");
    expect((await readCatalog(repository)).entries[0]?.state).to.equal("quarantined");
  });

  it("keep times of any year, and tell of one that is beyond all that can be kept", async () => {
    const times = {
      first: "-271821-04-20T00:00:00.001Z",
      before: "-000001-12-31T23:59:59.999Z",
      old: "0000-01-01T00:00:00.000Z",
      new: "9999-12-31T23:59:59.999Z",
      after: "+010000-01-01T00:00:00.001Z",
      last: "+275760-09-13T00:00:00.000Z",
    };
    for (const name of Object.keys(times)) await write(name);
    const at = (path: string) => new Map(Object.entries(times)).get(path);
    const { recoveryPoint } = await capture("full", { source: timed((path) => at(path) ?? times.old) });
    const tree = await treeOf(recoveryPoint);
    expect(Object.fromEntries(filesOf(tree).map(({ modifiedAt, path }) => [path, modifiedAt]))).to.deep.equal(times);
    expect(told).to.deep.equal([`user-data files: last has a time beyond all that can be kept: ${times.last} is`]);
    const [restored] = await restore(recoveryPoint, { into: join(ground, "new") });
    expect(restored?.files).to.equal(6);
  });

  it("leave out by name what cannot be described, and hold the rest", async () => {
    for (const name of ["a/in", "good", "odd", "twice"]) await write(name);
    const folder = local();
    const source: FolderSource = {
      path: home,
      exists: () => folder.exists(),
      open: (path) => folder.open(path),
      async *entries(tell) {
        for await (const entry of folder.entries(tell)) {
          if (entry.path === "good") yield { ...entry, type: "symlink", path: "good/../..", target: "/" };
          yield entry.path === "odd" ? { ...entry, type: "symlink" } : entry;
          if (entry.path === "twice") yield entry;
        }
      },
    };
    const { report, recoveryPoint } = await capture("full", { source });
    const { entries } = await treeOf(recoveryPoint);
    expect(entries.map(({ path }) => path)).to.deep.equal([".", "a", "a/in", "good", "twice"]);
    const left = ["good/../..", "odd", "twice"];
    expect(told).to.deep.equal(
      left.map((path) => `user-data files: ${JSON.stringify(path)} is left out: it cannot be described`),
    );
    expect(report.isExact).to.equal(false);
  });

  it("are alone quarantined by verify when they are damaged and Qdrant's part is whole", async () => {
    await write("file");
    const { recoveryPoint } = await capture("full");
    const mixed: RecoveryPoint = { ...recoveryPoint, id: `${recoveryPoint.id}-mixed`, kinds: ["qdrant", "user-data"] };
    await repository.createRecoveryPoint(mixed);
    const pack = objects().find((key) => key.startsWith(storeLayout.packs)) ?? "";
    const damaged = Buffer.from(stores.repository.objects.get(pack) ?? "");
    damaged.writeUInt8(damaged.readUInt8(10) ^ 1, 10);
    stores.repository.objects.set(pack, damaged);
    const found = { clock, progress: silently, region: "east" };
    const error = await errorOf(verifyRecoveryPoint(repository, mixed, found));
    expect(error?.message).to.contain("user-data files: ").and.to.contain("Qdrant's part of it is whole");
    const { entries } = await readCatalog(repository);
    const entry = entries.find(({ id }) => id === mixed.id);
    expect(entry?.state).to.equal("complete");
    expect(entry && quarantineOfFolders(entry)).to.contain("user-data files: ");
    expect(resolveLatestRestorable(entries)?.id).to.equal(mixed.id);
    expect(resolveLatestRestorable(entries, { kinds: ["user-data"] })?.id).to.equal(recoveryPoint.id);
    await verifyRecoveryPoint(repository, recoveryPoint, found).catch(() => undefined);
    const next = await capture("incremental");
    expect(next.report.storedBytes, "nothing is built on what is damaged").to.be.greaterThan(0);
    await verifyRecoveryPoint(repository, next.recoveryPoint, found);
  });

  it("are not copied where something else of the right size stands under the name of a pack or tree", async () => {
    await fill();
    await capture("full");
    for (const prefix of ["packs/", "trees/"]) {
      const west = storesWithEpoch();
      const key = objects().find((each) => each.startsWith(prefix)) ?? "";
      await west.repository.create(key, Buffer.alloc(stores.repository.objects.get(key)?.length ?? 0, 7));
      const copying = copyRecoveryPoints(repository, { stores: west, wrap }, silently, systemClock);
      expect(await codeOf(copying), prefix).to.equal("OBJECT_CORRUPT");
      expect([...west.repository.objects.keys()].filter((each) => each.endsWith("/manifest"))).to.deep.equal([]);
    }
  });

  it("are brought by copy, and restored from the other bucket with its own keys", async () => {
    await fill();
    const { recoveryPoint } = await capture("full");
    const west = storesWithEpoch();
    const report = await copyRecoveryPoints(repository, { stores: west, wrap }, silently, systemClock);
    expect(report.copied).to.deep.equal([recoveryPoint.id]);
    const twin = await OpenRepository.open(west, wrap);
    expect((await readCatalog(twin)).entries[0]?.state).to.equal("complete");
    await restore(recoveryPoint, { repository: twin, places: new Map([["files", join(ground, "new")]]) });
    expect(await stateOf(join(ground, "new"))).to.deep.equal(await stateOf(home));
    await chmod(join(home, "a/b"), 0o755);
  });

  it("are captured by the next run when the store dies at any call, and nothing half-made looks done", async () => {
    await fill();
    const clean = new Faults();
    await captureThrough(clean, copiesOf(stores));
    expect(clean.calls).to.be.greaterThan(8);
    for (let killAt = 1; killAt <= clean.calls; killAt += 1) {
      const mine = copiesOf(stores);
      const code = await codeOf(captureThrough(new Faults({ killAt }), mine));
      const left = await OpenRepository.open(mine, wrap);
      const states = (await readCatalog(left)).entries.map(({ state }) => state);
      expect(
        states.every((state) => state === "complete"),
        `killed at call ${killAt}: ${code}`,
      ).to.equal(true);
      await captureThrough(new Faults(), mine);
      const recoveryPoint = (await readCatalog(left)).entries.at(-1)?.recoveryPoint;
      if (recoveryPoint === undefined) throw new Error("no point");
      await verifyRecoveryPoint(left, recoveryPoint, { clock, progress: silently, region: "east" });
    }
    await chmod(join(home, "a/b"), 0o755);
  });

  it("leave nothing at or beside their place when the store dies while they are restored", async () => {
    await fill();
    const { recoveryPoint } = await capture("full");
    const place = join(ground, "restored/files");
    const clean = new Faults();
    const through = async (faults: Faults) => {
      const wrapped = { repository: faults.wrap(stores.repository), control: faults.wrap(stores.control) };
      return restore(recoveryPoint, {
        repository: await OpenRepository.open(wrapped, wrap),
        into: join(ground, "restored"),
      });
    };
    await through(clean);
    await rm(join(ground, "restored"), { recursive: true });
    for (let killAt = 1; killAt <= clean.calls; killAt += 1) {
      expect(await codeOf(through(new Faults({ killAt }))), `call ${killAt}`).to.equal("UNREACHABLE");
      expect(await readdir(join(ground, "restored")).catch(() => []), `call ${killAt}`).to.deep.equal([]);
    }
    await through(new Faults());
    expect(await stateOf(place)).to.deep.equal(await stateOf(home));
    await chmod(join(home, "a/b"), 0o755);
  });

  it("are restored in place only when told to, and what stood there is kept", async () => {
    const homes = new Map([["files", home]]);
    await write("file", "captured");
    const { recoveryPoint } = await capture("full");
    await write("file", "newer");
    await write("only-here");
    const newer = await stateOf(home);
    const error = await errorOf(restore(recoveryPoint, { homes }));
    expect(error?.code).to.equal("TARGET_NOT_EMPTY");
    expect(error?.hint).to.contain("--in-place");
    expect(await stateOf(home)).to.deep.equal(newer);
    const [plan] = await planFolderRestore(restoring(recoveryPoint, { homes, inPlace: true }));
    const kept = `${home}.before-${recoveryPoint.id}`;
    expect(plan).to.include({ path: home, keepAs: kept });
    for (const expected of [kept, `${kept}-2`]) {
      const [restored] = await restore(recoveryPoint, { homes, inPlace: true });
      expect(restored?.keptAs).to.equal(expected);
      expect(await readFile(join(home, "file"), "utf8")).to.equal("captured");
    }
    expect(await stateOf(kept)).to.deep.equal(newer);
  });

  it("go to the home that the region's settings say, and nowhere where they say none", async () => {
    await write("file");
    const { recoveryPoint } = await capture("full");
    const planned = async (homes: ReadonlyMap<string, string>) =>
      (await planFolderRestore(restoring(recoveryPoint, { homes, inPlace: true }))).map(({ path }) => path);
    expect(await planned(new Map([["files", join(ground, "west")]]))).to.deep.equal([join(ground, "west")]);
    const error = await errorOf(planned(new Map()));
    expect([error?.code, error?.message]).to.deep.equal([
      "USAGE",
      "the settings of this region do not say where user-data files belongs",
    ]);
  });

  it("go nowhere else than below the folder that was given, whatever a manifest or a link there says", async () => {
    await write("file");
    const { recoveryPoint } = await capture("full");
    for (const name of ["../../escaped", "..", "/etc/cron.d", "a/b", "A", ""]) {
      expect(capturedFolderSchema.safeParse({ ...recoveryPoint.folders[0], name }).success, name).to.equal(false);
    }
    const tree = await treeOf(recoveryPoint);
    const other = await repository.createTree(
      await repository.keys.key(recoveryPoint.folders[0]?.key ?? ""),
      folderTreeSchema,
      {
        ...tree,
        name: "others",
      },
    );
    const forged = { ...recoveryPoint, folders: recoveryPoint.folders.map((folder) => ({ ...folder, tree: other })) };
    expect(await codeOf(restore(forged, { into: join(ground, "into") }))).to.equal("OBJECT_CORRUPT");
    await mkdir(join(ground, "into"));
    await mkdir(join(ground, "outside"));
    await symlink(join(ground, "outside"), join(ground, "into/files"));
    const led = await errorOf(restore(recoveryPoint, { into: join(ground, "into") }));
    expect(led).to.include({ code: "USAGE" });
    expect(led?.message).to.contain("out of");
    expect(await readdir(join(ground, "outside"))).to.deep.equal([]);
  });

  it("come without set-user-id, set-group-id and sticky bits, unless these are asked for", async () => {
    await write("program");
    await mkdir(join(home, "shared"));
    await chmod(join(home, "program"), 0o4755);
    await chmod(join(home, "shared"), 0o3770);
    const { recoveryPoint } = await capture("full");
    const modes = async (into: string) =>
      Promise.all(
        ["program", "shared"].map(async (path) => ((await lstat(join(into, "files", path))).mode & 0o7777).toString(8)),
      );
    const [plain] = await restore(recoveryPoint, { into: join(ground, "plain") });
    expect([plain?.plainModes, await modes(join(ground, "plain"))]).to.deep.equal([
      ["program", "shared"],
      ["755", "770"],
    ]);
    const [special] = await restore(recoveryPoint, { into: join(ground, "special"), keepSpecialModes: true });
    expect([special?.plainModes, await modes(join(ground, "special"))]).to.deep.equal([[], ["4755", "3770"]]);
  });

  it("replace what a link stands for, not the link", async () => {
    await write("file", "captured");
    const { recoveryPoint } = await capture("full");
    await symlink(home, join(ground, "link"));
    await restore(recoveryPoint, { homes: new Map([["files", join(ground, "link")]]), inPlace: true });
    expect(await readlink(join(ground, "link"))).to.equal(home);
    expect(await readFile(join(ground, "link/file"), "utf8")).to.equal("captured");
  });

  it("are never restored over something elsewhere, also in place, nor under a name that is not in the point", async () => {
    await write("file");
    const { recoveryPoint } = await capture("full");
    await mkdir(join(ground, "taken"));
    await writeFile(join(ground, "taken/file"), "");
    const taken = restore(recoveryPoint, { places: new Map([["files", join(ground, "taken")]]), inPlace: true });
    expect(await codeOf(taken)).to.equal("TARGET_NOT_EMPTY");
    const unknown = await errorOf(restore(recoveryPoint, { places: new Map([["other", ground]]) }));
    expect([unknown?.code, unknown?.hint]).to.deep.equal(["USAGE", "it holds files"]);
  });

  it("are refused after they were written when the disk gives back something else", async () => {
    await write("file", "content");
    const { recoveryPoint } = await capture("full");
    const place = join(ground, "new");
    const lying: FolderTarget = {
      look: (path) => new LocalFolders().look(path),
      draft: async (path) => {
        const draft = await new LocalFolders().draft(path);
        async function* read() {
          yield Buffer.from("CONTENT");
        }
        return Object.assign(draft, { read });
      },
    };
    const restoring = restore(recoveryPoint, { target: lying, places: new Map([["files", place]]) });
    expect(await codeOf(restoring)).to.equal("VERIFICATION_FAILED");
    expect(await readdir(ground)).to.deep.equal(["home"]);
  });

  const malicious: [what: string, entries: Record<string, unknown>[]][] = [
    ["a path with ..", [{ type: "file", path: "../outside" }]],
    ["an absolute path", [{ type: "file", path: "/etc/passwd" }]],
    ["a path with a dot", [{ type: "directory", path: "a/./b" }]],
    [
      "a path through a link",
      [
        { type: "symlink", path: "a", target: "/etc" },
        { type: "file", path: "a/passwd" },
      ],
    ],
    [
      "a name twice",
      [
        { type: "symlink", path: "a", target: "/etc/passwd" },
        { type: "file", path: "a" },
      ],
    ],
    ["a file for the folder itself", [{ type: "file", path: "." }]],
  ];
  for (const [what, entries] of malicious) {
    it(`are refused when their tree has ${what}`, async () => {
      await write("file");
      const { recoveryPoint } = await capture("full");
      const key = await repository.keys.key(recoveryPoint.folders[0]?.key ?? "");
      const attributes = { mode: 0o644, uid: 0, gid: 0, modifiedAt: "2026-01-01T00:00:00.000Z" };
      const content = { size: 0, lists: [], packs: [] };
      const tree = await repository.createTree(key, z.looseObject({ packs: z.array(packSchema) }), {
        format: 1,
        kind: "user-data",
        name: "files",
        packs: [],
        entries: entries.map((entry) => ({ ...attributes, ...(entry["type"] === "file" ? content : {}), ...entry })),
      });
      const folders = recoveryPoint.folders.map((folder) => ({ ...folder, tree }));
      const restoring = restore({ ...recoveryPoint, folders }, { into: join(ground, "new") });
      expect(await codeOf(restoring)).to.equal("OBJECT_CORRUPT");
      expect(await readdir(ground)).to.deep.equal(["home"]);
    });
  }

  async function captureThrough(faults: Faults, into: MemoryStores): Promise<void> {
    const wrapped = { repository: faults.wrap(into.repository), control: faults.wrap(into.control) };
    await captureRecoveryPoint({
      region: "east",
      type: "full",
      kinds: ["user-data"],
      database: untouched,
      clock,
      progress: silently,
      folders: [folderCapture({ kind: "user-data", name: "files", source: local() }, silently)],
      repository: await OpenRepository.open(wrapped, wrap),
      toolVersion: "test",
    });
  }

  /** The folder, with other times. */
  function timed(timeOf: (path: string) => string): FolderSource {
    const folder = local();
    const changed = (entry: FoundEntry): FoundEntry => ({ ...entry, modifiedAt: new Date(timeOf(entry.path)) });
    return {
      path: home,
      exists: () => folder.exists(),
      async *entries(tell) {
        for await (const entry of folder.entries(tell)) yield changed(entry);
      },
      async open(path) {
        const file = await folder.open(path);
        return file && { ...file, entry: changed(file.entry) };
      },
    };
  }

  /** The folder, with what is opened of it written down. */
  function watched(opened: string[]): FolderSource {
    const folder = local();
    return {
      path: home,
      exists: () => folder.exists(),
      entries: (tell) => folder.entries(tell),
      open: (path) => {
        opened.push(path);
        return folder.open(path);
      },
    };
  }

  /** The folder, in which something happens to each file but the quiet ones once its first bytes are read. */
  function changing(change: (path: string) => Promise<void>): FolderSource {
    const folder = local();
    return {
      path: home,
      exists: () => folder.exists(),
      entries: (tell) => folder.entries(tell),
      open: async (path) => {
        const file = await folder.open(path);
        if (file === undefined || path === "quiet") return file;
        const { content, ...rest } = file;
        async function* changed() {
          await change(join(home, path));
          yield* content;
        }
        return { ...rest, content: changed() };
      },
    };
  }

  /** The folder, whose files have other bytes than their times say. */
  function rewriting(bytes: string): FolderSource {
    const folder = local();
    return {
      path: home,
      exists: () => folder.exists(),
      entries: (tell) => folder.entries(tell),
      open: async (path) => {
        const file = await folder.open(path);
        async function* content() {
          yield { offset: 0, bytes: Buffer.from(bytes) };
        }
        return file === undefined ? file : { ...file, content: content() };
      },
    };
  }
});

function copiesOf({ control, repository }: MemoryStores): MemoryStores {
  return { repository: copyOf(repository), control: copyOf(control) };
}

function randomBytes(size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, n) => createHash("sha256").update(`${n}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
}

/** Everything of a folder that a restore brings back, by path. */
async function stateOf(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true });
  const states = [".", ...names].sort().map(async (name) => {
    const path = join(folder, name);
    const { gid, mode, mtimeMs, size, uid } = await lstat(path);
    const attributes = `${mode.toString(8)} ${uid}:${gid} ${Math.floor(mtimeMs)}`;
    const isLink = (mode & 0o170000) === 0o120000;
    const content = isLink
      ? await readlink(path)
      : (mode & 0o170000) === 0o100000
        ? createHash("sha256")
            .update(await readFile(path))
            .digest("hex")
        : "";
    return [name, `${attributes} ${content === "" ? "" : size} ${content}`];
  });
  return Object.fromEntries(await Promise.all(states));
}
