import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { acknowledgedBefore, measureOutage, type WriteLogEntry } from "../../quickstart/domain/write-log.ts";
import { runStep } from "../support/documents/ci-workflow.ts";
import { footprintOf, remainsOf } from "../support/estates/estate-remains.ts";
import { type LostPrimary, loseThePrimary } from "../support/estates/lost-primary.ts";
import { Product } from "../support/product.ts";
import { eventually } from "../support/time/eventually.ts";

const points = 1_500;
const firstClientNumber = 1_000_000_000;

interface Moment {
  readonly name: string;
  readonly line: RegExp;
  /** Where clients are led after a kill at this moment. */
  readonly leadsTo: "primary" | "standby";
  /** It waits before it does this step, so that the kill comes first. */
  readonly waitsBefore?: "open" | "traffic";
}

/** Each run goes on where the one before was killed, so that each comes a step further. */
const moments: readonly Moment[] = [
  { name: "the search for a point is announced", line: /^assess: Find/, leadsTo: "primary" },
  { name: "the claim of the epoch is announced", line: /^epoch: /, leadsTo: "primary" },
  { name: "the restore is announced", line: /^restore: Make this region/, leadsTo: "primary" },
  { name: "the restore is half done", line: /^apply: symbols$/, leadsTo: "primary" },
  { name: "the comparison is announced", line: /^verify: Compare/, leadsTo: "primary" },
  {
    name: "the opening of the gate is announced",
    line: /^open: Open the gate/,
    leadsTo: "primary",
    waitsBefore: "open",
  },
  { name: "the move of the clients is announced", line: /^traffic: Lead/, leadsTo: "primary", waitsBefore: "traffic" },
  { name: "the promotion of the stack is announced", line: /^promote: Promote/, leadsTo: "standby" },
  { name: "pulumi promotes the stack", line: /^promote: (create|update) /, leadsTo: "standby" },
];

describe("failover to an older point, killed, and run again on the same estate", function () {
  this.timeout(120_000);
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-failover-killed-"));
  const estates = join(root, "estates");
  const failover = ["--to", "standby", "--accept-data-loss", "3600", "--json"];
  let lost: LostPrimary;
  let older: string;
  let newer: string;

  before(async () => {
    mkdirSync(estates);
    lost = await loseThePrimary(estates, points, 2);
    [older = "", newer = ""] = lost.points;
  });

  after(async () => {
    await lost?.client.stop();
    await Product.start(["quickstart", "--stop"], estates).end();
    rmSync(root, { recursive: true, force: true });
  });

  const fromCi = (name: string, killAt?: RegExp) => {
    const about = { cwd: root, estate: lost.estate.id, estates };
    return runStep(name, killAt === undefined ? about : { ...about, killAt });
  };
  const page = join(root, "failover.html");
  const start = (waitsBefore?: string) => {
    const about = ["--estate", lost.estate.id, "--recovery-point", older, "--report", page];
    const hooks = join(root, "hooks.json");
    const wait = { when: "before", step: waitsBefore, command: ["sleep", "5"] };
    writeFileSync(hooks, JSON.stringify(waitsBefore === undefined ? [] : [wait]));
    return Product.startDirect(["failover", "run", ...about, ...failover, "--hooks", hooks], estates);
  };

  async function route(): Promise<{ region: string; epoch: number }> {
    const answer = await fetch(new URL("/.qdrant-dr/health", lost.standby.endpoint?.url));
    return ((await answer.json()) as { route: { region: string; epoch: number } }).route;
  }

  async function idsIn(collection: string): Promise<Set<number>> {
    const answer = await fetch(new URL(`/collections/${collection}/points/scroll`, lost.standby.qdrant.peers[0]), {
      method: "POST",
      headers: { "api-key": lost.standby.qdrant.apiKey, "content-type": "application/json" },
      body: JSON.stringify({ limit: 100_000, with_payload: false, with_vector: false }),
    });
    const { result } = (await answer.json()) as { result: { points: { id: number }[] } };
    return new Set(result.points.map(({ id }) => id));
  }

  it("looked at from CI first: the active region is down, by several signals, and does not stop what follows", async () => {
    const { exitCode, json, said } = await fromCi("Look at both regions");
    expect(exitCode, said).to.equal(0);
    expect(json).to.have.nested.property("active.verdict", "down");
    expect(json).to.have.nested.property("readiness.score").that.is.greaterThan(50);
    expect((await fromCi("Refuse while the active region serves")).exitCode).to.equal(0);
    const plan = await fromCi("Say what would happen");
    expect(plan.exitCode, plan.said).to.equal(0);
    expect(plan.json).to.include({ continues: false, epoch: 2 });
  });

  it("needs nothing of the primary: its stack's settings and state are lost, too, beside its processes and disks", async () => {
    const state = join(lost.estate.folder, "state", ".pulumi");
    const isOfPrimary = (path: string) => path.split("/").some((name) => name.startsWith("primary"));
    const files = readdirSync(state, { recursive: true, encoding: "utf8" }).filter(isOfPrimary);
    expect(files).to.not.be.empty;
    for (const path of files) rmSync(join(state, path), { recursive: true, force: true });
    rmSync(join(lost.estate.folder, "settings", "Pulumi.primary.yaml"));
    expect(existsSync(lost.estate.disk("primary"))).to.equal(false);
  });

  for (const { leadsTo, line, name, waitsBefore } of moments) {
    it(`when ${name}: clients are led to the ${leadsTo} still, and nothing but the kill ends it`, async () => {
      const run = start(waitsBefore);
      await run.says(line);
      run.signal("SIGKILL");
      await run.end();
      expect(run.wasKilled).to.equal(true);
      expect((await route()).region).to.equal(leadsTo);
    });
  }

  it("cut off in CI, too: the plan says that it would go on", async () => {
    expect((await fromCi("Fail over", /"step":"restore"/)).exitCode).to.equal(null);
    expect((await fromCi("Say what would happen")).json).to.include({ continues: true, hasEnded: false, epoch: 2 });
  });

  it("by two jobs at once: one goes on and completes, the other is told; role, epoch, route and outputs agree", async () => {
    const jobs = await Promise.all([fromCi("Fail over"), fromCi("Fail over")]);
    const [done, told] = jobs[0].exitCode === 0 ? jobs : [jobs[1], jobs[0]];
    expect([done.exitCode, told.exitCode], done.said + told.said).to.deep.equal([0, 11]);
    expect(done.json).to.include({ region: "standby", epoch: 2, recoveryPoint: older, isVerified: true });
    expect(told.json).to.have.nested.property("error.code", "EPOCH_CONFLICT");
    expect(await route()).to.deep.equal({ region: "standby", epoch: 2 });
    const outputs = await lost.estate.stacks.region("standby");
    expect(outputs).to.include({ role: "active", epoch: 2 });
    const status = Product.start(["status", "--estate", lost.estate.id, "--stack", "standby", "--json"], estates);
    expect(await status.end()).to.equal(0);
    const { regions } = status.json as { regions: object[] };
    expect(regions[0]).to.include({ role: "active", epoch: 2 });
  });

  it("holds what the point holds, nothing that came later, and every write that was acknowledged since clients are led there", async () => {
    const { client, goneAt } = lost;
    await client.until((log) => measureOutage(log, goneAt.getTime()) !== undefined, 20_000);
    await client.stop();
    const log: readonly WriteLogEntry[] = await client.log();
    const capturedAt = recoveryPointTime(older);
    const before = acknowledgedBefore(log, capturedAt);
    const later = log.filter(({ at, kind }) => kind === "acknowledged" && at > goneAt.getTime());
    expect(later.length).to.be.greaterThan(10);
    const between = log.filter(
      ({ at, kind }) => kind === "acknowledged" && at > recoveryPointTime(newer) && at < goneAt.getTime(),
    );
    expect(between).to.not.be.empty;
    let loaded = 0;
    for (const [collection, writes] of before) {
      const present = await idsIn(collection);
      loaded += [...present].filter((id) => id < firstClientNumber).length;
      const wanted = [...writes, ...later.filter((write) => write.collection === collection)];
      expect(
        wanted.filter(({ id }) => !present.has(id)),
        collection,
      ).to.deep.equal([]);
      const after = between.filter((write) => write.collection === collection && present.has(write.id));
      expect(after, `${collection}, from after the point`).to.deep.equal([]);
    }
    expect(loaded).to.equal(points);
  });

  it("leaves nothing that runs but the region's own servers, and nothing at all when it is stopped", async () => {
    const footprint = await eventually("the pulumi processes of the runs that were killed have ended", () => {
      const found = footprintOf(estates, lost.estate.id);
      return found.processes.every(({ mark }) => !mark?.endsWith("/pulumi")) && found;
    });
    const names = footprint.processes.map(({ mark }) => mark?.split("/")[1]).sort();
    expect(names).to.deep.equal(["standby-endpoint", "standby-gate", "standby-qdrant", "standby-store"]);
    const stop = Product.start(["quickstart", "--stop", "--json"], estates);
    expect(await stop.end()).to.equal(0);
    expect(stop.json).to.deep.equal({ stopped: [lost.estate.id] });
    expect(remainsOf(footprint)).to.deep.equal([]);
  });
});

/** A point's id begins with its time: `20261122T155532820Z-…`. */
function recoveryPointTime(id: string): number {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(id) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
}
