/**
 * Planned failovers there and back, and a warm unplanned one, on one embedded estate under a client that never stops:
 * nothing is lost when both regions live, what is lost otherwise is told, and an old primary that comes back does not serve.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

  it("planned, stopped by a hook: it is given up, and the region that was active serves on", async () => {
    const hooks = join(estates, "hooks.json");
    const command = ["sh", "-c", 'test "$QDRANT_DR_STEP $QDRANT_DR_WHEN $QDRANT_DR_EPOCH" != "compare after 3"'];
    writeFileSync(hooks, JSON.stringify([{ when: "after", step: "compare", command, onFailure: "stop" }]));
    const stopped = start("--to", "standby", "--planned", "--hooks", hooks);
    expect(await stopped.end(), stopped.stderr).to.equal(14);
    expect(stopped.stderr).to.contain("the failover was given up and primary serves again");
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([200, 503]);
  });

  it("planned: no acknowledged write is lost, and clients that still know the old region's address are refused", async () => {
    const report = await run("--to", "standby", "--planned");
    console.log((report["steps"] as {name: string; seconds: number; detail: string}[]).map((s) => `${s.name} ${s.seconds} ${s.detail}`).join("\n"), report["pauseSeconds"], report["seconds"]);
    expect(report).to.include({ region: "standby", from: "primary", epoch: 4, mode: "planned", dataLossSeconds: 0 });
    expect(report["isVerified"]).to.equal(true);
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([503, 200]);
    await written(20);
    expect(await lostIn("standby")).to.deep.equal([]);
    expect(await estate.stacks.region("standby")).to.include({ role: "active", epoch: 4 });
    expect(await estate.stacks.region("primary")).to.include({ role: "fenced", epoch: 4 });
  });

  it("planned back to where it was: nothing is lost either", async () => {
    expect(await run("--to", "primary", "--planned")).to.include({ region: "primary", epoch: 5, dataLossSeconds: 0 });
    await written(20);
    expect(await lostIn("primary")).to.deep.equal([]);
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([200, 503]);
  });

  it("unplanned, warm: serves what the standby followed to, and --plan had said so", async () => {
    const follow = Product.start(
      ["replicate", "--from", "primary", "--to", "standby", "--replace-existing", "--once", "--estate", estate.id],
      estates,
    );
    expect(await follow.end(), follow.stderr).to.equal(0);
    await killEstate(estate.id, ["primary-qdrant", "primary-gate"]);
    const goneAt = Date.now();
    expect(await run("--to", "standby", "--plan")).to.include({ epoch: 6, isWarm: true });
    const report = await run("--to", "standby", "--unplanned", "--accept-data-loss", "3600");
    expect(report).to.include({ region: "standby", epoch: 6, mode: "unplanned", isWarm: true, isVerified: true });
    await client.until((log) => acknowledged(log).some(({ at }) => at > goneAt + 500), 30_000);
    const lost = new Set(await lostIn("standby"));
    const since = Date.parse(String(report["startedAt"])) - 1000 * Number(report["dataLossSeconds"]);
    const early = acknowledged(await client.log()).filter(({ at, id }) => lost.has(id) && at < since);
    expect(early).to.deep.equal([]);
  });

  it("the old primary comes back by itself: it does not serve, an `up` changes no role, and what only it has is told", async () => {
    await estate.stacks.refresh("primary");
    await estate.stacks.up("primary", quietly);
    expect(await estate.stacks.region("primary")).to.include({ role: "fenced", epoch: 6 });
    expect([await statusAt("primary"), await statusAt("standby")]).to.deep.equal([503, 200]);
    const [collection = ""] = collections;
    const known = await lostIn("standby");
    const { collections: found } = (await run("--to", "primary", "--divergence")) as {
      collections: { name: string; onlyThere: number[]; different: number[] }[];
    };
    expect(found.flatMap(({ onlyThere }) => onlyThere).sort()).to.deep.equal([...known].sort());
    expect(found.flatMap(({ different }) => different)).to.deep.equal([]);
    expect(known.length, collection).to.be.greaterThan(0);
  });

  it("failed back: what only the old primary had is kept as a record, then nothing that is active is lost", async () => {
    const report = await run("--to", "primary", "--planned");
    expect(report).to.include({ region: "primary", epoch: 7, dataLossSeconds: 0 });
    const steps = report["steps"] as { name: string; detail: string }[];
    expect(steps.find(({ name }) => name === "divergence")?.detail).to.match(/are only or otherwise in primary: kept/);
    await written(10);
    const [lostBefore, now] = [await lostIn("standby"), await lostIn("primary")];
    expect(now.filter((id) => !lostBefore.includes(id))).to.deep.equal([]);
  });
});

function acknowledged(log: readonly WriteLogEntry[]): WriteLogEntry[] {
  return log.filter(({ kind }) => kind === "acknowledged");
}
