/**
 * Two machines by two settings files, as docs/how-to/two-machines.md shows it: a Qdrant, a store and a gate each, and neither Pulumi nor a public
 * name. The standby follows, a switchover loses nothing, and a failover serves when the other machine is gone.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { Product } from "../support/product.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";
import { eventually } from "../support/time/eventually.ts";

const clientKey = "the-key-that-clients-show";
const points = 300;

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

  async function run({ settings }: Machine, ...args: string[]): Promise<Record<string, unknown>> {
    const product = Product.startDirect([...args, "--settings", settings, "--json"], folder);
    expect(await product.end(), `${args.join(" ")}\n${product.stdout}\n${product.stderr}`).to.equal(0);
    return product.json as Record<string, unknown>;
  }

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
    settings.gate.lease = { store: witness, seconds: 5 };
    settings.peer.gate = { url: other.gateUrl, controlUrl: other.controlUrl, controlToken: token(other) };
    writeFileSync(of.settings, stringify(settings));
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
    await init(main);
    const made = await init(standby, "--peer", main.settings);
    expect(made).to.include({ region: "standby", isNew: true, epoch: 1 });
    complete(main, standby, made["peerSettings"] as string);
    complete(standby, main);
    expect(await init(standby)).to.include({ isNew: false, epoch: 1 });
    expect(await init(main)).to.include({ isNew: false, epoch: 1 });
    await Promise.all([startGate(main), startGate(standby)]);
    expect([await isServed(main), await isServed(standby)]).to.deep.equal([true, false]);
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
    expect([await isServed(main), await isServed(standby)]).to.deep.equal([false, true]);
    expect((await through(standby).count("notes")).count).to.equal(points + 1);

    await write(standby, 1_002);
    await run(main, "replicate", "--once");
    standby.gate?.signal("SIGKILL");
    await Promise.all([standby.gate?.end(), standby.server.kill(), standby.store.stop()]);
    const served = await run(main, "failover", "run", "--accept-data-loss", "3600");
    expect(served).to.include({ region: "main", from: "standby", epoch: 3, isWarm: true });
    expect(await isServed(main)).to.equal(true);
    expect((await through(main).count("notes")).count).to.equal(points + 2);
    writeFileSync(join(folder, "main", "client-key"), "another-key-that-clients-show");
    await eventually("the key that was revoked to count no more", async () => !(await isServed(main)));
    const status = (await run(main, "status")) as { regions: unknown[]; active: { region: string } };
    expect([status.regions.length, status.active.region]).to.deep.equal([2, "main"]);
  });
});
