/** What commands take for the newest recovery point: the newest that holds what is asked for; and names as people give them. Real Qdrant. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

describe("what is asked for", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-asked-"));
  const outputs = join(folder, "outputs");
  let server: QdrantServer;
  let ids: { readonly both: string; readonly config: string; readonly later: string };

  before(async () => {
    server = await QdrantServer.start();
    mkdirSync(outputs);
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc", "settings.yaml"), "a: 1\n");
    for (const name of ["notes", "others"]) {
      const settings = { vectors: { size: 2, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } } as const;
      await clientOf(server).createCollection(name, settings);
      await clientOf(server).upsert(name, { wait: true, points: [{ id: 1, vector: [1, 2], payload: {} }] });
    }
    await region("prod", "prod");
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function region(name: string, active: string): Promise<void> {
    const { outputs: lonely } = await lonelyRegion(name, join(folder, name));
    const stores = ["repository", "control"].map((store) => join(folder, name, store));
    for (const store of stores) mkdirSync(store, { recursive: true });
    const [repository = "", control = ""] = stores;
    const own = {
      ...lonely,
      qdrant: { peers: [server.url], apiKey: server.apiKey },
      repository: { kind: "file", folder: repository } as const,
      control: { kind: "file", folder: control } as const,
      configuration: [{ name: "etc", path: join(folder, "etc") }],
    };
    await claimEpoch(storeOf(own, "control"), {
      epoch: 1,
      active,
      reason: "initial",
      run: "r",
      at: "2026-01-01T00:00:00Z",
    });
    writeFileSync(join(outputs, `${name}.json`), JSON.stringify(own));
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of commands are compared field by field
  async function run(exitCode: number, stack: string, ...args: string[]): Promise<any> {
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const said = { out: "", err: "" };
    const ended = await runCheckedCli([...args, "--stack", stack, "--outputs", outputs, "--json"], deps, {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
    });
    expect(ended, `${args.join(" ")}: ${said.out}\n${said.err}`).to.equal(exitCode);
    return JSON.parse(said.out);
  }

  const filesOf = (name: string) => readdirSync(join(folder, name), { recursive: true, encoding: "utf8" }).sort();

  it("a rehearsal of a capture refuses what the capture refuses, also into an empty bucket, and leaves nothing", async () => {
    const before = filesOf("prod");
    expect((await run(0, "prod", "backup", "--dry-run")).shards).to.have.lengthOf(2);
    expect(filesOf("prod")).to.deep.equal(before);
    await region("dr", "prod");
    const untouched = filesOf("dr");
    expect((await run(11, "dr", "backup", "--dry-run")).error.code).to.equal("ROLE_REFUSES");
    expect(filesOf("dr")).to.deep.equal(untouched);
    expect((await run(11, "dr", "backup")).error.code).to.equal("ROLE_REFUSES");
    expect((await run(2, "prod", "backup", "--dry-run", "--collections", "unknown")).error.code).to.equal("USAGE");
  });

  it("is verified where the newest recovery point holds only folders: Qdrant's data, and what only the newest holds", async () => {
    const { recoveryPoint: both } = await run(0, "prod", "backup", "--type", "full");
    writeFileSync(join(folder, "etc", "settings.yaml"), "a: 2\n");
    const { recoveryPoint: config } = await run(0, "prod", "backup", "--only", "config,config");
    ids = { both, config, later: "" };

    const verified = await run(0, "prod", "verify");
    expect(verified.recoveryPoint).to.equal(both);
    expect(verified.recoveryPoints).to.have.lengthOf(2);
    expect(verified.recoveryPoints[0]).to.include({ recoveryPoint: both, collections: 2, folders: 1 });
    expect(verified.recoveryPoints[1]).to.include({ recoveryPoint: config, collections: 0, folders: 1 });
    const listed = (await run(0, "prod", "recovery-points", "list")).recoveryPoints;
    expect(listed.map((each: { verifiedAt?: string }) => each.verifiedAt !== undefined)).to.deep.equal([true, true]);
    expect((await run(0, "prod", "verify", "--recovery-point", config)).recoveryPoints).to.have.lengthOf(1);
  });

  it("is restored from the newest that holds it, kind by kind and collection by collection", async () => {
    await clientOf(server).deleteCollection("others");
    ids = { ...ids, later: (await run(0, "prod", "backup", "--only", "qdrant")).recoveryPoint };
    const from = async (...args: string[]) => (await run(0, "prod", "restore", "--dry-run", ...args)).recoveryPoint;

    expect(await from("--as", "beside", "--collections", "notes")).to.equal(ids.later);
    expect(await from("--only", "config", "--into", join(folder, "restored"))).to.equal(ids.config);
    expect(
      await from("--only", "qdrant,config", "--as", "beside", "--collections", "notes", "--into", join(folder, "r")),
    ).to.equal(ids.both);
    expect(await from("--collections", "others,others")).to.equal(ids.both);
    const restored = await run(0, "prod", "restore", "--collections", "others,others");
    expect(restored).to.include({ recoveryPoint: ids.both, collections: 1, points: 1 });
    const refused = await run(2, "prod", "restore", "--collections", "notes,unknown", "--dry-run");
    expect(refused.error.message).to.contain(`unknown is not in ${ids.later}`);
  });

  it("counts once when it is named twice", async () => {
    const { recoveryPoint } = await run(0, "prod", "backup", "--type", "full", "--only", "qdrant");
    expect(recoveryPoint > ids.later).to.equal(true);
    const some = await run(0, "prod", "backup", "--collections", "notes,notes", "--only", "qdrant,qdrant");
    expect(some).to.include({ collections: 2, points: 2 });
  });

  it("is of a stack by any of the names that Pulumi has for it", async () => {
    for (const stack of ["search/prod", "acme/search/prod"]) {
      expect((await run(0, stack, "recovery-points", "list")).recoveryPoints).to.not.have.lengthOf(0);
    }
    expect((await run(2, "acme/search/other", "recovery-points", "list")).error.code).to.equal("SETTING_INVALID");
  });
});
