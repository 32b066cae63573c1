/** The stacks of a practice estate by the real Pulumi engine, with the real Qdrant, SeaweedFS and endpoint. */
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { EmbeddedEstate } from "../../quickstart/adapters/embedded-estate.ts";
import { findProcess, killEstate } from "../../quickstart/adapters/local-process.ts";
import { runPulumi } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { DrError } from "../../runtime/errors.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { runningProcesses } from "../support/estates/estate-remains.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { watchCommandLines } from "../support/product.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const processes = ["endpoint", "gate", "qdrant", "store"] as const;
const everything = ["standby", "standby-repository", ...processes.map((name) => `standby-${name}`)];

describe("stack of a practice estate", function () {
  this.timeout(120_000);
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-engine-"));
  const settingsBefore = checkoutSettings();
  const estatesBefore = process.env["QDRANT_DR_ESTATES"];
  const made: EmbeddedEstate[] = [];
  let shared: EmbeddedEstate;
  /** Of the first `up` of the shared estate. */
  let first: Awaited<ReturnType<typeof up>>;
  let commandLines: () => readonly string[];

  before(async () => {
    process.env["QDRANT_DR_ESTATES"] = root;
    commandLines = watchCommandLines();
    shared = await newEstate();
    first = await up(shared);
  });
  afterEach("no settings file of the checkout appeared or changed", () => {
    expect(checkoutSettings()).to.deep.equal(settingsBefore);
  });
  after(async () => {
    commandLines?.();
    for (const estate of made) await estate.remove();
    rmSync(root, { recursive: true, force: true });
    if (estatesBefore === undefined) delete process.env["QDRANT_DR_ESTATES"];
    else process.env["QDRANT_DR_ESTATES"] = estatesBefore;
  });

  async function newEstate(): Promise<EmbeddedEstate> {
    const estate = await EmbeddedEstate.create();
    made.push(estate);
    return estate;
  }

  it("`up` creates everything and once more changes nothing, without a secret in any file or command line", async () => {
    const estate = shared;
    expect(first.events.sort()).to.deep.equal(
      ["default", "qdrant-dr-standby", ...everything].map((name) => `create ${name}`).sort(),
    );
    const pids = await pidsOf(estate);
    const again = await up(estate);
    expect([again.changes, again.events]).to.deep.equal([{ same: 7 }, []]);
    expect(await pidsOf(estate)).to.deep.equal(pids);

    const region = await estate.stacks.region("standby");
    expect(region).to.include({ region: "standby", peer: "primary", role: "standby", epoch: 1 });
    expect((await fetch(`${region.qdrant.peers[0]}/collections`)).status).to.equal(401);
    expect(await collectionsOf(region)).to.deep.equal([]);

    // An access key's id names a key and is none: SeaweedFS writes it into its log.
    const { "store.accessKeyId": _name, ...keys } = flat(JSON.parse(await config(estate, ["get", "secrets"])));
    const secrets = Object.values(keys);
    expect(secrets).to.have.length(7).and.include(region.qdrant.apiKey);
    const seen = commandLines();
    expect(seen.filter((line) => line.includes("qdrant"))).not.to.be.empty;
    for (const secret of secrets) {
      expect(seen.filter((line) => line.includes(secret))).to.deep.equal([]);
      expect(filesWith(estate.folder, secret)).to.deep.equal([]);
    }
  });

  it("the export of its state holds no secret in the clear, and an import of it changes nothing", async () => {
    const { changedAt, state } = await shared.stacks.exportState("standby");
    expect(await shared.stacks.exportState("standby")).to.deep.equal({ changedAt, state });
    expect(Date.now() - changedAt.getTime()).to.be.within(0, 60_000);
    const { deployment } = JSON.parse(state);
    expect(deployment.resources.map(({ urn }: { urn: string }) => urn.split("::").at(-1))).to.include.members(
      everything,
    );
    const { "store.accessKeyId": _name, ...keys } = flat(JSON.parse(await config(shared, ["get", "secrets"])));
    for (const secret of Object.values(keys)) expect(state).not.to.contain(secret);

    const file = join(root, "state-of-standby.json");
    writeFileSync(file, state);
    await pulumi(shared, ["stack", "import", "--file", file]);
    expect((await up(shared)).changes).to.deep.equal({ same: 7 });
  });

  it("there is no export of a stack that is not there", async () => {
    const error = await shared.stacks.exportState("elsewhere").catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(DrError).with.property("code", "STACK_NOT_FOUND");
  });

  it("a Qdrant that died by SIGKILL: `preview` and `refresh` notice, `up` starts just it again, on its port and with its data", async () => {
    const region = await shared.stacks.region("standby");
    await send(region, "PUT", "/collections/kept", { vectors: { size: 2, distance: "Dot" } });
    await send(region, "PUT", "/collections/kept/points?wait=true", { points: [{ id: 7, vector: [1, 2] }] });
    const before = await pidsOf(shared);
    expect((await shared.stacks.preview("standby")).changes).to.deep.equal({});
    await killEstate(shared.id, ["standby-qdrant"]);
    expect((await shared.stacks.preview("standby")).changes).to.deep.equal({ update: 1 });
    await shared.stacks.refresh("standby");
    const { changes, events } = await up(shared);
    expect([changes, events]).to.deep.equal([{ same: 6, update: 1 }, ["update standby-qdrant"]]);
    const after = await pidsOf(shared);
    expect(after).to.deep.equal({ ...before, qdrant: after.qdrant });
    expect(after.qdrant).not.to.equal(before.qdrant);
    const { result } = await send(region, "GET", "/collections/kept/points/7");
    expect(result).to.include({ id: 7 });
    await send(region, "DELETE", "/collections/kept");
  });

  it("another port for Qdrant changes its process and the gate in front of it: the old port is free, the data is there", async () => {
    const before = await pidsOf(shared);
    const old = await shared.stacks.region("standby");
    await send(old, "PUT", "/collections/moved", { vectors: { size: 2, distance: "Dot" } });
    const [port] = await closedPorts(1);
    await config(shared, ["set", "--path", "processes.ports.qdrant", String(port)]);
    const { changes, events } = await up(shared);
    expect(changes).to.deep.equal({ same: 5, update: 2 });
    expect(events.sort()).to.deep.equal(["update standby-gate", "update standby-qdrant"]);
    const after = await pidsOf(shared);
    expect([after.endpoint, after.store]).to.deep.equal([before.endpoint, before.store]);
    const region = await shared.stacks.region("standby");
    expect(region.qdrant.peers).to.deep.equal([`http://127.0.0.1:${port}`]);
    expect(await collectionsOf(region)).to.deep.equal(["moved"]);
    await send(region, "DELETE", "/collections/moved");
    expect(await collectionsOf(old).catch((error: Error) => error.name)).to.equal("TypeError");
  });

  it("a wrong setting: SETTING_INVALID with what was given and allowed, exit code 20, and nothing changes", async () => {
    const before = await pidsOf(shared);
    await config(shared, ["set", "initialRole", "leader"]);
    try {
      const error = await refusal(shared);
      expect(error).to.include({ code: "PULUMI_FAILED", exitCode: 20 });
      expect(error.message).to.contain('SETTING_INVALID: stack standby: initialRole: "leader" is not allowed');
      expect(error.message).to.contain('"active"|"standby"');
    } finally {
      await config(shared, ["set", "initialRole", "standby"]);
    }
    expect(await pidsOf(shared)).to.deep.equal(before);
  });

  it("without its control folder it does not know its role: ROLE_UNKNOWN, and nothing changes", async () => {
    const before = await pidsOf(shared);
    const control = join(shared.disk("standby"), "control");
    for (const change of ["gone", "empty"] as const) {
      renameSync(control, `${control}.away`);
      if (change === "empty") mkdirSync(control);
      try {
        const error = await refusal(shared);
        expect(error).to.include({ code: "PULUMI_FAILED", exitCode: 20 });
        expect(error.message).to.contain("ROLE_UNKNOWN: the role of standby cannot be known");
        expect(error.message).to.contain("nothing was changed");
      } finally {
        rmSync(control, { recursive: true, force: true });
        renameSync(`${control}.away`, control);
      }
    }
    expect(await pidsOf(shared)).to.deep.equal(before);
    expect(await shared.stacks.region("standby")).to.include({ region: "standby" });
  });

  it("the epoch records decide: promoted, `up` adds the route and nothing else; a routine `up` changes no role", async () => {
    const estate = await newEstate();
    await estate.stacks.up("standby", () => {});
    const traffic = new RegionAccess(await estate.stacks.region("standby")).traffic();
    expect(await traffic.current()).to.equal(undefined);
    const before = await pidsOf(estate);

    const { control } = new RegionAccess(await estate.stacks.region("standby")).stores;
    const at = new Date().toISOString();
    await claimEpoch(control, { epoch: 2, active: "standby", previous: "primary", reason: "failover", run: "r", at });
    const promoted = await up(estate);
    expect(promoted.events).to.deep.equal(["create standby-route"]);
    expect(await traffic.current()).to.deep.equal({ region: "standby", epoch: 2 });
    expect(await pidsOf(estate)).to.deep.equal(before);

    expect((await up(estate)).changes).to.deep.equal({ same: 8 });
    expect(await estate.stacks.region("standby")).to.include({ role: "active", epoch: 2 });
    expect(await config(estate, ["get", "initialRole"])).to.equal("standby\n");
    expect(await traffic.current()).to.deep.equal({ region: "standby", epoch: 2 });
  });

  it("a taken port: `up` fails with PORT_TAKEN, exit code 20 and a hint; when it is free, `up` again completes", async () => {
    const estate = await newEstate();
    const port = Number(await config(estate, ["get", "--path", "processes.endpoint.port"]));
    const holder = createServer();
    await once(holder.listen(port, "127.0.0.1"), "listening");
    try {
      const error = await refusal(estate);
      expect(error).to.include({ code: "PULUMI_FAILED", exitCode: 20, retryable: true });
      expect(error.message).to.contain(`PORT_TAKEN: standby-endpoint needs port ${port} on 127.0.0.1`);
      expect(error.hint).to.be.a("string").and.contain("again");
      expect(await findProcess({ estate: estate.id, name: "standby-endpoint" })).to.equal(undefined);
    } finally {
      await once(holder.close(), "close");
    }
    const { events } = await up(estate);
    expect(events).to.include("create standby-endpoint").and.not.include("create standby-qdrant");
    expect(Object.values(await pidsOf(estate)).every((pid) => pid !== undefined)).to.equal(true);
    expect(await collectionsOf(await estate.stacks.region("standby"))).to.deep.equal([]);
  });

  it("an `up` that was killed in the middle: the next one removes its lock, says so, adopts what runs and completes", async () => {
    const estate = await newEstate();
    let killed: Promise<void> | undefined;
    const error = await refusal(estate, (text) => {
      if (text === "create standby-qdrant") killed ??= killEstate(estate.id, ["pulumi"]);
    });
    expect(error.code).to.equal("PULUMI_FAILED");
    expect(killed).to.be.instanceOf(Promise);
    await killed;
    expect(runningProcesses().filter(({ mark }) => mark === `${estate.id}/pulumi`)).to.deep.equal([]);
    const { qdrant } = await pidsOf(estate);
    expect(qdrant).to.be.a("number");

    const { changes, messages } = await up(estate);
    expect(messages).to.deep.equal(["removed the lock of an update that was killed"]);
    // With the stack itself.
    const touched = (changes["create"] ?? 0) + (changes["same"] ?? 0) + (changes["update"] ?? 0);
    expect(touched).to.equal(everything.length + 1);
    expect((await pidsOf(estate)).qdrant).to.equal(qdrant);
    expect(await collectionsOf(await estate.stacks.region("standby"))).to.deep.equal([]);

    const commandLines = runningProcesses().filter(({ mark }) => mark?.startsWith(`${estate.id}/`));
    expect(commandLines).to.have.length(processes.length);
  });

  it("a checkpoint that was cut by a kill: the one before it is taken, and `up` adopts what runs", async () => {
    const estate = shared;
    const before = await pidsOf(estate);
    writeFileSync(join(estate.folder, "state", ".pulumi", "stacks", "qdrant-dr", "standby.json"), "");

    await up(estate);

    expect(await pidsOf(estate)).to.deep.equal(before);
    expect((await estate.stacks.region("standby")).role).to.equal("standby");
  });

  it("`destroy` ends every process and keeps the data of Qdrant and of the store", async () => {
    const estate = await newEstate();
    await estate.stacks.up("standby", () => {});
    const region = await estate.stacks.region("standby");
    await send(region, "PUT", "/collections/kept", { vectors: { size: 2, distance: "Dot" } });
    await estate.stacks.destroy("standby");
    expect(await pidsOf(estate)).to.deep.equal({
      endpoint: undefined,
      gate: undefined,
      qdrant: undefined,
      store: undefined,
    });
    expect(runningProcesses().filter(({ mark }) => mark?.startsWith(`${estate.id}/`))).to.deep.equal([]);
    expect(readdirSync(join(estate.disk("standby"), "qdrant", "storage", "collections"))).to.include("kept");
    expect(readdirSync(join(estate.disk("standby"), "store")).length).to.be.greaterThan(0);
    expect(readdirSync(join(estate.disk("standby"), "control", "epochs"))).to.have.length(1);
  });
});

async function up(estate: EmbeddedEstate) {
  const events: string[] = [];
  const messages: string[] = [];
  const { changes } = await estate.stacks.up("standby", ({ kind, text }) => {
    (kind === "message" ? messages : events).push(text);
  });
  return { changes, events, messages };
}

async function refusal(estate: EmbeddedEstate, onText: (text: string) => void = () => {}): Promise<DrError> {
  try {
    await estate.stacks.up("standby", ({ text }) => onText(text));
  } catch (error) {
    if (error instanceof DrError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

async function pidsOf(estate: EmbeddedEstate): Promise<Record<(typeof processes)[number], number | undefined>> {
  const pid = async (name: string) => (await findProcess({ estate: estate.id, name: `standby-${name}` }))?.pid;
  const [endpoint, gate, qdrant, store] = await Promise.all(processes.map(pid));
  return { endpoint, gate, qdrant, store };
}

/** `pulumi config` as an operator would run it beside the estate's settings. */
function config(estate: EmbeddedEstate, args: readonly string[]): Promise<string> {
  return pulumi(estate, ["config", ...args]);
}

function pulumi({ folder }: EmbeddedEstate, args: readonly string[]): Promise<string> {
  return runPulumi([...args, "--stack", "standby"], {
    cwd: join(folder, "settings"),
    env: {
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: join(folder, "passphrase"),
      PULUMI_HOME: join(folder, "pulumi"),
    },
  });
}

async function send({ qdrant }: Region, method: string, path: string, body?: unknown): Promise<{ result: unknown }> {
  const answer = await fetch(`${qdrant.peers[0]}${path}`, {
    method,
    headers: { "api-key": qdrant.apiKey, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { result: unknown };
}

async function collectionsOf(region: Region): Promise<string[]> {
  const { result } = await send(region, "GET", "/collections");
  return (result as { collections: { name: string }[] }).collections.map(({ name }) => name);
}

/** Every text in an object, by its path. */
function flat(value: object, prefix = ""): Record<string, string> {
  const entries = Object.entries(value).map(([name, member]): Record<string, string> => {
    const path = `${prefix}${name}`;
    return typeof member === "object" ? flat(member, `${path}.`) : { [path]: String(member) };
  });
  return Object.assign({}, ...entries);
}

function filesWith(folder: string, text: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  // What a program preallocates is large and empty.
  return paths.filter((path) => statSync(path).size < 8 * 1024 ** 2 && readFileSync(path).includes(text));
}

/** The settings files of the checkout, with what is in them. */
function checkoutSettings(): Record<string, string> {
  const names = readdirSync(checkout).filter((name) => /^Pulumi.*\.yaml$/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(checkout, name), "utf8")]));
}
