/**
 * The commands that a region's CronJobs run, word for word, one after the other on real Qdrants: only what the cluster puts in (index
 * and name of the job, the folder with what the job is told of the regions, the address of the throw-away Qdrant) is put in here.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { ownRegionFor, peerRegionFor, type RegionJob } from "../../runtime/domain/region-for-job.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { RegionDeclarer } from "../support/estates/kubernetes-region.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { clientOf, contentOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { signing, storeOf } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";
const workers = 2;

describe("scheduled commands of a region in a cluster", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-scheduled-"));
  const regions = new Map<string, Region>();
  const keyBefore = process.env["QDRANT_API_KEY"];
  /** By the CronJob's name, what its container is given and whose account it has. */
  let commands: ReadonlyMap<string, { readonly args: readonly string[]; readonly job: RegionJob }>;
  let live: QdrantServer;
  let throwaway: QdrantServer;

  before(async () => {
    const { resources } = await new RegionDeclarer().declare({ kubernetes: { schedules: { workers } } });
    commands = new Map(
      resources
        .filter(({ inputs }) => inputs["kind"] === "CronJob")
        // biome-ignore lint/suspicious/noExplicitAny: a CronJob, whose container is looked for
        .map(({ inputs }: any) => {
          const { containers, serviceAccountName } = inputs.spec.jobTemplate.spec.template.spec;
          const job = serviceAccountName.slice("qdrant-dr-".length);
          return [inputs.metadata.name, { args: containers[0].args.slice(1), job }];
        }),
    );
    [live, throwaway] = await Promise.all([QdrantServer.start("first"), QdrantServer.start("first")]);
    const { outputs } = await lonelyRegion("prod", folder);
    for (const region of ["prod", "dr"]) regions.set(region, await regionOf(region, outputs));
    process.env["QDRANT_API_KEY"] = throwaway.apiKey;
    const client = clientOf(live);
    const vectors = { size: 4, distance: "Dot" } as const;
    await client.createCollection(collection, { vectors, shard_number: 3, wal_config: { wal_capacity_mb: 1 } });
    await write(1, 300);
  });

  after(async () => {
    if (keyBefore === undefined) delete process.env["QDRANT_API_KEY"];
    else process.env["QDRANT_API_KEY"] = keyBefore;
    await Promise.all([live?.stop(), throwaway?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function regionOf(region: string, outputs: Region): Promise<Region> {
    for (const store of ["repository", "control"]) mkdirSync(join(folder, `${region}-${store}`));
    const own: Region = {
      ...outputs,
      region,
      peer: region === "prod" ? "dr" : "prod",
      role: region === "prod" ? "active" : "standby",
      qdrant: { peers: [live.url], apiKey: live.apiKey },
      repository: { kind: "file", folder: join(folder, `${region}-repository`) },
      control: { kind: "file", folder: join(folder, `${region}-control`) },
    };
    const at = "2026-01-01T00:00:00.000Z";
    await claimEpoch(storeOf(own, "control"), { epoch: 1, active: "prod", reason: "initial", run: "r", at });
    return own;
  }

  /** What the pods of a job find, which run in the region `here`. */
  function regionsFor(job: RegionJob, here: string): string {
    const into = mkdtempSync(join(folder, `${job}-`));
    const sameKeys = { store: undefined, qdrant: undefined };
    const own = regions.get(here);
    if (own === undefined) throw new Error(`there is no region ${here}`);
    const told = [...regions].map(([name, region]) => [
      name,
      name === here
        ? ownRegionFor(job, region, { signing })
        : peerRegionFor(job, regionForPeer(region, sameKeys), own, { signing }),
    ]);
    for (const [name, region] of told)
      if (region !== undefined) writeFileSync(join(into, `${name}.json`), JSON.stringify(region));
    return into;
  }

  async function write(from: number, to: number): Promise<void> {
    const points = Array.from({ length: to - from + 1 }, (_, n) => ({
      id: from + n,
      vector: [from + n, 1, n % 7, 0.5],
    }));
    await clientOf(live).upsert(collection, { wait: true, points });
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of commands are compared field by field
  async function run(name: string, replaced: Record<string, string> = {}): Promise<any> {
    const declared = commands.get(name);
    if (declared === undefined) throw new Error(`there is no CronJob ${name}`);
    const told = regionsFor(declared.job, replaced["prod"] ?? "prod");
    const given = { "/etc/qdrant-dr/regions": told, "http://127.0.0.1:6333": throwaway.url, ...replaced };
    const args = declared.args.map((arg) => {
      const [what, by] = Object.entries(given).find(([part]) => arg === part || arg.startsWith(`${part}/`)) ?? ["", ""];
      return arg.replace(what, by);
    });
    const deps = await compose({ progress: () => {}, onInterrupt: () => () => undefined });
    let said = "";
    let out = "";
    const exitCode = await runCheckedCli([...args, "--json"], deps, {
      out: (text) => (out += text),
      err: (text) => (said += text),
    });
    expect(exitCode, `${args.join(" ")}: ${said}`).to.equal(0);
    return JSON.parse(out);
  }

  function capture(name: string, job: string) {
    const indexes = Array.from({ length: workers }, (_, index) => String(index));
    return Promise.all(indexes.map((index) => run(name, { "$(JOB_COMPLETION_INDEX)": index, "$(SESSION)": job })));
  }

  it("full and incremental captures by several workers commit a point each", async () => {
    const full = await capture("qdrant-dr-full", "qdrant-dr-full-29400000");
    expect(full.some(({ isCommitted }) => isCommitted)).to.equal(true);
    await write(301, 350);
    const incremental = await capture("qdrant-dr-incremental", "qdrant-dr-incremental-29400240");
    const committed = incremental.find(({ isCommitted }) => isCommitted);
    expect(committed).to.include({ type: "incremental", points: 350, isExact: true });
  });

  it("verify, and a test restore into the throw-away Qdrant, which is as the live one", async () => {
    await run("qdrant-dr-verify");
    await run("qdrant-dr-test-restore");
    expect(await contentOf(databaseOf(throwaway), collection)).to.deep.equal(
      await contentOf(databaseOf(live), collection),
    );
  });

  it("copy brings both points into the other region's bucket", async () => {
    // It is declared in the region that fetches; here the other one does.
    const { copied } = await run("qdrant-dr-copy", { dr: "prod", prod: "dr" });
    expect(copied).to.have.length(2);
  });

  it("a drill rehearses the other region's promotion in its throw-away Qdrant, and leaves it empty", async () => {
    await emptied(databaseOf(throwaway));
    const found = await run("qdrant-dr-drill", { prod: "dr" });
    expect(found).to.include({ region: "dr", from: "prod", isWarm: false, points: 350 });
    expect(await databaseOf(throwaway).collections()).to.deep.equal([]);
  });
});
