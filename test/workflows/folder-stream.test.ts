/** Configuration and user data that follow the active region: folders are on the disk, and no Qdrant runs. */
import { EventEmitter, once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { LocalFolder } from "../../runtime/adapters/folders/local-folder.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { ownRegionFor, peerRegionFor } from "../../runtime/domain/region-for-job.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { FolderStream } from "../../runtime/workflows/replicate/folder-stream.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { ageKeys, firstEpoch, silently, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { type RegionPair, regionPair } from "../support/estates/region-pair.ts";
import { signing, storeOf } from "../support/estates/test-trust.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

describe("configuration and user data that are replicated", function () {
  this.timeout(60_000);
  let ground: string;
  let regions: RegionPair;

  beforeEach(async () => {
    ground = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    const folders = {
      configuration: [{ name: "app", path: join(ground, "etc") }],
      userData: [{ name: "files", path: join(ground, "files"), exclude: ["cache"] }],
    };
    for (const name of ["etc", "files/deep", "files/cache"]) {
      await mkdir(join(ground, name), { recursive: true });
    }
    await writeFile(join(ground, "etc/app.yaml"), "level: 3\n");
    await writeFile(join(ground, "files/deep/notes"), "first");
    regions = await regionPair(ground, { east: folders });
  });

  afterEach(async () => {
    await rm(ground, { recursive: true, force: true });
  });

  /** Runs a command; what it tells is emitted as `told`. */
  function run(command: string, ...options: string[]) {
    const told = new EventEmitter();
    const cleaning: (() => Promise<void>)[] = [];
    const said = { out: "", err: "" };
    const ended = (async () => {
      const deps = await compose({
        progress: ({ detail, step }) => void told.emit(step, detail ?? ""),
        onInterrupt(clean) {
          cleaning.push(clean);
          return () => undefined;
        },
      });
      const args = [command, ...options, "--outputs", join(ground, "regions"), "--json"];
      const exitCode = await runCheckedCli(args, deps, {
        out: (text) => {
          said.out += text;
        },
        err: (text) => {
          said.err += text;
        },
      });
      return { exitCode, answer: JSON.parse(said.out || said.err) };
    })();
    const interrupt = async () => {
      await Promise.all(cleaning.map((clean) => clean()));
      return ended;
    };
    return { told, ended, interrupt };
  }

  const replicated = ["--from", "east", "--to", "west", "--only", "config,user-data"];

  async function toldOf(told: EventEmitter, what: RegExp): Promise<void> {
    for (let said = ""; !what.test(said); ) [said] = (await once(told, "replicate")) as [string];
  }

  async function restored(): Promise<string> {
    const into = await mkdtemp(join(ground, "into-"));
    const { answer, exitCode } = await run(
      "restore",
      ...["--stack", "west", "--only", "config,user-data", "--into", into],
    ).ended;
    expect(exitCode, JSON.stringify(answer)).to.equal(0);
    return into;
  }

  it("are in the standby's bucket seconds after they were changed, and come back from there", async () => {
    const { interrupt, told } = run("replicate", ...replicated, "--every", "0.01");
    await toldOf(told, /stored/);
    await writeFile(join(ground, "files/deep/notes"), "second");
    await toldOf(told, /stored/);
    await mkdir(join(ground, "made"));
    await writeFile(join(ground, "made/later"), "in a folder that was made meanwhile");
    await rename(join(ground, "made"), join(ground, "files/made"));
    await toldOf(told, /stored/);
    const { answer, exitCode } = await interrupt();

    expect(exitCode).to.equal(0);
    expect(answer.folders).to.include({ isExact: true });
    const into = await restored();
    expect(await readFile(join(into, "files/deep/notes"), "utf8")).to.equal("second");
    expect(await readFile(join(into, "files/made/later"), "utf8")).to.contain("meanwhile");
    expect(await readFile(join(into, "app/app.yaml"), "utf8")).to.equal("level: 3\n");
  });

  it("are brought once, and make no point where they are unchanged", async () => {
    const first = await run("replicate", ...replicated, "--once").ended;
    const again = await run("replicate", ...replicated, "--once").ended;

    expect(first.answer.folders).to.include({ isChanged: true });
    expect(again.answer.folders).to.include({
      isChanged: false,
      recoveryPoint: first.answer.folders.recoveryPoint,
      storedBytes: 0,
    });
  });

  it("are brought by a pod that is told what its job needs, which makes nothing but points and their keys, and those in the standby", async () => {
    const job = "replicate-folders";
    const keys = { signing };
    const west = regionForPeer(regions.west, { store: undefined, qdrant: undefined });
    const told = { east: ownRegionFor(job, regions.east, keys), west: peerRegionFor(job, west, regions.east, keys) };
    for (const [name, region] of Object.entries(told))
      await writeFile(join(ground, "regions", `${name}.json`), JSON.stringify(region));
    const made = async (store: string) => (await readdir(join(ground, store))).sort();
    const [repository, control] = [await made("east-repository"), await made("east-control")];

    const { answer, exitCode } = await run("replicate", ...replicated, "--once").ended;

    expect(exitCode, JSON.stringify(answer)).to.equal(0);
    expect(await made("east-repository")).to.deep.equal(repository);
    expect(await made("east-control")).to.deep.equal(control);
    expect(await made("west-repository")).to.deep.equal([
      "packs",
      // What was tried out before the store was first written to.
      "probes",
      "recovery-points",
      "repository.json",
      "sessions",
      "trees",
    ]);
    expect(await made("west-control")).to.deep.equal(["epochs", "keys", "probes"]);
  });

  it("that are gone are told, and followed again when they are back: nothing is dropped for it", async () => {
    const { interrupt, told } = run("replicate", ...replicated, "--every", "0.01");
    await toldOf(told, /stored/);
    await rename(join(ground, "files"), join(ground, "away"));
    await writeFile(join(ground, "etc/app.yaml"), "level: 4\n");
    await toldOf(told, /stored.*missing: user-data files.*is gone/);
    await rename(join(ground, "away"), join(ground, "files"));
    await toldOf(told, /stored/);
    await interrupt();

    const into = await restored();
    expect(await readFile(join(into, "files/deep/notes"), "utf8")).to.equal("first");
    expect(await readFile(join(into, "app/app.yaml"), "utf8")).to.equal("level: 4\n");
  });

  it("that never were there are told, and hold up nothing; that were emptied on purpose are followed once that is said", async () => {
    await rename(join(ground, "files"), join(ground, "away"));
    const { interrupt, told } = run("replicate", ...replicated, "--every", "0.01");
    await toldOf(told, /stored.*missing: user-data files.*there is no folder/);
    await rename(join(ground, "away"), join(ground, "files"));
    await toldOf(told, /stored/);
    expect((await interrupt()).exitCode).to.equal(0);

    await rm(join(ground, "files/deep"), { recursive: true });
    const partial = await run("replicate", ...replicated, "--once").ended;
    expect(partial.exitCode).to.equal(15);
    expect(partial.answer.folders.missing[0]).to.include({ name: "files", code: "LINEAGE_BROKEN" });
    expect((await run("replicate", ...replicated, "--once", "--allow-empty").ended).exitCode).to.equal(0);
    expect((await run("replicate", ...replicated, "--once").ended).answer.folders).to.include({ isChanged: false });
  });

  it("wait while another region is active, and go on by themselves when theirs is again", async () => {
    const { interrupt, told } = run("replicate", ...replicated, "--every", "0.01");
    await toldOf(told, /stored/);
    const deposed = { ...firstEpoch, epoch: 2, active: "west", previous: "east", reason: "failover" } as const;
    await claimEpoch(storeOf(regions.west, "control"), deposed);
    await writeFile(join(ground, "files/deep/notes"), "written in a region that is not active");
    await toldOf(told, /ROLE_REFUSES.*east is not the active region.*waits/);
    const back = { ...firstEpoch, epoch: 3, active: "east", previous: "west", reason: "switchover" } as const;
    await claimEpoch(storeOf(regions.west, "control"), back);
    await toldOf(told, /stored/);

    expect((await interrupt()).exitCode).to.equal(0);
    expect(await readFile(join(await restored(), "files/deep/notes"), "utf8")).to.contain("not active");
  });

  it("are refused where there are none, or they cannot follow", async () => {
    const refusals = [
      [["--from", "east", "--to", "west", "--only", "infrastructure"], "infrastructure of region east cannot"],
      [["--from", "west", "--to", "east", "--only", "user-data"], "user-data of region west cannot"],
      [["--from", "east", "--to", "west", "--only", "config", "--half", "apply"], "leave --only out"],
      [["--from", "east", "--to", "west", "--only", "config", "--allow-empty"], "belongs to --once"],
    ] as const;
    for (const [options, message] of refusals) {
      const { answer, exitCode } = await run("replicate", ...options).ended;
      expect(exitCode, message).to.equal(2);
      expect(answer.error.message).to.contain(message);
    }
    // The standby's store: each capture would be a change.
    const within = { ...regions.east, userData: [{ name: "all", path: ground, exclude: ["east-*"] }] };
    await writeFile(join(ground, "regions", "east.json"), JSON.stringify(within));
    const { answer, exitCode } = await run("replicate", ...replicated).ended;
    expect(exitCode).to.equal(2);
    expect(answer.error.message).to.contain("holds the store").and.contain("west-repository");
  });

  it("cost what changed: neither the bucket is listed again, nor its trees are read", async () => {
    const stores = storesWithEpoch();
    const asked: string[] = [];
    const counted = new Proxy(stores.repository, {
      get(store, name, self) {
        const value = Reflect.get(store, name, self);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          asked.push(String(name));
          return value.apply(store, args);
        };
      },
    });
    expect(counted).to.be.instanceOf(MemoryStore);
    const { wrap } = await ageKeys();
    const repository = await OpenRepository.openOrCreate({ ...stores, repository: counted }, wrap);
    let later = 0;
    const clock = clockShowing(() => new Date(Date.now() + later));
    const stream = new FolderStream({
      source: { region: "east", database: {} as VectorDatabase, control: stores.control },
      folders: [{ kind: "user-data", name: "files", source: new LocalFolder({ path: join(ground, "files") }) }],
      repository,
      clock,
      progress: silently,
      toolVersion: "test",
      allowEmpty: false,
    });
    await stream.capture();
    for (let n = 0; n < 3; n += 1) {
      asked.length = 0;
      await writeFile(join(ground, "files/deep/notes"), `change ${n}`);
      expect(await stream.capture()).to.include({ isChanged: true });
      expect(
        asked.filter((name) => name === "list"),
        `change ${n}`,
      ).to.deep.equal([]);
      expect(asked.length, `change ${n}`).to.be.lessThan(12);
      // Read once more, because it was so new that its times might not tell.
      later += 10_000;
      expect(await stream.capture()).to.include({ isChanged: false });
      asked.length = 0;
      expect(await stream.capture()).to.include({ isChanged: false, readBytes: 0 });
      expect(asked, `no change after ${n}`).to.deep.equal([]);
    }
  });
});
