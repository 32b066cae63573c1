import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { PracticeResult } from "../../quickstart/domain/practice-result.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { runLine } from "../support/documents/run-line.ts";
import { shownCommands } from "../support/documents/shown-commands.ts";
import { estatesIn, type Footprint, footprintOf, remainsOf, socketsOf } from "../support/estates/estate-remains.ts";
import { Product, watchCommandLines } from "../support/product.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
/** Numbers of the writing client; those of the loaded documents are below. */
const firstClientNumber = 1_000_000_000;

interface RecordedLine {
  readonly at: number;
  readonly kind: string;
  readonly collection: string;
  readonly id: number;
}

interface ListedRecoveryPoint {
  readonly id: string;
  readonly state: string;
  readonly type: string;
  readonly region: string;
  readonly epoch: number;
  readonly isExact: boolean;
  readonly points: number;
}

describe("quickstart, at full size, and the estate that it keeps", function () {
  this.timeout(600_000);
  const estates = mkdtempSync(join(tmpdir(), "qdrant-dr-quickstart-"));
  const stopWatching = watchCommandLines();
  const statusBefore = gitStatus();
  const runs: Product[] = [];
  let quickstart: Product;
  let result: PracticeResult;
  let estate: string;
  let folder: string;
  let standby: Region;
  let primary: Region;
  let record: string;
  let footprint: Footprint;

  before("one run", async () => {
    quickstart = Product.start(["quickstart", "--json", "--keep"], estates);
    runs.push(quickstart);
    expect(await quickstart.end(), quickstart.stdout + quickstart.stderr).to.equal(0);
    result = quickstart.json as PracticeResult;
    estate = result.estate ?? "";
    expect(estatesIn(estates)).to.deep.equal([estate]);
    folder = join(estates, estate);
    standby = outputsOf("standby");
    primary = outputsOf("primary");
    record = readFileSync(join(folder, "client", "writes.ndjson"), "utf8");
    footprint = footprintOf(estates, estate);
  });

  after(async () => {
    stopWatching();
    await Product.start(["quickstart", "--stop"], estates).end();
    rmSync(estates, { recursive: true, force: true });
    if (result !== undefined) rmSync(result.report, { force: true });
  });

  /** As `pulumi` gives them, from the state in the estate's folder. */
  function outputsOf(stack: string): Region {
    const args = ["stack", "output", "region", "--json", "--show-secrets", "--stack", stack, "--non-interactive"];
    return JSON.parse(pulumi(args)) as Region;
  }

  function pulumi(args: readonly string[]): string {
    return execFileSync("pulumi", args, {
      cwd: checkout,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: {
        ...process.env,
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE_FILE: join(folder, "passphrase"),
        PULUMI_HOME: join(folder, "pulumi"),
        PULUMI_SKIP_UPDATE_CHECK: "true",
      },
    });
  }

  /** Runs a command on the kept estate, as a user would. */
  async function run(exitCode: number, ...args: readonly string[]): Promise<unknown> {
    const run = Product.start([...args, "--json"], estates);
    runs.push(run);
    expect(await run.end(), run.stdout + run.stderr).to.equal(exitCode);
    return run.json;
  }

  async function ask(path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(new URL(path, standby.endpoint?.url), {
      method: body === undefined ? "GET" : "POST",
      headers: { "api-key": standby.endpoint?.clientKey ?? "", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(answer.status, path).to.equal(200);
    return ((await answer.json()) as { result: Record<string, unknown> }).result;
  }

  async function idsIn(collection: string): Promise<Set<number>> {
    const ids = new Set<number>();
    let offset: unknown;
    do {
      const body = { limit: 5_000, with_payload: false, with_vector: false, ...(offset ? { offset } : {}) };
      const page = await ask(`/collections/${collection}/points/scroll`, body);
      for (const { id } of page["points"] as { id: number }[]) ids.add(id);
      offset = page["next_page_offset"];
    } while (offset !== null && offset !== undefined);
    return ids;
  }

  const lines = () =>
    record
      .trimEnd()
      .split("\n")
      .map((line): RecordedLine => JSON.parse(line));
  const killedAt = () => Date.parse(result.killedAt);
  /** The first write that the dead region did not take: all before were its own, all later ones the standby's. */
  function outage(): number {
    const index = lines().findIndex(({ at, kind }) => kind === "failed" && at >= killedAt());
    expect(index, "the client saw no failure after the kill").to.be.greaterThan(0);
    return index;
  }
  const acknowledgedIn = (part: readonly RecordedLine[], collection: string) =>
    part.filter((line) => line.kind === "acknowledged" && line.collection === collection);

  it("writes one JSON object with every number into the last line of stdout, and a report page", () => {
    expect(quickstart.stdout.trimEnd().split("\n")).to.have.length(1);
    expect(result.verified).to.equal(true);
    for (const number of [result.rtoSeconds, result.rpoSeconds, result.lostWrites, result.acknowledgedWrites]) {
      expect(number).to.be.a("number");
    }
    expect(result.acknowledgedWrites).to.be.greaterThan(100);
    expect(result.lostWrites).to.be.within(1, result.acknowledgedWrites - 1);
    expect(result.rtoSeconds).to.be.within(0.1, result.rtoObjectiveSeconds);
    expect(result.rpoSeconds).to.be.within(0.1, result.rpoObjectiveSeconds);
    expect(readFileSync(result.report, "utf8")).to.match(/^<!doctype html>/i);
  });

  it("lists every step that it announced, with times that add up", () => {
    const { failover, steps } = result;
    const announced = quickstart.stderr.split("\n").filter((line) => steps.some(({ title }) => title === line));
    expect(announced).to.deep.equal(steps.map(({ title }) => title));
    expect(steps.map(({ name }) => name)).to.include.members(["provision", "load", "disaster", "failover", "measure"]);
    const startOf = (step: { startedAt: string }) => Date.parse(step.startedAt) / 1000;
    for (const list of [steps, failover]) {
      list.slice(1).forEach((step, index) => {
        const previous = list[index];
        if (previous === undefined) throw new Error("no previous step");
        expect(startOf(step), step.name).to.be.at.least(startOf(previous) + previous.seconds - 0.002);
      });
    }
    const sum = (list: readonly { seconds: number }[]) => list.reduce((total, { seconds }) => total + seconds, 0);
    expect(sum(steps)).to.be.within(0.85 * (quickstart.seconds - 10), quickstart.seconds);
    const failoverSeconds = steps.find(({ name }) => name === "failover")?.seconds ?? 0;
    expect(sum(failover)).to.be.within(0.5 * failoverSeconds, failoverSeconds + 0.01);
  });

  it("has 20,000 points or more in three collections on the standby, with payload indexes and the alias", async () => {
    expect(result.collections).to.have.length.of.at.least(3);
    let loaded = 0;
    for (const { name, pointsAfter } of result.collections) {
      const ids = await idsIn(name);
      expect(ids.size, name).to.equal(pointsAfter);
      loaded += [...ids].filter((id) => id < firstClientNumber).length;
      const { payload_schema: indexes } = await ask(`/collections/${name}`);
      expect(Object.keys(indexes as object), name).to.not.be.empty;
    }
    expect(loaded).to.equal(22_000);
    const { aliases } = (await ask("/aliases")) as unknown as { aliases: { collection_name: string }[] };
    expect(aliases).to.have.length.of.at.least(1);
    for (const { collection_name } of aliases) {
      expect(result.collections.map(({ name }) => name)).to.include(collection_name);
    }
  });

  it("reports exactly the ids that are missing, as counted here from the client's record and the server", async () => {
    const [before, after] = [lines().slice(0, outage()), lines().slice(outage())];
    const lostAt: number[] = [];
    let acknowledged = 0;
    for (const { acknowledgedWrites, lostIds, name } of result.collections) {
      const present = await idsIn(name);
      const safe = acknowledgedIn(before, name);
      const missing = safe.filter(({ id }) => !present.has(id));
      expect([...lostIds].sort(), name).to.deep.equal(missing.map(({ id }) => id).sort());
      expect(acknowledgedWrites, name).to.equal(safe.length);
      const later = acknowledgedIn(after, name);
      expect(later.length, name).to.be.greaterThan(0);
      expect(
        later.filter(({ id }) => !present.has(id)),
        name,
      ).to.deep.equal([]);
      lostAt.push(...missing.map(({ at }) => at));
      acknowledged += safe.length;
    }
    expect(result.lostWrites).to.equal(lostAt.length);
    expect(result.acknowledgedWrites).to.equal(acknowledged);
    expect(result.rpoSeconds).to.be.closeTo((killedAt() - Math.min(...lostAt)) / 1000, 0.001);
  });

  it("reports the time from the kill to the first write that was acknowledged after it and read back", () => {
    const after = lines().slice(outage());
    const acknowledged = new Set(after.filter(({ kind }) => kind === "acknowledged").map(({ id }) => id));
    const served = after.find(({ id, kind }) => kind === "readBack" && acknowledged.has(id));
    expect(served).to.not.equal(undefined);
    expect(result.rtoSeconds).to.be.closeTo(((served?.at ?? 0) - killedAt()) / 1000, 0.001);
    expect(Date.parse(result.servedAt)).to.equal(served?.at);
  });

  it("has two stacks in the estate's own state, of regions with keys of their own, and nothing left of the primary", () => {
    const stacks = JSON.parse(pulumi(["stack", "ls", "--json", "--non-interactive"])) as { name: string }[];
    expect(stacks.map(({ name }) => name).sort()).to.deep.equal(["primary", "standby"]);
    expect(standby.qdrant.apiKey).to.not.equal(primary.qdrant.apiKey);
    expect(standby.repository).to.not.deep.equal(primary.repository);
    expect(existsSync(join(folder, "primary"))).to.equal(false);
    const names = footprint.processes.map(({ mark }) => mark).sort();
    const kept = ["standby-endpoint", "standby-gate", "standby-qdrant", "standby-store"];
    expect(names).to.deep.equal(kept.map((name) => `${estate}/${name}`));
  });

  it("shows its truth: the standby active in epoch 2, the primary unreachable, clients led to the standby", async () => {
    const { regions, traffic } = (await run(0, "status", "--estate", estate, "--stack", "standby")) as {
      regions: { region: string; role: string; epoch?: number; qdrant: { isReachable: boolean } }[];
      traffic: object;
    };
    const [here, there] = regions;
    expect(here).to.include({ region: "standby", role: "active", epoch: 2 });
    expect(here?.qdrant.isReachable).to.equal(true);
    expect(there?.region).to.equal("primary");
    expect(there?.qdrant.isReachable).to.equal(false);
    expect(traffic).to.include({ region: "standby", epoch: 2 });
  });

  it("is backed up by what is the active region now, each point complete and whole", async () => {
    const region = ["--estate", estate, "--stack", "standby"];
    const before = (await run(0, "recovery-points", "list", ...region)) as { recoveryPoints: ListedRecoveryPoint[] };
    expect(before.recoveryPoints.map(({ region: source, type }) => [source, type])).to.deep.equal([
      ["primary", "full"],
      ["primary", "incremental"],
    ]);
    expect(await run(0, "verify", ...region)).to.include({ recoveryPoint: before.recoveryPoints[1]?.id });

    const full = (await run(0, "backup", ...region, "--type", "full")) as { recoveryPoint: string; points: number };
    const incremental = (await run(0, "backup", ...region, "--type", "incremental")) as { recoveryPoint: string };
    expect(full.points).to.equal(result.pointsAfter);
    const after = (await run(0, "recovery-points", "list", ...region)) as { recoveryPoints: ListedRecoveryPoint[] };
    expect(after.recoveryPoints.slice(0, 2).map(({ id }) => id)).to.deep.equal(
      before.recoveryPoints.map(({ id }) => id),
    );
    const added = after.recoveryPoints.slice(2);
    expect(added.map(({ id }) => id)).to.deep.equal([full.recoveryPoint, incremental.recoveryPoint]);
    for (const recoveryPoint of added) {
      expect(recoveryPoint).to.include({ state: "complete", region: "standby", epoch: 2, points: result.pointsAfter });
    }
    expect(after.recoveryPoints.every(({ state }) => state === "complete")).to.equal(true);
    expect(await run(0, "verify", ...region)).to.include({ recoveryPoint: incremental.recoveryPoint });
  });

  it("refuses to restore over live collections, and changes nothing", async () => {
    const state = () => Promise.all(result.collections.map(({ name }) => ask(`/collections/${name}`)));
    const before = await state();
    const answer = await run(11, "restore", "--estate", estate, "--stack", "standby");
    expect((answer as { error: object }).error).to.include({ code: "TARGET_NOT_EMPTY" });
    expect(await state()).to.deep.equal(before);
  });

  it("takes a second failover for what it is: done, with nothing undone", async () => {
    const counts = () => Promise.all(result.collections.map(async ({ name }) => (await idsIn(name)).size));
    const before = await counts();
    const failover = ["--estate", estate, "--to", "standby"];
    const report = ["--report", join(folder, "failover.html")];
    expect(await run(0, "failover", "plan", ...failover)).to.include({ epoch: 2, region: "standby", hasEnded: true });
    expect(await run(0, "failover", "run", ...failover, ...report, "--accept-data-loss", "3600")).to.include({
      epoch: 2,
    });
    expect(await counts()).to.deep.equal(before);
  });

  it("has every part that it needs, says doctor", async () => {
    const { parts } = (await run(0, "doctor", "--parts")) as { parts: { id: string; state: string }[] };
    expect(parts.map(({ id }) => id)).to.include.members(["node", "packages", "pulumi", "qdrant", "seaweedfs"]);
    expect(parts.filter(({ state }) => state !== "ready")).to.deep.equal([]);
  });

  it("brings one deleted collection back, point for point, with the keys of the region or the offline recovery identity", async () => {
    const lost = result.collections[1]?.name ?? "";
    const before = await idsIn(lost);
    const { aliases: aliasesBefore } = await ask("/aliases");
    const gone = await fetch(new URL(`/collections/${lost}`, standby.qdrant.peers[0]), {
      method: "DELETE",
      headers: { "api-key": standby.qdrant.apiKey },
    });
    expect(gone.status).to.equal(200);

    const restore = ["restore", "--estate", estate, "--stack", "standby", "--collections", lost];
    const identity = ["--identity-file", join(folder, "recovery-identity.txt")];
    const plan = (await run(0, ...restore, ...identity, "--dry-run")) as { collections: { name: string }[] };
    expect(plan).to.deep.include({ target: "standby", discard: [] });
    expect(plan.collections.map(({ name }) => name)).to.deep.equal([lost]);
    expect(await names()).to.not.include(lost);
    const report = await run(0, ...restore);
    expect(report).to.include({ points: before.size, collections: 1 });
    expect(report).to.have.property("samples").that.is.greaterThan(0);
    expect(await idsIn(lost)).to.deep.equal(before);
    expect((await ask("/aliases"))["aliases"]).to.have.deep.members(aliasesBefore as unknown[]);

    async function names(): Promise<string[]> {
      const { collections } = (await ask("/collections")) as unknown as { collections: { name: string }[] };
      return collections.map(({ name }) => name);
    }
  });

  it("keeps an estate on which the commands of README and of the tutorial succeed as they are shown", async () => {
    const ofPackage = new Set(shownCommands("docs/tutorials/own-qdrant.md").map(({ line }) => line));
    const shown = ["README.md", "docs/tutorials/quickstart.md"]
      .flatMap(shownCommands)
      .map(({ line }) => line)
      // package.test.ts runs them from the tutorial, where there is no checkout.
      .filter((line) => !ofPackage.has(line));
    const onIt = shown.filter((line) => line.includes(" --estate ID"));
    // The others begin and end the practice, as this test does, or run the tests.
    expect(new Set(shown.filter((line) => !onIt.includes(line)))).to.deep.equal(
      new Set([
        ...["npm run quickstart", "npm test", "npm run quickstart -- --keep"],
        ...["./bin/qdrant-dr doctor --parts", "./bin/qdrant-dr quickstart --stop"],
      ]),
    );
    for (const line of new Set(onIt)) {
      const here = line.replace(" --estate ID", ` --estate ${estate}`);
      const about = { cwd: checkout, env: { QDRANT_DR_ESTATES: estates } };
      const servesAlways = / exporter /.test(line);
      if (servesAlways) await runLine(`${here} --port 0`, { ...about, until: /"step":"serve"/, exitCode: 0 });
      else await runLine(here, about);
    }
    expect(await idsIn("symbols_restored")).to.deep.equal(await idsIn("symbols"));
  });

  it("lets no secret into any output, report, record, log, command line, or plain into the stacks' state", () => {
    const secrets = {
      "primary's Qdrant key": primary.qdrant.apiKey,
      "standby's Qdrant key": standby.qdrant.apiKey,
      "client key": standby.endpoint?.clientKey,
      "control token": (standby.endpoint as { controlToken?: string } | undefined)?.controlToken,
      "age identity": standby.keys.identity,
      "recovery identity": readFileSync(join(folder, "recovery-identity.txt"), "utf8").trim(),
      "store's secret": standby.repository.kind === "s3" ? standby.repository.credentials?.secretAccessKey : undefined,
      passphrase: readFileSync(join(folder, "passphrase"), "utf8").trim(),
    };
    const state = filesUnder(join(folder, "state"));
    const logs = [...readdirSync(folder), ...readdirSync(join(folder, "standby")).map((name) => `standby/${name}`)]
      .filter((name) => name.endsWith(".log"))
      .map((name) => join(folder, name));
    expect(state.length).to.be.greaterThan(4);
    expect(logs.length).to.be.greaterThan(2);
    const commandLines = stopWatching();
    expect(
      commandLines.filter((line) => /\bpulumi\b/.test(line)),
      "pulumi was seen running",
    ).to.not.be.empty;
    const places: [string, string][] = [
      ...runs.flatMap(({ stderr, stdout }): [string, string][] => [
        ["stdout", stdout],
        ["stderr", stderr],
      ]),
      ["report", readFileSync(result.report, "utf8")],
      ["record", record],
      ["command lines", commandLines.join("\n")],
      ...[...state, ...logs, ...filesUnder(join(folder, "settings"))].map((path): [string, string] => [
        path,
        readFileSync(path, "latin1"),
      ]),
    ];
    for (const [what, secret] of Object.entries(secrets)) {
      expect(secret, what).to.be.a("string").with.length.of.at.least(20);
      const found = places.filter(([, text]) => text.includes(secret ?? "")).map(([place]) => place);
      expect(found, what).to.deep.equal([]);
    }
  });

  it("is ended by --stop: no process, port, folder or socket is left", async () => {
    expect(footprint.ports).to.have.length.of.at.least(11);
    expect(socketsOf(footprint.storePorts)).to.not.be.empty;
    const all = footprintOf(estates, estate);
    expect(await run(0, "quickstart", "--stop")).to.deep.equal({ stopped: [estate] });
    expect(remainsOf(footprint)).to.deep.equal([]);
    expect(remainsOf(all)).to.deep.equal([]);
    expect(estatesIn(estates)).to.deep.equal([]);
  });

  it("leaves the checkout as it was", () => {
    expect(gitStatus()).to.deep.equal(statusBefore);
  });
});

/** Without what people write, who may be at work meanwhile: no run writes sources. */
function gitStatus(): string[] {
  const lines = execFileSync("git", ["status", "--porcelain"], { cwd: checkout, encoding: "utf8" }).split("\n");
  return lines.filter((line) => !/\.(ts|mjs|md)$/.test(line));
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
