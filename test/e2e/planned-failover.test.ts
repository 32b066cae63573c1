/**
 * Planned failovers there and back, and a warm unplanned one, on one embedded estate under a client that never stops:
 * nothing is lost when both regions live, what is lost otherwise is told, and an old primary that comes back does not serve.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EmbeddedEstate } from "../../runtime/adapters/embedded/embedded-estate.ts";
import { killEstate } from "../../runtime/adapters/embedded/local-process.ts";
import { projectFolder } from "../../runtime/compose.ts";
import type { Region } from "../../runtime/domain/estate/region.ts";
import { lostWrites, type WriteLogEntry } from "../../runtime/domain/practice/write-log.ts";
import { practiceGround } from "../../runtime/practice-ground.ts";
import type { WritingClient } from "../../runtime/workflows/practice/practise-disaster.ts";
import { Product } from "../support/product.ts";

const points = 600;
const quietly = () => {};

describe("planned and warm failovers on an embedded estate", function () {
  this.timeout(180_000);
  const estates = mkdtempSync(join(tmpdir(), "qdrant-dr-planned-"));
  const estatesBefore = process.env["QDRANT_DR_ESTATES"];
  let estate: EmbeddedEstate;
  let client: WritingClient;
  let collections: readonly string[];
  /** What the unplanned failover lost. */
  let lost: number[];
  let regions: Readonly<Record<"primary" | "standby", Region>>;

  before(async () => {
    process.env["QDRANT_DR_ESTATES"] = estates;
    estate = await EmbeddedEstate.create();
    await estate.keep();
    const about = { clock: { now: () => new Date() }, toolVersion: "0.0.0", versions: {} };
    const ground = practiceGround({ estate, totalPoints: points, workspace: projectFolder, ...about });
    await estate.stacks.up("standby", quietly);
    await estate.stacks.up("primary", quietly);
    collections = (await ground.load(quietly)).collections.map(({ name }) => name);
    regions = { primary: await estate.stacks.region("primary"), standby: await estate.stacks.region("standby") };
    client = await ground.startClient(collections);
    await client.until((log) => acknowledged(log).length > 30, 30_000);
  });

  after(async () => {
    await client?.stop();
    await estate?.remove();
    rmSync(estates, { recursive: true, force: true });
    if (estatesBefore === undefined) delete process.env["QDRANT_DR_ESTATES"];
    else process.env["QDRANT_DR_ESTATES"] = estatesBefore;
  });

  const start = (...args: readonly string[]) =>
    Product.startDirect(["failover", "--estate", estate.id, "--json", ...args], estates);

  async function run(...args: readonly string[]): Promise<Record<string, unknown>> {
    const product = start(...args);
    expect(await product.end(), product.stdout + product.stderr).to.equal(0);
    return product.json as Record<string, unknown>;
  }

  /** What was acknowledged until now and is not in the region. */
  async function lostIn(region: "primary" | "standby"): Promise<number[]> {
    const log = await client.log();
    const lost: number[] = [];
    for (const collection of collections) {
      const answer = await ask(region, "POST", `/collections/${collection}/points/scroll`, {
        ...{ limit: 100_000, with_payload: false, with_vector: false },
      });
      const present = (answer["result"] as { points: { id: number }[] }).points.map(({ id }) => id);
      const writes = acknowledged(log).filter((entry) => entry.collection === collection);
      lost.push(...lostWrites(writes, present).map(({ id }) => id));
    }
    return lost;
  }

  /** The region's Qdrant itself, around its gate. */
  async function ask(region: "primary" | "standby", method: string, path: string, body: object) {
    const { apiKey, peers } = regions[region].qdrant;
    const answer = await fetch(new URL(path, peers[0]), {
      method,
      headers: { "api-key": apiKey, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(answer.status).to.equal(200);
    return (await answer.json()) as Record<string, unknown>;
  }

  /** As a client that still has the region's own address. */
  async function statusAt(region: "primary" | "standby"): Promise<number> {
    const url = new URL("/collections", regions[region].gate?.url);
    const key = regions[region].endpoint?.clientKey ?? "";
    return (await fetch(url, { headers: { "api-key": key } })).status;
  }

  async function written(more: number): Promise<void> {
    const before = acknowledged(await client.log()).length;
    await client.until((log) => acknowledged(log).length >= before + more, 30_000);
  }

  it("planned, killed while the active region is fenced: no region serves, and --abort lets it serve again", async () => {
    const killed = start("--to", "standby", "--planned");
    await killed.says(/^last-writes: Bring/);
    killed.signal("SIGKILL");
    await killed.end();
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([503, 503]);
    expect(await run("--to", "standby", "--abort")).to.deep.equal({ epoch: 2, active: "primary" });
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([200, 503]);
    await written(10);
  });

  it("planned: no acknowledged write is lost, and clients that still know the old region's address are refused", async () => {
    const report = await run("--to", "standby", "--planned");
    expect(report).to.include({ region: "standby", from: "primary", epoch: 3, mode: "planned", dataLossSeconds: 0 });
    expect(report["isVerified"]).to.equal(true);
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([503, 200]);
    await written(20);
    expect(await lostIn("standby")).to.deep.equal([]);
    expect(await estate.stacks.region("standby")).to.include({ role: "active", epoch: 3 });
    expect(await estate.stacks.region("primary")).to.include({ role: "fenced", epoch: 3 });
  });

  it("unplanned, warm, the other way: serves what this region followed to, and --plan had said so", async () => {
    const args = ["--from", "standby", "--to", "primary", "--replace-existing", "--once", "--estate", estate.id];
    const follow = Product.startDirect(["replicate", ...args], estates);
    expect(await follow.end(), follow.stderr).to.equal(0);
    await written(5);
    await killEstate(estate.id, ["standby-qdrant", "standby-gate"]);
    const goneAt = Date.now();
    expect(await run("--to", "primary", "--plan")).to.include({ epoch: 4, isWarm: true });
    const report = await run("--to", "primary", "--unplanned", "--accept-data-loss", "3600");
    expect(report).to.include({ region: "primary", epoch: 4, mode: "unplanned", isWarm: true, isVerified: true });
    await client.until((log) => acknowledged(log).some(({ at }) => at > goneAt + 500), 30_000);
    lost = await lostIn("primary");
    const since = Date.parse(String(report["startedAt"])) - 1000 * Number(report["dataLossSeconds"]);
    const early = acknowledged(await client.log()).filter(({ at, id }) => lost.includes(id) && at < since);
    expect(early).to.deep.equal([]);
  });

  it("the region that was lost comes back: it does not serve, `up` changes no role, what only it has is told by id", async () => {
    await estate.stacks.refresh("standby");
    await estate.stacks.up("standby", quietly);
    expect(await estate.stacks.region("standby")).to.include({ role: "fenced", epoch: 4 });
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([200, 503]);
    const { collections: found } = (await run("--to", "standby", "--divergence")) as {
      collections: { onlyThere: number[]; different: number[] }[];
    };
    expect(lost).to.not.be.empty;
    // Beside what clients were told is safe: what was under way when it was killed.
    expect(found.flatMap(({ onlyThere }) => onlyThere)).to.include.members(lost);
    expect(found.flatMap(({ different }) => different)).to.deep.equal([]);
  });

  it("failed back: what only the old region had is kept as a record, and nothing of the active one is lost", async () => {
    const report = await run("--to", "standby", "--planned");
    expect(report).to.include({ region: "standby", epoch: 5, dataLossSeconds: 0 });
    const steps = report["steps"] as { name: string; detail: string }[];
    expect(steps.find(({ name }) => name === "divergence")?.detail).to.match(/are only or otherwise in standby: kept/);
    await written(10);
    expect(await lostIn("standby")).to.have.members(lost);
  });
});

function acknowledged(log: readonly WriteLogEntry[]): WriteLogEntry[] {
  return log.filter(({ kind }) => kind === "acknowledged");
}
