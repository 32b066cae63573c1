/**
 * Two machines by two settings files, as docs/how-to/two-machines.md shows it: a Qdrant, a store and a gate each, and neither Pulumi nor a public
 * name. The standby follows, a switchover loses nothing, and a failover serves when the other machine is gone: also with every key lost but
 * the offline recovery identity.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { shownCommands, toldToProduct } from "../support/documents/shown-commands.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { Product } from "../support/product.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { eventually } from "../support/time/eventually.ts";

const clientKey = "the-key-that-clients-show";
const points = 300;
const secretFiles = ["api-key", "client-key", "gate-token"];

interface Machine {
  readonly name: string;
  readonly settings: string;
  readonly server: QdrantServer;
  readonly store: SeaweedServer;
  readonly gateUrl: string;
  readonly controlUrl: string;
  gate?: Product;
}

describe("two machines, a settings file each", function () {
  this.timeout(300_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-two-"));
  /** A third place, as the mode `consistency` wants it. */
  const witness = join(folder, "witness");
  let main: Machine;
  let standby: Machine;
  let fresh: QdrantServer | undefined;
  const recovery = join(folder, "recovery.txt");

  before(async () => {
    const ports = await closedPorts(4);
    [main, standby] = await Promise.all([machine("main", ports.slice(0, 2)), machine("standby", ports.slice(2))]);
    process.env["AWS_ACCESS_KEY_ID"] = main.store.credentials.accessKeyId;
    process.env["AWS_SECRET_ACCESS_KEY"] = main.store.credentials.secretAccessKey;
  });

  after(async () => {
    for (const each of [main, standby]) {
      each?.gate?.signal("SIGKILL");
      await each?.gate?.end();
      await each?.server.stop();
      await each?.store.stop();
    }
    await fresh?.stop();
    delete process.env["QDRANT_API_KEY"];
    rmSync(folder, { recursive: true, force: true });
  });

  async function machine(name: string, ports: readonly number[]): Promise<Machine> {
    const own = join(folder, name);
    mkdirSync(own);
    const [server, store] = await Promise.all([QdrantServer.start(), SeaweedServer.start()]);
    await store.bucket("backups");
    const [gateUrl = "", controlUrl = ""] = ports.map((port) => `http://127.0.0.1:${port}`);
    const secrets = { "api-key": server.apiKey, "client-key": clientKey, "gate-token": `token-of-the-gate-of-${name}` };
    for (const [file, secret] of Object.entries(secrets)) writeFileSync(join(own, file), secret);
    return { name, settings: join(own, "qdrant-dr.yaml"), server, store, gateUrl, controlUrl };
  }

  async function run({ settings }: Pick<Machine, "settings">, ...args: string[]): Promise<Record<string, unknown>> {
    const product = Product.startDirect([...args, "--settings", settings, "--json"], folder);
    expect(await product.end(), `${args.join(" ")}\n${product.stdout}\n${product.stderr}`).to.equal(0);
    return product.json as Record<string, unknown>;
  }

  /** A machine that has what the page asks for and nothing else: runs its commands about a settings file, and answers the last one. */
  async function failOverFromElsewhere(of: Machine, other: Machine): Promise<Record<string, unknown>> {
    const elsewhere = join(folder, "elsewhere");
    for (const each of [of, other]) {
      const [from, to] = [join(folder, each.name), join(elsewhere, each.name)];
      mkdirSync(to, { recursive: true });
      for (const secret of secretFiles) copyFileSync(join(from, secret), join(to, secret));
    }
    const text = readFileSync(of.settings, "utf8").replaceAll(join(folder, of.name), join(elsewhere, "dr"));
    renameSync(join(elsewhere, of.name), join(elsewhere, "dr"));
    writeFileSync(
      join(elsewhere, "dr/qdrant-dr.yaml"),
      text.replaceAll(join(folder, other.name), join(elsewhere, other.name)),
    );
    copyFileSync(recovery, join(elsewhere, "recovery.txt"));
    const commands = shownCommands("docs/how-to/fail-over-from-elsewhere.md")
      .filter(({ heading, line }) => heading === "By a settings file" && line.includes("recovery.txt"))
      .map(({ line }) => (toldToProduct(line) ?? "").split(" "));
    expect(commands.map((args) => args.slice(0, 2).join(" "))).to.deep.equal([
      "status --settings",
      "failover plan",
      "failover run",
    ]);
    let answer = {};
    for (const args of commands) {
      const env = { HOME: elsewhere, PATH: "", ...awsCredentials() };
      const product = Product.startIn(elsewhere, [...args, "--json"], env);
      expect(await product.end(), `${args.join(" ")}\n${product.stdout}\n${product.stderr}`).to.equal(0);
      answer = product.json as Record<string, unknown>;
    }
    expect(existsSync(join(elsewhere, "dr/files"))).to.equal(false);
    return answer;
  }

  const awsCredentials = () => ({
    AWS_ACCESS_KEY_ID: process.env["AWS_ACCESS_KEY_ID"],
    AWS_SECRET_ACCESS_KEY: process.env["AWS_SECRET_ACCESS_KEY"],
  });

  const init = (of: Machine, ...more: string[]) =>
    run(
      of,
      ...[
        "init",
        "--yes",
        "--qdrant",
        of.server.url,
        "--store",
        "s3://backups/qdrant",
        "--s3-endpoint",
        of.store.endpoint,
      ],
      ...["--api-key-file", join(folder, of.name, "api-key"), ...more],
    );

  /** What a person writes into the file: both gates, and for the first machine its peer. */
  function complete(of: Machine, other: Machine, peer = ""): void {
    const settings = { ...parse(readFileSync(of.settings, "utf8")), ...parse(peer) };
    const token = (each: Machine) => ({ file: join(folder, each.name, "gate-token") });
    settings.gate = {
      ...{ url: of.gateUrl, port: Number(new URL(of.gateUrl).port), clientKey: { file: "client-key" } },
      ...{ grpcPort: Number(new URL(of.gateUrl).port), controlPort: Number(new URL(of.controlUrl).port) },
      controlToken: token(of),
    };
    settings.userData = [{ name: "files", path: filesOf(of) }];
    settings.gate.lease = { store: witness, seconds: 5 };
    settings.peer.gate = { url: other.gateUrl, controlUrl: other.controlUrl, controlToken: token(other) };
    writeFileSync(of.settings, stringify(settings));
  }

  /** What an ordinary application keeps beside its Qdrant. */
  const filesOf = ({ name }: Pick<Machine, "name">) => join(folder, name, "files");

  /** The settings with what they pin, and neither the operational identity nor a key that signs. */
  function withoutKeys(of: Machine): Pick<Machine, "settings"> {
    const settings = parse(readFileSync(of.settings, "utf8"));
    const gone = { file: "gone" };
    const path = join(folder, of.name, "rescue.yaml");
    writeFileSync(path, stringify({ ...settings, keys: { ...settings.keys, identity: gone, signing: gone } }));
    return { settings: path };
  }

  async function startGate(of: Machine): Promise<void> {
    of.gate = Product.startDirect(["gate", "--settings", of.settings], folder);
    await of.gate.says(/^gate: /);
  }

  const through = ({ gateUrl }: Machine) =>
    new QdrantClient({ url: gateUrl, apiKey: clientKey, checkCompatibility: false });
  const isServed = async (of: Machine) =>
    through(of)
      .getCollections()
      .then(
        () => true,
        () => false,
      );
  const write = (to: Machine, id: number) =>
    through(to).upsert("notes", { wait: true, points: [{ id, vector: [id, 1], payload: { at: to.name } }] });

  it("follow each other, change roles with nothing lost, and one serves when the other is gone", async () => {
    const client = clientOf(main.server);
    await client.createCollection("notes", { vectors: { size: 2, distance: "Euclid" } });
    await client.upsert("notes", {
      wait: true,
      points: Array.from({ length: points }, (_, id) => ({ id, vector: [id, 1] })),
    });
    await init(main, "--offline-key-file", recovery);
    const made = await init(standby, "--peer", main.settings);
    expect(made).to.include({ region: "standby", isNew: true, epoch: 1 });
    complete(main, standby, made["peerSettings"] as string);
    complete(standby, main);
    expect(await init(standby)).to.include({ isNew: false, epoch: 1 });
    expect(await init(main)).to.include({ isNew: false, epoch: 1 });
    await Promise.all([startGate(main), startGate(standby)]);
    await eventually("the active region to be served", () => isServed(main));
    expect(await isServed(standby)).to.equal(false);
    // Without its third place it serves until its lease runs out, and not longer.
    renameSync(witness, `${witness}-away`);
    await eventually("the gate to stop without its witness", async () => !(await isServed(main)));
    renameSync(`${witness}-away`, witness);
    await eventually("the gate to serve with its witness", () => isServed(main));

    const second = Product.startDirect(["gate", "--settings", main.settings], folder);
    expect(await second.end(), second.stderr).to.equal(4);

    await run(standby, "replicate", "--once");
    await write(main, 1_001);
    expect(await run(standby, "switchover", "run")).to.include({ region: "standby", from: "main", dataLossSeconds: 0 });
    await eventually("the promoted region to be served", () => isServed(standby));
    expect(await isServed(main)).to.equal(false);
    expect((await through(standby).count("notes")).count).to.equal(points + 1);

    await write(standby, 1_002);
    await run(main, "replicate", "--once");
    mkdirSync(filesOf(standby));
    writeFileSync(join(filesOf(standby), "page.html"), "<h1>written while standby served</h1>", { mode: 0o640 });
    mkdirSync(filesOf(main));
    writeFileSync(join(filesOf(main), "page.html"), "of a time before");
    await run(standby, "backup");
    await run(main, "copy", "--from", "standby", "--to", "main");
    standby.gate?.signal("SIGKILL");
    await Promise.all([standby.gate?.end(), standby.server.kill(), standby.store.stop()]);
    const lost = withoutKeys(main);
    const refused = Product.startDirect(["failover", "run", "--settings", lost.settings], folder);
    expect(await refused.end(), refused.stderr).to.equal(2);
    fresh = await QdrantServer.start();
    process.env["QDRANT_API_KEY"] = fresh.apiKey;
    await run(lost, "restore", "--to", fresh.url, "--identity-file", recovery);
    expect((await clientOf(fresh).count("notes")).count).to.equal(points + 2);
    const served = await failOverFromElsewhere(main, standby);
    expect(served).to.include({ region: "main", from: "standby", epoch: 3, isWarm: true });
    await eventually("the region that is left to be served", () => isServed(main));
    expect(await run(main, "failover", "folders")).to.deep.include({ already: [], foldersLeft: [] });
    expect(await answerOfApplication(filesOf(main))).to.equal("<h1>written while standby served</h1>");
    const kept = readdirSync(join(folder, "main")).filter((name) => name.startsWith("files.before-"));
    expect(kept).to.have.length(1);
    expect(readFileSync(join(folder, "main", kept[0] ?? "", "page.html"), "utf8")).to.equal("of a time before");
    // The application writes from now on: no later run brings back what it had before.
    writeFileSync(join(filesOf(main), "page.html"), "written since");
    const again = await run(main, "failover", "run", "--accept-data-loss", "3600");
    expect(again["foldersLeft"]).to.deep.equal([]);
    expect(readFileSync(join(filesOf(main), "page.html"), "utf8")).to.equal("written since");
    expect((await through(main).count("notes")).count).to.equal(points + 2);
    writeFileSync(join(folder, "main", "client-key"), "another-key-that-clients-show");
    await eventually("the key that was revoked to count no more", async () => !(await isServed(main)));
    const status = (await run(main, "status")) as { regions: unknown[]; active: { region: string } };
    expect([status.regions.length, status.active.region]).to.deep.equal([2, "main"]);
  });
});

/** What an application answers that is started on its folder, as a process of its own. */
async function answerOfApplication(files: string): Promise<string> {
  const program = `
    const { createServer } = require("node:http");
    const { readFileSync } = require("node:fs");
    const server = createServer((_, answer) => answer.end(readFileSync("page.html")));
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
  const application = spawn(process.execPath, ["-e", program], { cwd: files, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [port] = await once(application.stdout, "data");
    return await (await fetch(`http://127.0.0.1:${String(port).trim()}/`)).text();
  } finally {
    application.kill();
    await once(application, "exit");
  }
}
