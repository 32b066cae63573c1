/**
 * Switchovers there and back and a warm failover on one practice estate whose gates work with leases, under a client that never stops,
 * killed at each step: nothing is lost when both regions live, what is lost otherwise is told, and an old primary that
 * comes back does not serve.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dumpYaml, loadYaml } from "@kubernetes/client-node";
import { expect } from "chai";
import { EmbeddedEstate } from "../../quickstart/adapters/embedded-estate.ts";
import { killEstate } from "../../quickstart/adapters/local-process.ts";
import { lostWrites, type WriteLogEntry } from "../../quickstart/domain/write-log.ts";
import { practiceGround } from "../../quickstart/practice-ground.ts";
import type { WritingClient } from "../../quickstart/workflow/practise-disaster.ts";
import { projectFolder } from "../../runtime/composition/compose.ts";
import type { FailoverEvidence } from "../../runtime/domain/failover-evidence.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { isProof } from "../support/how-many.ts";
import { Product } from "../support/product.ts";

const points = 600;
const quietly = () => {};
/** Short, because a promotion waits for it; renewed often enough on a machine with other work. */
const leaseSeconds = 4;

/**
 * Steps of a switchover only. The steps after the epoch are those of every failover: see failover-killed.test.ts. The suite kills
 * processes before nothing is decided, while it is, and after it; test/workflows/switchover.test.ts kills before and after every step.
 */
const killedAt = isProof
  ? ["follow", "fence", "drain", "compare", "epoch", "step-down"]
  : ["fence", "epoch", "step-down"];

describe("switchovers, and failovers to a standby that follows, on a practice estate, with leases", function () {
  this.timeout(300_000);
  const estates = mkdtempSync(join(tmpdir(), "qdrant-dr-planned-"));
  const estatesBefore = process.env["QDRANT_DR_ESTATES"];
  let estate: EmbeddedEstate;
  let client: WritingClient;
  let collections: readonly string[];
  /** What the failover lost. */
  let lost: number[];
  let regions: Readonly<Record<"primary" | "standby", Region>>;

  before(async () => {
    process.env["QDRANT_DR_ESTATES"] = estates;
    estate = await EmbeddedEstate.create();
    await estate.keep();
    const witness = join(estate.folder, "witness");
    mkdirSync(witness);
    for (const stack of ["primary", "standby"]) set(stack, { mode: "consistency", witness, leaseSeconds });
    const about = { clock: systemClock, toolVersion: "0.0.0", versions: {} };
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

  /** In the stack's settings file, as an operator would. */
  function set(stack: string, gate: object): void {
    const file = join(estate.folder, "settings", `Pulumi.${stack}.yaml`);
    const settings = loadYaml<{ config: Record<string, { gate: object }> }>(readFileSync(file, "utf8"));
    Object.assign(settings.config["qdrant-dr:processes"]?.gate ?? {}, gate);
    writeFileSync(file, dumpYaml(settings));
  }

  const page = join(estates, "reports", "failover.html");
  const pageBack = join(estates, "reports", "back.html");
  const start = (...args: readonly string[]) =>
    Product.startDirect([...args, "--estate", estate.id, "--json"], estates);

  async function run(...args: readonly string[]): Promise<Record<string, unknown>> {
    const product = start(...args);
    expect(await product.end(), product.stdout + product.stderr).to.equal(0);
    return product.json as Record<string, unknown>;
  }

  async function killAt(step: string, ...args: readonly string[]): Promise<void> {
    const killed = start(...args);
    await killed.says(new RegExp(`^${step}: `));
    killed.signal("SIGKILL");
    await killed.end();
    expect(killed.wasKilled, step).to.equal(true);
    const open = await openOnes();
    expect(open.length, `regions that serve after a kill at ${step}`).to.be.lessThan(2);
  }

  const openOnes = async () => {
    const statuses = { primary: await statusAt("primary"), standby: await statusAt("standby") };
    return Object.entries(statuses).flatMap(([region, status]) => (status === 200 ? [region] : []));
  };

  /** What was acknowledged until now and is not in the region. */
  async function lostIn(region: "primary" | "standby"): Promise<number[]> {
    const log = await client.log();
    const lost: number[] = [];
    for (const collection of collections) {
      const answer = await ask(region, "POST", `/collections/${collection}/points/scroll`, {
        limit: 100_000,
        with_payload: false,
        with_vector: false,
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

  /** As a client that still has the region's own address; undefined when nothing answers there. */
  async function statusAt(region: "primary" | "standby"): Promise<number | undefined> {
    const url = new URL("/collections", regions[region].gate?.url);
    const key = regions[region].endpoint?.clientKey ?? "";
    return fetch(url, { headers: { "api-key": key } }).then(
      ({ status }) => status,
      () => undefined,
    );
  }

  async function written(more: number): Promise<void> {
    const before = acknowledged(await client.log()).length;
    await client.until((log) => acknowledged(log).length >= before + more, 30_000);
  }

  it("a switchover killed while the active region is fenced: no region serves, and `switchover abort` lets it serve again", async () => {
    // Held there, so that the kill comes before the other region opens.
    const hooks = join(estates, "hooks.json");
    writeFileSync(hooks, JSON.stringify([{ when: "before", step: "last-writes", command: ["sleep", "5"] }]));
    await killAt("last-writes", "switchover", "run", "--to", "standby", "--report", page, "--hooks", hooks);
    expect(await openOnes()).to.deep.equal([]);
    expect(await run("switchover", "abort", "--to", "standby")).to.deep.equal({ epoch: 2, active: "primary" });
    expect(await openOnes()).to.deep.equal(["primary"]);
    await written(10);
  });

  it("a switchover, killed at step after step, and another one back: each ends when it is run again, nothing lost", async () => {
    const thither = ["switchover", "run", "--to", "standby", "--report", page];
    for (const step of killedAt) await killAt(step, ...thither);
    expect(await openOnes()).to.deep.equal(["standby"]);
    const there = await run(...thither);
    const back = await run("switchover", "run", "--to", "primary", "--report", pageBack);
    expect(there).to.include({ region: "standby", from: "primary", epoch: 3, mode: "switchover", dataLossSeconds: 0 });
    expect(back).to.include({ region: "primary", from: "standby", epoch: 4, mode: "switchover", dataLossSeconds: 0 });
    expect([there["isVerified"], back["isVerified"]]).to.deep.equal([true, true]);
    expect(await openOnes()).to.deep.equal(["primary"]);
    await written(20);
    expect(await lostIn("primary")).to.deep.equal([]);
    expect(await estate.stacks.region("primary")).to.include({ role: "active", epoch: 4 });
    expect(await estate.stacks.region("standby")).to.include({ role: "fenced", epoch: 4 });
    const ended = await run("switchover", "plan", "--to", "primary");
    expect(ended).to.include({ epoch: 4, hasEnded: true });
  });

  it("leaves a page of each run, and what is on it as JSON", async () => {
    const kept = pageBack.replace(".html", "");
    expect(readFileSync(`${kept}.html`, "utf8")).to.contain("primary is the active region in epoch 4.");
    const { outcome, steps } = JSON.parse(readFileSync(`${kept}.json`, "utf8")) as FailoverEvidence;
    expect(outcome).to.deep.include({ isDone: true, from: "standby", epoch: 4, dataLossSeconds: 0 });
    expect(steps.map(({ name }) => name)).to.include.members(["assess", "last-writes", "open", ...killedAt]);
  });

  it("a failover to a standby that follows serves what this region followed to when the lease has run out, and `failover plan` had said so", async () => {
    const args = ["--from", "primary", "--to", "standby", "--once", "--estate", estate.id];
    const follow = Product.startDirect(["replicate", ...args], estates);
    expect(await follow.end(), follow.stderr).to.equal(0);
    await written(5);
    await killEstate(estate.id, ["primary-qdrant", "primary-gate", "primary-store"]);
    const goneAt = Date.now();
    const plan = await run("failover", "plan", "--to", "standby");
    expect(plan).to.include({ epoch: 5, isWarm: true });
    const unplanned = ["failover", "run", "--to", "standby", "--report", page, "--accept-data-loss", "3600"];
    await killAt("lease", ...unplanned);
    const report = await run(...unplanned);
    expect(report).to.include({ region: "standby", epoch: 5, mode: "failover", isVerified: true });
    await client.until((log) => acknowledged(log).some(({ at }) => at > goneAt + 500), 30_000);
    lost = await lostIn("standby");
    const since = Date.parse(String(plan["asOf"]));
    const early = acknowledged(await client.log()).filter(({ at, id }) => lost.includes(id) && at < since);
    expect(early).to.deep.equal([]);
  });

  it("the region that was lost comes back: it does not serve, `up` of either changes no role, what only it has is told by id", async () => {
    await estate.stacks.refresh("primary");
    await Promise.all([estate.stacks.up("primary", quietly), estate.stacks.up("standby", quietly)]);
    expect(await estate.stacks.region("primary")).to.include({ role: "fenced", epoch: 5 });
    expect(await estate.stacks.region("standby")).to.include({ role: "active", epoch: 5 });
    expect(await openOnes()).to.deep.equal(["standby"]);
    const { collections: found } = (await run("divergence", "--to", "primary")) as {
      collections: { onlyThere: number[]; different: number[] }[];
    };
    expect(lost).to.not.be.empty;
    // Beside what clients were told is safe: what was under way when it was killed.
    expect(found.flatMap(({ onlyThere }) => onlyThere)).to.include.members(lost);
    expect(found.flatMap(({ different }) => different)).to.deep.equal([]);
  });

  it("failed back: what only the old region had is kept as a record, and nothing of the active one is lost", async () => {
    await killAt("divergence", "switchover", "run", "--to", "primary", "--report", page);
    const hooks = join(estates, "hooks.json");
    const limit = { when: "after", step: "traffic", queries: { slowestMs: 0.001 }, timeoutSeconds: 4 };
    writeFileSync(hooks, JSON.stringify([limit]));
    const product = start("switchover", "run", "--to", "primary", "--report", page, "--hooks", hooks);
    expect(await product.end(), product.stdout + product.stderr).to.equal(0);
    expect(product.stderr).to.match(
      /traffic: the check of queries after traffic found one in .*; the failover goes on/,
    );
    const report = product.json as Record<string, unknown>;
    expect(report).to.include({ region: "primary", epoch: 6, dataLossSeconds: 0 });
    const steps = report["steps"] as { name: string; detail: string }[];
    expect(steps.find(({ name }) => name === "divergence")?.detail).to.match(/are only or otherwise in primary: kept/);
    await written(10);
    expect(await lostIn("primary")).to.have.members(lost);
  });
});

function acknowledged(log: readonly WriteLogEntry[]): WriteLogEntry[] {
  return log.filter(({ kind }) => kind === "acknowledged");
}
