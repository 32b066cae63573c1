/**
 * Practice estates: folders under one root, each with its two regions' disks, the stacks' settings and state, and a note
 * of who owns it. What a killed owner leaves is swept by the next run; a kept estate has no owner and stays.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { isAlive, isGone, ownIdentity } from "../../runtime/adapters/process-identity.ts";
import { PulumiStacks, runPulumi } from "../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import type { ProcessesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { hasErrno } from "../../runtime/errno.ts";
import { DrError } from "../../runtime/errors.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { SignedStore } from "../../runtime/repository/signed-store.ts";
import { storeSockets } from "../domain/seaweedfs.ts";
import { type EstateRegion, estateRegions, newEstateSettings } from "./estate-settings.ts";
import { killEstate, markAs, refuseTakenPort } from "./local-process.ts";

const projectFolder = fileURLToPath(new URL("../..", import.meta.url));
/** Two Qdrants, two stores, and what a restore spools. */
const neededBytes = 2 * 1024 ** 3;

/** Folders that are being made, and by whom. */
const newPrefix = ".new-";
/** Only such folders are ever looked into or removed: the root may hold other things. */
const estateFolder = /^(\.new-\d+-)?e[0-9a-f]{8}$/;

const noteSchema = z.object({
  format: z.literal(1),
  id: z.string(),
  createdAt: z.iso.datetime(),
  /** Absent: kept on purpose. */
  owner: z.object({ pid: z.number(), startTicks: z.string() }).optional(),
  storePorts: z.array(z.number()),
});
type Note = z.infer<typeof noteSchema>;

export class EmbeddedEstate {
  readonly id: string;
  readonly folder: string;
  readonly stacks: PulumiStacks;

  private constructor(id: string) {
    this.id = id;
    this.folder = join(estatesRoot(), id);
    this.stacks = new PulumiStacks({
      folder: projectFolder,
      env: this.#pulumiEnv(),
      settingsFile: (stack) => join(this.folder, "settings", `Pulumi.${stack}.yaml`),
    });
  }

  /** A new estate's name. Nothing of it is there yet, and `remove` takes away whatever will be. */
  static name(): EmbeddedEstate {
    return new EmbeddedEstate(`e${randomBytes(4).toString("hex")}`);
  }

  static async create(endpointPort?: number): Promise<EmbeddedEstate> {
    const estate = EmbeddedEstate.name();
    await estate.make(endpointPort);
    return estate;
  }

  /** Makes folders, settings and empty stacks; nothing runs yet. */
  async make(endpointPort?: number): Promise<void> {
    await mkdir(estatesRoot(), { recursive: true, mode: 0o700 }).catch(refuseRoot);
    await refuseFullDisk(estatesRoot());
    if (endpointPort !== undefined) await refuseTakenPort("the public endpoint", endpointPort);
    const disks = { primary: this.disk("primary"), standby: this.disk("standby") };
    const { recoveryIdentity, secrets, stacks } = await newEstateSettings(this.id, disks, endpointPort);
    const beside = join(estatesRoot(), `${newPrefix}${process.pid}-${this.id}`);
    await mkdir(beside, { mode: 0o700 });
    const note: Note = {
      format: 1,
      id: this.id,
      createdAt: new Date().toISOString(),
      owner: ownIdentity(),
      storePorts: estateRegions.map((region) => stacks[region].processes.ports.store),
    };
    // The folder appears with its note in it: whoever sweeps sees an owner.
    await writeFile(join(beside, "estate.json"), JSON.stringify(note), { mode: 0o600 });
    await rename(beside, this.folder);
    for (const folder of ["settings", "state", "pulumi", ...estateRegions.map((region) => `${region}/control`)]) {
      await mkdir(join(this.folder, folder), { recursive: true, mode: 0o700 });
    }
    await this.#writeSecret("passphrase", randomBytes(24).toString("hex"));
    await this.#writeSecret("recovery-identity.txt", `${recoveryIdentity}\n`);
    await writeFile(join(this.folder, "settings", "Pulumi.yaml"), "name: qdrant-dr\nruntime: nodejs\n");
    await Promise.all(estateRegions.map((region) => this.#makeStack(region, stacks[region], secrets)));
    const at = new Date().toISOString();
    for (const region of estateRegions) {
      const control = new SignedStore(new FileStore(join(this.disk(region), "control")), {
        region,
        store: "control",
        trust: stacks[region].trust,
        trustId: stacks[region].trust.id,
        signingKey: secrets.signing,
      });
      await claimEpoch(control, { epoch: 1, active: "primary", reason: "initial", run: this.id, at });
    }
  }

  /** Opens a kept estate. */
  static async open(id: string): Promise<EmbeddedEstate> {
    const known = await listEstates();
    if (known.some((note) => note.id === id)) return new EmbeddedEstate(id);
    const kept = known.filter((note) => note.owner === undefined).map((note) => note.id);
    throw new DrError("USAGE", `there is no estate ${id}`, {
      hint: kept.length > 0 ? `kept ones: ${kept.join(", ")}` : "make one with `npm run quickstart -- --keep`",
    });
  }

  disk(region: EstateRegion): string {
    return join(this.folder, region);
  }

  /** The disaster: every process of the region is killed and its disk is removed, store and control store included. */
  async destroyRegion(region: EstateRegion, names: readonly string[]): Promise<{ killedAt: Date; goneAt: Date }> {
    const killedAt = new Date();
    await killEstate(
      this.id,
      names.map((name) => `${region}-${name}`),
    );
    const goneAt = new Date();
    await rm(this.disk(region), { recursive: true, force: true });
    return { killedAt, goneAt };
  }

  async keep(): Promise<void> {
    const { owner: _owner, ...note } = await readNote(this.id);
    await this.#writeNote(note);
  }

  remove(): Promise<void> {
    return removeEstate(this.id);
  }

  #pulumiEnv(): Record<string, string> {
    return {
      PULUMI_BACKEND_URL: `file://${join(this.folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: join(this.folder, "passphrase"),
      PULUMI_HOME: join(this.folder, "pulumi"),
      // Whatever an update has under way ends with the estate.
      ...markAs({ estate: this.id, name: "pulumi" }),
    };
  }

  async #makeStack(stack: EstateRegion, settings: ProcessesStackSettings, secrets: unknown): Promise<void> {
    const { region: _isTheStack, ...given } = settings;
    const config = Object.fromEntries(Object.entries(given).map(([name, value]) => [`qdrant-dr:${name}`, value]));
    const cwd = join(this.folder, "settings");
    await writeFile(join(cwd, `Pulumi.${stack}.yaml`), JSON.stringify({ config }), { mode: 0o600 });
    const env = this.#pulumiEnv();
    await runPulumi(["stack", "init", stack, "--no-select"], { cwd, env });
    const args = ["config", "set", "secrets", "--secret", "--stack", stack];
    await runPulumi(args, { cwd, env, input: JSON.stringify(secrets) });
  }

  #writeSecret(name: string, text: string): Promise<void> {
    return writeFile(join(this.folder, name), text, { mode: 0o600 });
  }

  async #writeNote(note: Note): Promise<void> {
    const path = notePath(this.id);
    await writeFile(`${path}.new`, JSON.stringify(note), { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
  }
}

/** Removes what killed owners left behind; answers the ids of the estates that were removed. */
export async function sweepEstates(): Promise<string[]> {
  const swept: string[] = [];
  for (const id of await estateFolders()) {
    if (!(await isOrphan(id))) continue;
    await removeEstate(id);
    swept.push(id);
  }
  return swept;
}

async function isOrphan(id: string): Promise<boolean> {
  if (id.startsWith(newPrefix)) return !isAlive(Number(id.slice(newPrefix.length).split("-")[0]));
  try {
    const { owner } = await readNote(id);
    return owner !== undefined && isGone(owner);
  } catch (error) {
    // A removal that was killed in its last step leaves a folder without a note. Any other reason not to read it is none
    // to remove what it stands for.
    return hasErrno(error, "ENOENT");
  }
}

/** Ends and removes every kept estate; answers their ids. */
export async function removeKeptEstates(): Promise<string[]> {
  const kept = (await listEstates()).filter((note) => note.owner === undefined).map((note) => note.id);
  for (const id of kept) await removeEstate(id);
  return kept;
}

async function listEstates(): Promise<Note[]> {
  const notes = await Promise.all((await estateFolders()).map((id) => readNote(id).catch(() => undefined)));
  return notes.filter((note) => note !== undefined);
}

function estatesRoot(): string {
  const state = process.env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state");
  return process.env["QDRANT_DR_ESTATES"] ?? join(state, "qdrant-dr", "estates");
}

async function removeEstate(id: string): Promise<void> {
  for (;;) {
    await killEstate(id);
    const folders = (await estateFolders()).filter((name) => name === id || isBeingMade(name, id));
    // Whoever is interrupted may still have been making something of it: all is looked for once more.
    if (folders.length === 0) return;
    const note = await readNote(id).catch(() => undefined);
    for (const path of (note?.storePorts ?? []).flatMap(storeSockets)) await rm(path, { force: true });
    for (const folder of folders) await removeFolder(join(estatesRoot(), folder));
  }
}

/** The note goes last: a removal that is killed can be found and ended by the next sweep. */
async function removeFolder(folder: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 5 };
  for (const entry of await readdir(folder).catch(() => [])) {
    if (entry !== "estate.json") await rm(join(folder, entry), options);
  }
  await rm(folder, options);
}

function isBeingMade(folder: string, id: string): boolean {
  return folder.startsWith(newPrefix) && folder.endsWith(`-${id}`);
}

async function estateFolders(): Promise<string[]> {
  try {
    return (await readdir(estatesRoot())).filter((name) => estateFolder.test(name));
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return [];
    return refuseRoot(error);
  }
}

function refuseRoot(cause: unknown): never {
  throw new DrError("SETTING_INVALID", `the folder of estates ${estatesRoot()} cannot be used: ${String(cause)}`, {
    hint: "set QDRANT_DR_ESTATES to a folder that can be made and written",
    cause,
  });
}

function notePath(id: string): string {
  return join(estatesRoot(), id, "estate.json");
}

async function readNote(id: string): Promise<Note> {
  return noteSchema.parse(JSON.parse(await readFile(notePath(id), "utf8")));
}

async function refuseFullDisk(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= neededBytes) return;
  const free = Math.round((bavail * bsize) / 1024 ** 2);
  throw new DrError(
    "DISK_FULL",
    `${folder} has ${free} MiB free, and two regions need ${neededBytes / 1024 ** 2} MiB`,
    {
      hint: "free some space, or set QDRANT_DR_ESTATES to a folder on another disk",
    },
  );
}
