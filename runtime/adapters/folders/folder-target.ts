/** Folders on this machine, as places that are restored into. */
import { constants, createReadStream } from "node:fs";
import {
  chmod,
  type FileHandle,
  lchown,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  symlink,
  utimes,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { rootPath } from "../../domain/recovery-points/inner-path.ts";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { EntryAttributes, FolderDraft, FolderTarget, PlacedFolder } from "../../ports/folders.ts";
import { scratchName, sweepScratch } from "../scratch.ts";
import { draftInVolume, lostAndFound, moving } from "./volume-names.ts";

const movingSchema = z.object({
  names: z.array(z.string().refine((name) => name !== "" && !/^\.{1,2}$|\//.test(name))),
});

export class LocalFolders implements FolderTarget {
  async look(path: string, below?: string): Promise<{ state: "missing" | "empty" | "occupied"; isVolume: boolean }> {
    const place = await placeOf(path, below);
    const isVolume = await isVolumeAt(place);
    return { state: await stateOf(place), isVolume };
  }

  async draft(path: string, below?: string): Promise<FolderDraft> {
    const place = await placeOf(path, below);
    const isVolume = await isVolumeAt(place);
    const folder = isVolume ? place : dirname(place);
    const prefix = isVolume ? draftInVolume : `.${basename(place)}.restoring-`;
    await mkdir(folder, { recursive: true });
    await sweepScratch(folder, prefix);
    const staging = join(folder, scratchName(prefix));
    await mkdir(staging, { mode: 0o700 });
    return new LocalDraft(place, staging, isVolume);
  }
}

class LocalDraft implements FolderDraft {
  readonly #place: string;
  readonly #staging: string;
  readonly #isVolume: boolean;

  constructor(place: string, staging: string, isVolume: boolean) {
    this.#place = place;
    this.#staging = staging;
    this.#isVolume = isVolume;
  }

  async directory(path: string): Promise<void> {
    await mkdir(within(this.#staging, path), { recursive: true, mode: 0o700 });
  }

  async symlink(path: string, target: string): Promise<void> {
    await this.directory(dirname(path));
    await symlink(target, within(this.#staging, path));
  }

  async file(
    path: string,
    size: number,
    content: AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>,
  ): Promise<void> {
    await this.directory(dirname(path));
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(within(this.#staging, path), flags, 0o600);
    try {
      for await (const { bytes, offset } of content) {
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
        }
      }
      await file.truncate(size);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  read(path: string): AsyncIterable<Uint8Array> {
    return createReadStream(within(this.#staging, path), { highWaterMark: 1024 * 1024 });
  }

  async place(entries: readonly EntryAttributes[], keepAs?: string): Promise<PlacedFolder> {
    return this.#isVolume ? this.#fill(entries) : this.#move(entries, keepAs);
  }

  async discard(): Promise<void> {
    await rm(this.#staging, { recursive: true, force: true });
  }

  async #move(entries: readonly EntryAttributes[], keepAs: string | undefined): Promise<PlacedFolder> {
    const notOwned = await setAttributes(this.#staging, entries);
    await flushFolders(this.#staging, entries);
    const keptAs = (await stateOf(this.#place)) === "occupied" ? await this.#keep(keepAs) : undefined;
    await rename(this.#staging, this.#place);
    await flush(dirname(this.#place));
    return { ...(keptAs === undefined ? {} : { keptAs }), notOwned };
  }

  async #keep(keepAs: string | undefined): Promise<string> {
    if (keepAs === undefined) throw notEmpty(this.#place);
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? keepAs : `${keepAs}-${number}`;
      if (await isThere(name)) continue;
      await rename(this.#place, name);
      return name;
    }
  }

  /** A volume cannot be replaced: what was made in it is moved up, which a later run can undo when it was cut off. */
  async #fill(entries: readonly EntryAttributes[]): Promise<PlacedFolder> {
    if ((await stateOf(this.#place)) === "occupied") throw notEmpty(this.#place);
    await this.#undoCutOff();
    const names = await readdir(this.#staging);
    // In the draft, into which nobody else can come. A directory that may not be written to could not be moved up: it follows by handle.
    const inDraft = (path: string, type: EntryAttributes["type"]) =>
      path !== rootPath && (type !== "directory" || path.includes("/"));
    const notOwnedInDraft = await setAttributes(
      this.#staging,
      entries.filter(({ path, type }) => inDraft(path, type)),
    );
    await writeDurably(join(this.#place, moving), JSON.stringify({ names }));
    for (const name of names) await rename(join(this.#staging, name), join(this.#place, name));
    await rmdir(this.#staging);
    const above = entries.filter(({ path, type }) => !inDraft(path, type));
    const notOwned = [...(await setAttributesByHandle(this.#place, above)), ...notOwnedInDraft];
    await flushFolders(this.#place, entries);
    await rm(join(this.#place, moving));
    await flush(this.#place);
    return { notOwned };
  }

  /** Removes what a run that was cut off moved here: the volume was empty before. */
  async #undoCutOff(): Promise<void> {
    const names = await namesBeingMoved(this.#place);
    for (const name of names ?? []) await rm(join(this.#place, name), { recursive: true, force: true });
    await rm(join(this.#place, moving), { force: true });
  }
}

/** Resolves links in a path: the restore replaces the target of a link, never the link. */
async function placeOf(path: string, below?: string): Promise<string> {
  const place = await realPathOf(path);
  if (below === undefined || place.startsWith(`${await realPathOf(below)}/`)) return place;
  throw new DrError("USAGE", `${path} is a link that leads to ${place}, out of ${below}; nothing was restored`, {
    hint: "remove the link, or give the folder's place with --folder <name>=<path>",
  });
}

/** Links resolved as far as there is something. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  }
  const absolute = resolve(path);
  return join(await realPathOf(dirname(absolute)), basename(absolute));
}

async function isVolumeAt(place: string): Promise<boolean> {
  try {
    return (await lstat(place)).dev !== (await lstat(dirname(place))).dev;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}

async function stateOf(place: string): Promise<"missing" | "empty" | "occupied"> {
  try {
    const names = await readdir(place);
    const beingMoved = (await namesBeingMoved(place)) ?? [];
    const ignored = new Set([lostAndFound, moving, ...beingMoved]);
    return names.every((name) => ignored.has(name) || name.startsWith(draftInVolume)) ? "empty" : "occupied";
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return "missing";
    if (hasErrno(error, "ENOTDIR")) return "occupied";
    throw error;
  }
}

async function namesBeingMoved(place: string): Promise<string[] | undefined> {
  try {
    return movingSchema.parse(JSON.parse(await readFile(join(place, moving), "utf8"))).names;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Refuses paths outside the draft, whatever the tree says. */
function within(folder: string, path: string): string {
  const inside = join(folder, path);
  if (inside === folder || inside.startsWith(`${folder}/`)) return inside;
  throw new DrError("OBJECT_CORRUPT", `the path ${JSON.stringify(path)} leaves its folder; nothing was restored`);
}

/** The last entry first: a directory after what it holds. */
async function setAttributes(folder: string, entries: readonly EntryAttributes[]): Promise<string[]> {
  const notOwned: string[] = [];
  for (const { gid, mode, modifiedAt, path, type, uid } of entries.toReversed()) {
    const absolute = within(folder, path);
    const time = secondsOf(modifiedAt);
    const isOwned = await setOwner(absolute, uid, gid);
    if (!isOwned) notOwned.push(path);
    if (type === "symlink") {
      await lutimes(absolute, time, time);
      continue;
    }
    // A set-user-id bit is meant for its owner, not for whoever restores.
    await chmod(absolute, isOwned ? mode : mode & 0o777);
    await utimes(absolute, time, time);
  }
  return notOwned.reverse();
}

/** Of directories that others may see already: a handle stays with what was opened, whatever is put in its place. */
async function setAttributesByHandle(folder: string, entries: readonly EntryAttributes[]): Promise<string[]> {
  const notOwned: string[] = [];
  for (const { gid, mode, modifiedAt, path, uid } of entries.toReversed()) {
    const handle = await open(within(folder, path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const isOwned = await setOwner(handle, uid, gid);
      if (!isOwned) notOwned.push(path);
      const time = secondsOf(modifiedAt);
      await handle.chmod(isOwned ? mode : mode & 0o777);
      await handle.utimes(time, time);
    } finally {
      await handle.close();
    }
  }
  return notOwned.reverse();
}

/** Seconds with a bit more, which a number of that size still tells: what is cut off would be a millisecond less. */
function secondsOf(time: Date): string {
  const ms = time.getTime();
  // Given as text: Node takes a negative number for the present time.
  return String((ms + Math.max(0.000_5, Math.abs(ms) * Number.EPSILON * 2)) / 1000);
}

async function setOwner(entry: string | FileHandle, uid: number, gid: number): Promise<boolean> {
  const stats = await (typeof entry === "string" ? lstat(entry) : entry.stat());
  if (stats.uid === uid && stats.gid === gid) return true;
  try {
    await (typeof entry === "string" ? lchown(entry, uid, gid) : entry.chown(uid, gid));
    return true;
  } catch (error) {
    if (hasErrno(error, "EPERM", "EINVAL")) return false;
    throw error;
  }
}

async function flushFolders(folder: string, entries: readonly EntryAttributes[]): Promise<void> {
  for (const { path, type } of entries) if (type === "directory" && path !== rootPath) await flush(join(folder, path));
  await flush(folder);
}

/** A name is safe only when its folder is. */
async function flush(folder: string): Promise<void> {
  try {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // A directory that its owner may not read keeps its mode.
    if (!hasErrno(error, "EACCES")) throw error;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await flush(dirname(path));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function notEmpty(place: string): DrError {
  return new DrError("TARGET_NOT_EMPTY", `${place} holds something; nothing of it was changed`, {
    hint: "restore to another path, or in place with --in-place, which keeps what is there under another name",
  });
}
