/** What a region that was given up is told to have, on real Qdrants: beside the active region, and beside the point that was served. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { readStandbyState } from "../../runtime/repository/control/standby-records.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { firstEpoch } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { type RegionPair, regionPair } from "../support/estates/region-pair.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const settings = { vectors: { size: 2, distance: "Dot" as const }, wal_config: { wal_capacity_mb: 1 } };

describe("divergence after a failover", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-divergence-"));
  let regions: RegionPair;
  const key = process.env["QDRANT_API_KEY"];
  let old: QdrantServer;
  let active: QdrantServer;
  let beside: QdrantServer;
  let recoveryPoint: string;

  before("writes, deletes and a drop that the other region never saw, and writes there since", async () => {
    [old, active, beside] = await Promise.all([QdrantServer.start(), QdrantServer.start(), QdrantServer.start()]);
    process.env["QDRANT_API_KEY"] = beside.apiKey;
    const of = ({ apiKey, url }: QdrantServer) => ({ qdrant: { peers: [url], apiKey } });
    regions = await regionPair(folder, { east: of(old), west: of(active) });
    for (const name of ["notes", "dropped"]) {
      await clientOf(old).createCollection(name, settings);
      await write(old, name, [1, 2, 3, 4, 5], "before");
    }
    expect((await run("replicate", "--from", "east", "--to", "west", "--once")).exitCode).to.equal(0);
    const control = storeOf(regions.west, "control");
    recoveryPoint = (await readStandbyState(control, new Date()))?.recoveryPoint ?? "";
    await write(old, "notes", [2], "lost");
    await write(old, "notes", [10], "lost");
    await clientOf(old).delete("notes", { wait: true, points: [4, 5] });
    await clientOf(old).deleteCollection("dropped");
    const at = new Date().toISOString();
    await claimEpoch(control, {
      ...firstEpoch,
      epoch: 2,
      active: "west",
      reason: "failover",
      run: "r",
      at,
      recoveryPoint,
    });
    await write(active, "notes", [20, 21, 22], "since");
  });

  after(async () => {
    if (key === undefined) delete process.env["QDRANT_API_KEY"];
    else process.env["QDRANT_API_KEY"] = key;
    await Promise.all([old?.stop(), active?.stop(), beside?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function write(server: QdrantServer, name: string, ids: readonly number[], tag: string): Promise<void> {
    const points = ids.map((id) => ({ id, vector: [id, 1], payload: { tag } }));
    await clientOf(server).upsert(name, { wait: true, points });
  }

  async function run(...args: string[]) {
    let output = "";
    const say = (text: string) => {
      output += `${text}\n`;
    };
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const exitCode = await runCheckedCli([...args, "--outputs", join(folder, "regions")], deps, { out: say, err: say });
    return { exitCode, output };
  }

  const divergence = (...more: string[]) => run("divergence", "--to", "east", ...more);

  it("beside the active region: what only the old one has, and what is otherwise there", async () => {
    const { exitCode, output } = await divergence("--json");
    expect(exitCode).to.equal(0);
    expect(JSON.parse(output)).to.deep.equal({
      region: "east",
      collections: [{ name: "notes", isMissing: false, onlyThere: [10], different: [2] }],
    });
  });

  it("beside the point that was served: deletes too, and nothing that was written since", async () => {
    const restored = await run("restore", "--stack", "west", "--recovery-point", recoveryPoint, "--to", beside.url);
    expect(restored.exitCode, restored.output).to.equal(0);

    const { exitCode, output } = await divergence("--against", beside.url, "--json");

    expect(exitCode, output).to.equal(0);
    expect(JSON.parse(output).collections).to.deep.equal([
      { name: "notes", isMissing: false, onlyThere: [10], different: [2], deletedThere: [4, 5] },
      { name: "dropped", isMissing: false, onlyThere: [], different: [], deletedThere: [1, 2, 3, 4, 5] },
    ]);
    expect((await divergence("--against", beside.url)).output).to.contain(
      "notes: 1 points only there, 1 with other contents, 2 deleted there",
    );
  });

  it("refuses a Qdrant that does not hold that point, a URL that is none, and to compare with what nobody served", async () => {
    await emptied(databaseOf(beside));
    const empty = await divergence("--against", beside.url);
    expect(empty.exitCode).to.equal(12);
    expect(empty.output)
      .to.contain(`does not hold ${recoveryPoint}`)
      .and.contain(`restore --stack west --recovery-point ${recoveryPoint}`);
    expect((await divergence("--against", "nowhere")).exitCode).to.equal(2);
    const other = await run("divergence", "--to", "west", "--against", beside.url);
    expect(other.exitCode).to.equal(11);
  });
});
