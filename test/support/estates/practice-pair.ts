/**
 * A practice estate with both regions up, a client's own data in it, and a way to run on it what documents show: their text
 * is what runs, with the names, addresses and times of this estate in the place of the documents'.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dumpYaml, loadYaml } from "@kubernetes/client-node";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { EmbeddedEstate } from "../../../quickstart/adapters/embedded-estate.ts";
import type { EstateRegion } from "../../../quickstart/adapters/estate-settings.ts";
import { killEstate, startServer } from "../../../quickstart/adapters/local-process.ts";
import { storeReadyUrls } from "../../../quickstart/domain/seaweedfs.ts";
import type { Region } from "../../../runtime/domain/region.ts";
import { type LineOptions, runLine } from "../documents/run-line.ts";
import { checkout, toldToProduct } from "../documents/shown-commands.ts";
import { QdrantServer } from "../servers/qdrant-server.ts";
import { runningProcesses } from "./estate-remains.ts";
import { clientOf } from "./recovery-practice.ts";

const quietly = () => {};
const notesAtFirst = 300;
const size = 8;

/** What documents call the regions: the active one, and its standby. */
type Name = "prod" | "dr";
type Server = "qdrant" | "gate" | "store";

export interface RunOptions extends LineOptions {
  /** What the line's time stands for; now when left out. */
  readonly time?: Date | undefined;
  /** What the line's `ID` stands for. */
  readonly recoveryPoint?: string | undefined;
  /** A folder with other outputs of the regions than the estate's own. */
  readonly outputs?: string | undefined;
}

interface StoppedServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export class PracticePair {
  readonly folder: string;
  readonly estate: EmbeddedEstate;
  readonly regions: Readonly<Record<EstateRegion, Region>>;
  /** As a client reaches whoever is active. */
  readonly client: QdrantClient;
  /** A Qdrant of nobody's, empty at first. */
  readonly throwaway: QdrantServer;
  readonly #stopped = new Map<string, StoppedServer>();
  readonly #estatesBefore: string | undefined;
  /** The stack that documents call `prod`. */
  active: EstateRegion = "primary";

  private constructor(
    folder: string,
    estate: EmbeddedEstate,
    regions: Readonly<Record<EstateRegion, Region>>,
    throwaway: QdrantServer,
    estatesBefore: string | undefined,
  ) {
    this.folder = folder;
    this.estate = estate;
    this.regions = regions;
    this.throwaway = throwaway;
    this.#estatesBefore = estatesBefore;
    const { clientKey = "", url = "" } = regions.standby.endpoint ?? {};
    this.client = clientOf({ url, apiKey: clientKey });
  }

  static async start(): Promise<PracticePair> {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-pair-"));
    const estatesBefore = process.env["QDRANT_DR_ESTATES"];
    process.env["QDRANT_DR_ESTATES"] = join(folder, "estates");
    const estate = await EmbeddedEstate.create();
    await estate.keep();
    prepare(estate);
    const starting = QdrantServer.start();
    await estate.stacks.up("standby", quietly);
    await estate.stacks.up("primary", quietly);
    const regions = { primary: await estate.stacks.region("primary"), standby: await estate.stacks.region("standby") };
    const pair = new PracticePair(folder, estate, regions, await starting, estatesBefore);
    pair.#writeOutputs();
    // As in the checkout, from which documents call it.
    mkdirSync(join(folder, "bin"));
    symlinkSync(join(checkout, "bin", "qdrant-dr"), join(folder, "bin", "qdrant-dr"));
    await pair.#load();
    return pair;
  }

  async stop(): Promise<void> {
    await this.throwaway.stop();
    await this.estate.remove();
    rmSync(this.folder, { recursive: true, force: true });
    if (this.#estatesBefore === undefined) delete process.env["QDRANT_DR_ESTATES"];
    else process.env["QDRANT_DR_ESTATES"] = this.#estatesBefore;
  }

  stackOf(name: Name): EstateRegion {
    return (name === "prod") === (this.active === "primary") ? "primary" : "standby";
  }

  /** The region's Qdrant, around its gate. */
  qdrant(name: Name): QdrantClient {
    const { apiKey, peers } = this.regions[this.stackOf(name)].qdrant;
    if (apiKey === undefined) throw new Error("each Qdrant of the practice has a key");
    return clientOf({ url: peers[0] ?? "", apiKey });
  }

  /** Folder of files with the regions' outputs, as `--outputs` takes it. */
  get outputs(): string {
    return join(this.folder, "outputs");
  }

  /** Where folders are restored beside the live ones. */
  get restored(): string {
    return join(this.folder, "restored");
  }

  get recoveryIdentity(): string {
    return join(this.estate.folder, "recovery-identity.txt");
  }

  /** The gates do not see the other region's control store any more. */
  separateGates(): void {
    for (const stack of ["primary", "standby"] as const) rmSync(peerPath(this.estate, stack));
  }

  joinGates(): void {
    for (const stack of ["primary", "standby"] as const) joinGate(this.estate, stack);
  }

  /** Nobody sees the region's control store while `act` runs, its own gate neither. */
  async withoutControl(name: Name, act: () => Promise<unknown>): Promise<void> {
    const control = join(this.estate.disk(this.stackOf(name)), "control");
    renameSync(control, `${control}.away`);
    try {
      await act();
    } finally {
      renameSync(`${control}.away`, control);
    }
  }

  /** Ends with SIGKILL. */
  async kill(name: Name, ...servers: readonly Server[]): Promise<void> {
    for (const server of servers) {
      const mark = `${this.stackOf(name)}-${server}`;
      const running = runningProcesses().find((process) => process.mark === `${this.estate.id}/${mark}`);
      if (running === undefined) throw new Error(`${mark} does not run`);
      this.#stopped.set(mark, specOf(running.pid));
      await killEstate(this.estate.id, [mark]);
    }
  }

  /** Starts it again, as whatever looks after it would. */
  async revive(name: Name, server: Server): Promise<void> {
    const stack = this.stackOf(name);
    const mark = `${stack}-${server}`;
    const spec = this.#stopped.get(mark);
    if (spec === undefined) throw new Error(`${mark} was not killed here`);
    const { gate, qdrant, repository } = this.regions[stack];
    const store = repository.kind === "s3" ? new URL(repository.endpoint ?? "").port : "";
    const readyUrls = {
      qdrant: [`${qdrant.peers[0]}/readyz`],
      gate: [`${gate?.url}/.qdrant-dr/health`],
      store: storeReadyUrls(Number(store)),
    }[server];
    await startServer({
      ...spec,
      estate: this.estate.id,
      name: mark,
      folder: join(this.estate.disk(stack), server),
      ports: [],
      readyUrls,
    });
  }

  /** What a killed server kept on its disk is gone. */
  wipe(name: Name, server: Server): void {
    rmSync(join(this.estate.disk(this.stackOf(name)), server), { recursive: true, force: true });
  }

  /** Runs a line of a document. */
  async run(line: string, options: RunOptions = {}): Promise<string> {
    return runLine(this.#here(line, options), { ...options, cwd: this.folder });
  }

  #here(line: string, { outputs = this.outputs, recoveryPoint = "ID", time = new Date() }: RunOptions): string {
    const told = toldToProduct(line) ?? "";
    const changesRoles = /^(failover run|switchover (run|abort)) /.test(told);
    const reports = /^(failover run|switchover run|drill) /.test(told);
    // No region of a stack is asked for, or where it is read from is told already.
    const needsNone = / --outputs |^(estate init|keys new|keys identity) /.test(told);
    const prodsQdrant = this.regions[this.stackOf("prod")].qdrant;
    const all: Readonly<Record<string, string>> = {
      "--for 60": "--for 5",
      "--recovery-point ID": `--recovery-point ${recoveryPoint}`,
      "--port 9464": "--port 0",
      "/media/offline/recovery.txt": this.recoveryIdentity,
      "/etc/qdrant-dr/prod.json": join(outputs, `${this.stackOf("prod")}.json`),
      "/tmp/restored": this.restored,
      "http://10.0.0.5:6333,http://10.0.0.6:6333": this.throwaway.url,
      "http://10.0.0.9:6333": this.throwaway.url,
      "http://qdrant-0.prod.example:6333": prodsQdrant.peers[0] ?? "",
      "QDRANT_API_KEY=…": `QDRANT_API_KEY=${line.includes("prod.example") ? prodsQdrant.apiKey : this.throwaway.apiKey}`,
    };
    let here = line.replaceAll(
      /(--(?:stack|from|to) )(prod|dr)\b/g,
      (_, option: string, name: Name) => `${option}${this.stackOf(name)}`,
    );
    for (const [shown, meant] of Object.entries(all)) here = here.replaceAll(shown, meant);
    here = here.replaceAll(/\b2026-05-31T[\d:]+Z/g, time.toISOString());
    // A change of roles needs the stacks themselves; what else reads a region takes its outputs from a file, which is quicker.
    if (changesRoles) here += ` --estate ${this.estate.id}`;
    else if (!needsNone) here += ` --outputs ${outputs}`;
    return reports ? `${here} --report ${join(this.folder, "report.html")}` : here;
  }

  #writeOutputs(): void {
    mkdirSync(this.outputs);
    for (const [stack, region] of Object.entries(this.regions)) {
      writeFileSync(join(this.outputs, `${stack}.json`), JSON.stringify(region));
    }
  }

  async #load(): Promise<void> {
    for (const collection of ["notes", "docs"]) {
      await this.client.createCollection(collection, {
        vectors: { size, distance: "Dot" },
        wal_config: { wal_capacity_mb: 1 },
      });
      await this.write(collection, 1, notesAtFirst);
    }
    await this.client.updateCollectionAliases({
      actions: [{ create_alias: { collection_name: "notes", alias_name: "current-notes" } }],
    });
  }

  /** Points with these ids, each of which can be told from every other one. */
  async write(collection: string, first: number, last: number): Promise<void> {
    const ids = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    await this.client.upsert(collection, { wait: true, points: ids.map(noteOf) });
  }

  /** Ids of a collection, as a client finds them through the public endpoint. */
  ids(collection: string): Promise<number[]> {
    return idsIn(this.client, collection);
  }
}

/** Point with this id, as the practice writes it. */
export function noteOf(id: number) {
  const vector = Array.from({ length: size }, (_, index) => Math.fround(Math.sin(id * (index + 1))));
  return { id, vector, payload: { text: `note ${id}` } };
}

export async function idsIn(client: QdrantClient, collection: string): Promise<number[]> {
  const { points } = await client.scroll(collection, { limit: 10_000, with_payload: false });
  return points.map(({ id }) => Number(id)).sort((a, b) => a - b);
}

/** Folders to capture, and a path from each region to the other one that can be cut. */
function prepare(estate: EmbeddedEstate): void {
  for (const stack of ["primary", "standby"] as const) {
    joinGate(estate, stack);
    const data = join(estate.disk(stack), "app");
    for (const folder of ["config", "users"]) {
      mkdirSync(join(data, folder), { recursive: true });
      writeFileSync(join(data, folder, "first.txt"), `${folder} of the application`);
    }
    const file = join(estate.folder, "settings", `Pulumi.${stack}.yaml`);
    const settings = loadYaml<{ config: Record<string, object> }>(readFileSync(file, "utf8"));
    Object.assign(settings.config["qdrant-dr:processes"] ?? {}, { peerControl: peerPath(estate, stack) });
    settings.config["qdrant-dr:configuration"] = [{ name: "application", path: join(data, "config") }];
    settings.config["qdrant-dr:userData"] = [{ name: "users", path: join(data, "users") }];
    writeFileSync(file, dumpYaml(settings));
  }
}

/** Where a region's gate looks for the other one's control store. */
function peerPath(estate: EmbeddedEstate, stack: EstateRegion): string {
  return join(estate.folder, `${stack}-sees`);
}

function joinGate(estate: EmbeddedEstate, stack: EstateRegion): void {
  const peer = stack === "primary" ? "standby" : "primary";
  symlinkSync(join(estate.disk(peer), "control"), peerPath(estate, stack));
}

/** How a process was started. */
function specOf(pid: number): StoppedServer {
  const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").filter(Boolean);
  const [command = "", ...args] = read("cmdline");
  const own = read("environ").filter((line) => !/^(PATH|HOME|QDRANT_DR_PROCESS(_SPEC)?)=/.test(line));
  const env = Object.fromEntries(
    own.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  return { command, args, env };
}
