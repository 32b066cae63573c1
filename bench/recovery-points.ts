/** Captures and restores of one collection, beside what else one could use, on the same data in the same run. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { availableParallelism, cpus, homedir, loadavg, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { Region } from "../runtime/domain/region.ts";
import { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import { type Change, changeCollection, fillCollection, pointsFor } from "./collection-under-test.ts";
import {
  byCollectionSnapshot,
  limitByCurl,
  limitByNode,
  type OtherToolRun,
  Restic,
  readOnly,
  type Servers,
  saveArchives,
  uploadLimit,
} from "./other-tools.ts";
import { newRegion, type ProductRun, runProduct } from "./product.ts";
import type { Measurements } from "./recovery-point-results.ts";
import type { Scratch } from "./scratch.ts";

export interface RecoveryPointOptions {
  /** Megabytes of archives, as Qdrant sends them. */
  readonly size: number;
  /** Keep the filled data folder for the next run, or use the one that an earlier run kept. */
  readonly keepData: boolean;
  /** Only ours and the limit: for whoever makes the product faster. */
  readonly withoutPeers: boolean;
  /** The last phase; those before it are what it needs. */
  readonly until: Phase;
  /** How often each thing is measured; less often of very much data. */
  readonly rounds: number;
  /** Folder for CPU profiles of our processes. */
  readonly profiles?: string;
}

export const phases = ["full", "unchanged", "one-point", "changed", "restore", "snapshot"] as const;
export type Phase = (typeof phases)[number];

type Say = (text: string) => void;

export async function measureRecoveryPoints(
  scratch: Scratch,
  options: RecoveryPointOptions,
  say: Say,
): Promise<Measurements> {
  const loadBefore = loadavg()[0] ?? 0;
  const points = pointsFor(options.size);
  const servers: Servers = {
    scratch,
    qdrant: await startFilled(scratch, points, options.keepData, say),
    store: await startStore(scratch),
  };
  const runs = new Runs(servers, options, say);
  say("reading once, so that everything is in the page cache");
  await readOnly(servers);
  const read = await readOnly(servers);
  let onePoint: Measurements["onePoint"];
  for (const phase of phases.slice(0, phases.indexOf(options.until) + 1)) {
    if (phase === "full") await runs.full();
    if (phase === "unchanged") await runs.unchanged();
    if (phase === "one-point") onePoint = await runs.onePoint(points);
    if (phase === "changed") await runs.changed(points);
    if (phase === "restore") await runs.restores();
    if (phase === "snapshot" && !options.withoutPeers) await runs.snapshot();
  }
  return {
    data: { points, shards: 2, archiveBytes: read.bytes, readSeconds: read.seconds },
    machine: {
      cores: availableParallelism(),
      cpu: cpus()[0]?.model ?? "unknown",
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      loadBefore,
      loadAfter: loadavg()[0] ?? 0,
      versions: await versions(scratch, !options.withoutPeers),
    },
    runs: runs.measured,
    ...(onePoint === undefined ? {} : { onePoint }),
  };
}

/** Everything of one run; each `ours` is a process of the product. */
class Runs {
  readonly measured = {
    full: { ours: [] as ProductRun[], restic: [] as OtherToolRun[], limit: [] as OtherToolRun[] },
    unchanged: { ours: [] as ProductRun[], restic: [] as OtherToolRun[] },
    changed: { ours: [] as ProductRun[], restic: [] as OtherToolRun[] },
    restore: { ours: [] as ProductRun[], restic: [] as OtherToolRun[], limit: [] as OtherToolRun[] },
    snapshot: [] as OtherToolRun[],
  };
  readonly #servers: Servers;
  readonly #options: RecoveryPointOptions;
  readonly #say: Say;
  readonly #rounds: number;
  #region: Region | undefined;
  #restic: Restic | undefined;
  #resticAtOnce = true;
  #version = 1;
  #names = 0;

  constructor(servers: Servers, options: RecoveryPointOptions, say: Say) {
    this.#servers = servers;
    this.#options = options;
    this.#say = say;
    this.#rounds = options.rounds;
  }

  async full(): Promise<void> {
    const { full } = this.measured;
    for (let round = 0; round < this.#rounds; round += 1) {
      const ours = async () => {
        this.#region = await newRegion(this.#servers.qdrant, this.#servers.store, this.#newName("ours"));
        full.ours.push(this.#told("full, ours", await this.#capture("full")));
      };
      const limits = async () => {
        const bucket = await this.#servers.store.bucket(this.#newName("limit"));
        full.limit.push(this.#told("full, limit", await limitByNode(this.#servers, bucket)));
        full.limit.push(this.#told("full, limit", await limitByCurl(this.#servers, bucket)));
      };
      const restic = async () => {
        this.#restic = new Restic(this.#servers, await this.#servers.store.bucket(this.#newName("restic")));
        await this.#restic.init();
        // Both ways are tried, and the faster one counts and is used from then on.
        full.restic.push(this.#told("full, restic", await this.#restic.backup(round === 0)));
      };
      await this.#inTurn(round, [ours, limits, restic]);
    }
    this.#resticAtOnce = fastest(full.restic)?.way !== "one shard after the other";
  }

  async unchanged(): Promise<void> {
    const { unchanged } = this.measured;
    for (let round = 0; round < this.#rounds; round += 1) {
      await this.#inTurn(round, [
        async () => void unchanged.ours.push(this.#told("unchanged, ours", await this.#capture("incremental"))),
        async () => void unchanged.restic.push(this.#told("unchanged, restic", await this.#backup())),
      ]);
    }
  }

  async onePoint(points: number): Promise<NonNullable<Measurements["onePoint"]>> {
    await this.#change(points, { upserted: 1, deleted: 0 });
    const ours = this.#told("one point, ours", await this.#capture("incremental"));
    if (this.#options.withoutPeers) return { ours };
    return { ours, restic: this.#told("one point, restic", await this.#backup()) };
  }

  async changed(points: number): Promise<void> {
    const { changed } = this.measured;
    for (let round = 0; round < this.#rounds; round += 1) {
      await this.#change(points, { upserted: Math.ceil(points / 100), deleted: Math.ceil(points / 1000) });
      await this.#inTurn(round, [
        async () => void changed.ours.push(this.#told("changed, ours", await this.#capture("incremental"))),
        async () => void changed.restic.push(this.#told("changed, restic", await this.#backup())),
      ]);
    }
  }

  async restores(): Promise<void> {
    const { restore } = this.measured;
    const { scratch } = this.#servers;
    const archives = await saveArchives(this.#servers);
    for (let round = 0; round < this.#rounds; round += 1) {
      await this.#inTurn(round, [
        () =>
          this.#onEmptyServer(async ({ apiKey, url }) => {
            const target = { peers: [url], apiKey };
            const run = await this.#product({ action: "restore", region: this.#regionNow(), target });
            restore.ours.push(this.#told("restore, ours", run));
          }),
        () =>
          this.#onEmptyServer(async (target) => {
            restore.limit.push(
              this.#told("restore, upload", await uploadLimit(scratch, target, archives, round === 0)),
            );
          }),
        () =>
          this.#onEmptyServer(async (target) => {
            if (this.#restic === undefined) return;
            restore.restic.push(this.#told("restore, restic", await this.#restic.restore(target)));
          }),
      ]);
    }
  }

  async snapshot(): Promise<void> {
    const bucket = await this.#servers.store.bucket(this.#newName("snapshot"));
    this.measured.snapshot.push(this.#told("collection snapshot", await byCollectionSnapshot(this.#servers, bucket)));
  }

  /** Every other round in reverse, so that none is always the one that finds warm or busy servers. */
  async #inTurn(round: number, steps: readonly (() => Promise<void>)[]): Promise<void> {
    const wanted = this.#options.withoutPeers ? steps.slice(0, Math.max(1, Math.min(2, steps.length - 1))) : steps;
    for (const step of round % 2 === 0 ? wanted : wanted.toReversed()) await step();
  }

  #capture(type: "full" | "incremental"): Promise<ProductRun> {
    return this.#product({ action: "capture", region: this.#regionNow(), type });
  }

  #product(order: Parameters<typeof runProduct>[1]): Promise<ProductRun> {
    return runProduct(this.#servers.scratch, order, this.#options.profiles);
  }

  #regionNow(): Region {
    if (this.#region === undefined) throw new Error("full captures come first");
    return this.#region;
  }

  async #backup(): Promise<OtherToolRun> {
    if (this.#restic === undefined) throw new Error("full backups come first");
    return this.#restic.backup(this.#resticAtOnce);
  }

  async #change(points: number, change: Change): Promise<void> {
    await changeCollection(this.#servers.qdrant, { points, version: this.#version, change });
    this.#version += 1;
  }

  async #onEmptyServer(act: (target: QdrantServer) => Promise<void>): Promise<void> {
    const target = await QdrantServer.start();
    const stop = () => target.stop();
    this.#servers.scratch.defer(stop);
    await act(target);
    await stop();
  }

  #newName(of: string): string {
    this.#names += 1;
    return `bench-${of}-${this.#names}`;
  }

  #told<T extends OtherToolRun>(what: string, run: T): T {
    this.#say(`${what}: ${run.seconds.toFixed(2)} s${run.way === undefined ? "" : ` (${run.way})`}`);
    return run;
  }
}

function fastest<T extends { readonly seconds: number }>(runs: readonly T[]): T | undefined {
  return runs.toSorted((a, b) => a.seconds - b.seconds)[0];
}

async function startStore(scratch: Scratch): Promise<SeaweedServer> {
  const store = await SeaweedServer.start();
  scratch.defer(() => store.stop());
  return store;
}

/** A Qdrant with so many points; filled, or on a copy of what an earlier run filled. */
async function startFilled(scratch: Scratch, points: number, keepData: boolean, say: Say): Promise<QdrantServer> {
  const kept = join(cacheFolder(), "bench", `documents-${points}`);
  if (keepData && existsSync(kept)) {
    say(`using the data in ${kept}`);
    const server = await QdrantServer.start("alone", async (folder) => {
      await scratch.run("cp", ["-a", kept, join(folder, "storage")]);
    });
    scratch.defer(() => server.stop());
    return server;
  }
  const server = await QdrantServer.start();
  scratch.defer(() => server.stop());
  await fillCollection(server, points, say);
  if (!keepData) return server;
  await server.kill("SIGTERM");
  mkdirSync(dirname(kept), { recursive: true });
  const unfinished = `${kept}.${process.pid}`;
  await scratch.run("cp", ["-a", join(server.folder, "storage"), unfinished]);
  renameSync(unfinished, kept);
  await server.restart();
  return server;
}

function cacheFolder(): string {
  const { QDRANT_DR_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
  return own || join(shared || join(homedir(), ".cache"), "qdrant-dr");
}

async function versions(scratch: Scratch, withPeers: boolean): Promise<Record<string, string>> {
  const lines = ["qdrant --version", "weed version", ...(withPeers ? ["restic version"] : []), "curl --version"];
  const told = await Promise.all(lines.map((line) => scratch.bash(line)));
  const words = told.map(({ output }) => /\d+\.\d[\w.]*/.exec(output)?.[0] ?? "unknown");
  const names = lines.map((line) => line.split(" ")[0] ?? "");
  return { node: process.versions.node, ...Object.fromEntries(names.map((name, at) => [name, words[at] ?? ""])) };
}
