/** The replicate command on two real Qdrants: once, again and again, interrupted, and told that it is not to be done. */

import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import type { ProgressEvent } from "../../runtime/ports/progress.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { readStandbyState } from "../../runtime/repository/control/standby-records.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { type RegionPair, regionPair } from "../support/estates/region-pair.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";

describe("qdrant-dr replicate", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-replicate-"));
  const servers: QdrantServer[] = [];
  let regions: RegionPair;

  before(async () => {
    const started = async () => {
      const server = await QdrantServer.start();
      servers.push(server);
      return { qdrant: { peers: [server.url], apiKey: server.apiKey } };
    };
    regions = await regionPair(folder, { east: await started(), west: await started() });
    const [source] = servers;
    if (source === undefined) throw new Error("no server");
    await clientOf(source).createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await write(1, 100, "first");
  });

  after(async () => {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function write(from: number, to: number, tag: string): Promise<void> {
    const points = Array.from({ length: to - from + 1 }, (_, n) => ({
      id: from + n,
      payload: { tag },
      vector: [n, 1, 2, 3],
    }));
    if (servers[0] !== undefined) await clientOf(servers[0]).upsert(collection, { wait: true, points });
  }

  async function expectEqual(): Promise<void> {
    const [source, standby] = servers.map((server) => databaseOf(server));
    if (source === undefined || standby === undefined) throw new Error("no servers");
    expect(await contentOf(standby, collection)).to.deep.equal(await contentOf(source, collection));
  }

  /** Runs it; what it tells is emitted as `told`. */
  function run(...options: string[]) {
    const told = new EventEmitter();
    const cleaning: (() => Promise<void>)[] = [];
    let output = "";
    const write = (text: string) => {
      output += `${text}\n`;
    };
    const args = ["replicate", "--from", "east", "--to", "west", "--outputs", join(folder, "regions"), ...options];
    const ended = (async () => {
      const deps = await compose({
        progress: (event: ProgressEvent) => void told.emit(event.step, event.detail ?? ""),
        onInterrupt(clean) {
          cleaning.push(clean);
          return () => undefined;
        },
      });
      const exitCode = await runCheckedCli(args, deps, { out: write, err: write });
      return { exitCode, output };
    })();
    return { told, ended, interrupt: () => Promise.all(cleaning.map((clean) => clean())) };
  }

  /** What is told next that begins so. */
  async function says(told: EventEmitter, beginning: string): Promise<string> {
    for (;;) {
      const [said] = await once(told, "replicate");
      if (String(said).startsWith(beginning)) return String(said);
    }
  }

  async function standbyHolds(points: number, text: string, told: EventEmitter): Promise<void> {
    const standby = databaseOf(servers[1] as QdrantServer);
    while (JSON.stringify(await contentOf(standby, collection)).split(text).length <= points) {
      await once(told, "replicate");
    }
  }

  it("brings the standby up to date once, and says what it holds", async () => {
    const { exitCode, output } = await run("--once", "--json").ended;
    expect(exitCode).to.equal(0);
    expect(JSON.parse(output)).to.include({ isExact: true, isChanged: true });
    await expectEqual();
  });

  it("goes on until it is interrupted, also when the source was down", async () => {
    const { ended, interrupt, told } = run("--every", "0.05");
    await once(told, "replicate");
    await write(50, 150, "while it runs");
    const [source] = servers;
    await source?.kill();
    await says(told, "UNREACHABLE");
    await source?.restart();
    await write(1, 20, "when it is back");
    await standbyHolds(20, "when it is back", told);
    await interrupt();
    const { exitCode } = await ended;
    expect(exitCode).to.equal(0);
    await expectEqual();
  });

  it("captures a collection of a slower tier once, and the others again and again", async () => {
    const [source] = servers;
    if (source === undefined) throw new Error("no server");
    const slow = "archive-1";
    await clientOf(source).createCollection(slow, {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    const { ended, interrupt, told } = run("--every", "0.05", "--tier", "archive-*=600");
    await once(told, "replicate");
    await clientOf(source).upsert(slow, { wait: true, points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    await write(60, 90, "beside a slower one");
    const written = Date.now();
    for (let count = 0; count < 3; count += 1) await once(told, "replicate");
    await standbyHolds(31, "beside a slower one", told);
    const control = storeOf(regions.west, "control");
    const state = await readStandbyState(control, new Date());
    await interrupt();
    await ended;

    const standby = databaseOf(servers[1] ?? source);
    expect(await standby.count(slow), "not read again").to.equal(0);
    expect(Date.parse(state?.asOf ?? ""), "the standby is as old as what is oldest").to.be.lessThan(written);
    await expectEqual();
    await run("--once").ended;
    expect(await standby.count(slow)).to.equal(1);
    await databaseOf(source).deleteCollection(slow);
  });

  for (const tier of ["archive-*", "archive=0", "=5", "archive=99999", "archive=soon"]) {
    it(`refuses the tier ${tier}`, async () => {
      const { exitCode, output } = await run("--tier", tier).ended;
      expect([exitCode, output]).to.deep.equal([2, output]);
      expect(output).to.contain("name=seconds, 1 to 3600");
    });
  }

  it("refuses tiers where nothing is captured again", async () => {
    for (const options of [["--once"], ["--half", "apply"], ["--only", "config"]]) {
      const { exitCode, output } = await run("--tier", "archive=5", ...options).ended;
      expect(exitCode).to.equal(2);
      expect(output).to.contain("--tier applies only to continuous capture");
    }
  });

  it("works in two halves, each a process of its own, and the applying one needs nothing of the source's Qdrant", async () => {
    const capturing = run("--half", "capture", "--every", "0.05");
    await once(capturing.told, "replicate");
    const applying = run("--half", "apply");
    await once(applying.told, "replicate");
    await write(30, 60, "in two halves");
    const written = Date.now();
    const control = storeOf(regions.west, "control");
    while (Date.parse((await readStandbyState(control, new Date()))?.asOf ?? "") < written) {
      await once(applying.told, "replicate");
    }
    const { output: refused } = await run("--half", "apply", "--once").ended;
    expect(refused).to.contain("--once");
    await Promise.all([capturing.interrupt(), applying.interrupt()]);
    expect((await capturing.ended).exitCode).to.equal(0);
    expect((await applying.ended).exitCode).to.equal(0);
    await expectEqual();
  });

  it("waits while another run has taken over, and while the source is not the active region, and ends when it is told to", async () => {
    const first = run("--every", "0.05");
    await once(first.told, "replicate");
    const second = run("--every", "0.05");
    await says(first.told, "EPOCH_CONFLICT");
    await once(second.told, "replicate");
    const deposed = {
      ...firstEpoch,
      epoch: 2,
      active: "west",
      previous: "east",
      reason: "failover",
      run: "r",
    } as const;
    await claimEpoch(storeOf(regions.west, "control"), deposed);
    expect(await says(second.told, "ROLE_REFUSES")).to.contain("east is not the active region");
    const { exitCode, output } = await run("--once").ended;
    expect(exitCode, output).to.equal(11);
    for (const { ended, interrupt } of [first, second]) {
      await interrupt();
      expect((await ended).exitCode).to.equal(0);
    }
  });
});
