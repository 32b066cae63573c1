/** Commands on a region with folders and a Qdrant that does not answer: configuration and user data do without it. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { storeOf } from "../support/estates/test-trust.ts";

describe("backup and restore of folders", function () {
  this.timeout(60_000);
  let ground: string;
  let outputs: Region;

  beforeEach(async () => {
    ground = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    for (const name of ["repository", "etc", "data/keep", "data/cache"]) {
      await mkdir(join(ground, name), { recursive: true });
    }
    await writeFile(join(ground, "etc/app.yaml"), "level: 3\n");
    await writeFile(join(ground, "data/keep/notes"), "user's notes");
    await writeFile(join(ground, "data/cache/entry"), "not wanted");
    await symlink("keep/notes", join(ground, "data/newest"));
    outputs = {
      ...(await lonelyRegion("prod", ground)).outputs,
      repository: { kind: "file", folder: join(ground, "repository") },
      configuration: [{ name: "app", path: join(ground, "etc") }],
      userData: [{ name: "data", path: join(ground, "data"), exclude: ["cache"] }],
    };
    const epoch = { epoch: 1, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" } as const;
    await claimEpoch(storeOf(outputs, "control"), epoch);
  });

  afterEach(async () => {
    await rm(ground, { recursive: true, force: true });
  });

  // biome-ignore lint/suspicious/noExplicitAny: answers of commands are compared field by field
  async function run(exitCode: number, command: string, ...args: string[]): Promise<any> {
    const said = { out: "", err: "" };
    await writeFile(join(ground, "outputs.json"), JSON.stringify(outputs));
    const deps = await compose({
      progress: ({ detail, step }) => (said.err += `${step}: ${detail}\n`),
      onInterrupt: () => () => undefined,
    });
    const all = [
      ...command.split(" "),
      "--stack",
      "prod",
      "--outputs",
      join(ground, "outputs.json"),
      ...args,
      "--json",
    ];
    const ended = await runCheckedCli(all, deps, {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
    });
    expect(ended, `${said.out}\n${said.err}`).to.equal(exitCode);
    return { ...JSON.parse(said.out), said: said.err };
  }

  const only = ["--only", "config,user-data"];

  it("capture, list, verify, plan and restore: below a folder, to a path, and where they belong", async () => {
    const preview = await run(0, "backup", ...only, "--dry-run");
    expect(preview.folders.map(({ name }: { name: string }) => name)).to.deep.equal(["app", "data"]);
    const captured = await run(0, "backup", ...only);
    expect(captured).to.include({ folders: 2, collections: 0, isExact: true, isCommitted: true });
    const { recoveryPoints } = await run(0, "recovery-points list");
    expect(recoveryPoints[0]).to.deep.include({
      state: "complete",
      kinds: ["config", "user-data"],
      folders: [
        { kind: "config", name: "app", isExact: true },
        { kind: "user-data", name: "data", isExact: true },
      ],
    });
    expect(await run(0, "verify", "--recovery-point", captured.recoveryPoint)).to.include({ files: 2 });

    const into = join(ground, "into");
    const plan = await run(0, "restore", ...only, "--into", into, "--dry-run");
    expect(plan.folders.map(({ path }: { path: string }) => path)).to.deep.equal([
      join(into, "app"),
      join(into, "data"),
    ]);
    expect(await readdir(ground)).not.to.include("into");

    await run(0, "restore", ...only, "--into", into);
    expect((await readdir(into, { recursive: true })).sort()).to.deep.equal(
      ["app", "app/app.yaml", "data", "data/keep", "data/keep/notes", "data/newest"].sort(),
    );
    const one = await run(0, "restore", "--only", "user-data", "--folder", `data=${join(ground, "one")}`);
    expect(one.folders).to.have.length(1);
    expect(await readFile(join(ground, "one/newest"), "utf8")).to.equal("user's notes");

    await unlink(join(ground, "data/keep/notes"));
    expect((await run(11, "restore", ...only)).error.hint).to.contain("--in-place");
    const inPlace = await run(0, "restore", ...only, "--in-place");
    expect(inPlace.folders[1]).to.include({ keptAs: `${join(ground, "data")}.before-${captured.recoveryPoint}` });
    expect(await readFile(join(ground, "data/keep/notes"), "utf8")).to.equal("user's notes");
    expect(await readdir(`${join(ground, "data")}.before-${captured.recoveryPoint}`)).to.include("cache");
  });

  it("restore from the newest point that holds what is asked for", async () => {
    await run(0, "backup", "--only", "config");
    const second = await run(0, "backup", "--only", "user-data");
    expect((await run(0, "restore", "--only", "user-data", "--into", join(ground, "a"))).recoveryPoint).to.equal(
      second.recoveryPoint,
    );
    expect((await run(10, "restore", ...only, "--into", join(ground, "b"))).error.code).to.equal(
      "RECOVERY_POINT_NOT_FOUND",
    );
    const named = ["restore", ...only, "--recovery-point", second.recoveryPoint, "--into", join(ground, "b")] as const;
    expect((await run(2, ...named)).error.message).to.contain("holds user-data, and config, user-data was asked for");
  });

  it("capture everything that the settings name, and nothing when a part of it fails", async () => {
    expect((await run(5, "backup")).error.code).to.equal("UNREACHABLE");
    expect(await readdir(join(ground, "repository"))).not.to.include("points");
  });

  it("refuse what cannot be meant", async () => {
    const refusals: [args: string[], message: string][] = [
      [["backup", "--only", "configuration"], "It must be of qdrant, config, user-data, infrastructure."],
      [["backup", "--only", "infrastructure"], "region prod has no infrastructure in its settings"],
      [["restore", "--into", ground], "are for folders, and only qdrant is restored"],
      [["restore", ...only, "--into", ground, "--in-place"], "--into and --in-place exclude each other"],
      [["restore", ...only, "--folder", "data"], "It must be <name>=<path>."],
    ];
    for (const [[command = "", ...args], message] of refusals) {
      expect((await run(2, command, ...args)).error.message).to.contain(message);
    }
    outputs = { ...outputs, userData: [{ name: "data", path: ground }] };
    const error = (await run(2, "backup", ...only)).error;
    expect(error.message).to.contain(`the folder data holds the store ${join(ground, "repository")}`);
    expect(error.hint).to.equal('leave it out: exclude "repository"');
    outputs = { ...outputs, userData: [{ name: "data", path: ground, exclude: ["repository", "control"] }] };
    await run(0, "backup", ...only);
  });
});
