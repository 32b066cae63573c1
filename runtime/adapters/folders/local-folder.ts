/** A folder on this machine, as a source of what is captured. */
import { type BigIntStats, constants, watch } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tellableTime } from "../../domain/recovery-points/folder-tree.ts";
import { rootPath } from "../../domain/recovery-points/inner-path.ts";
import { type FolderSelection, type Selector, selectorOf } from "../../domain/settings/folder-selection.ts";
import { hasErrno } from "../../errno.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { FoundEntry, OpenFile, SkippedEntry, WatchedFolder } from "../../ports/folders.ts";
import { companionSuffixes, copyDatabase, type DatabaseHeader, readDatabaseHeader, tickMs } from "./sqlite-copy.ts";
import { draftInVolume, lostAndFound, moving } from "./volume-names.ts";

const readSize = 1024 * 1024;

type Stats = BigIntStats;

export class LocalFolder implements WatchedFolder {
  readonly path: string;
  readonly #selector: Selector;

  constructor(selection: Pick<FolderSelection, "exclude" | "include" | "path">) {
    this.path = selection.path;
    this.#selector = selectorOf(selection);
  }

  async exists(): Promise<boolean> {
    return (await this.#rootStats()) !== undefined;
  }

  async *entries(skip: Skip): AsyncGenerator<FoundEntry> {
    const root = await this.#rootStats();
    if (root === undefined) throw unreadable(this.path, "there is nothing");
    if (!root.isDirectory()) throw unreadable(this.path, "it is not a folder");
    yield describe(rootPath, "directory", root);
    yield* this.#below("", await this.#namesIn("", skip), skip);
    const after = await this.#rootStats();
    if (after?.ino === root.ino && after.dev === root.dev) return;
    throw unreadable(this.path, "another folder took its place, or its disk went away");
  }

  async open(path: string): Promise<OpenFile | undefined> {
    try {
      return await this.#open(path);
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw named(join(this.path, path), error);
    }
  }

  async #open(path: string): Promise<OpenFile | undefined> {
    const absolute = join(this.path, path);
    const found = await lstat(absolute, { bigint: true });
    if (!found.isFile()) return undefined;
    await passTick(found);
    const header = await readDatabaseHeader(absolute);
    const parts = header === undefined ? [absolute] : databaseParts(absolute);
    const before = await statsOf(parts);
    const [main, ...companions] = before;
    if (main === undefined || !main.isFile()) return undefined;
    const entry = describeFile(path, before);
    // In WAL mode and with nothing beside it, nobody has it open.
    const isAtRest = header === undefined || (header.usesWal && companions.every((stats) => stats === undefined));
    if (!isAtRest) {
      const copy = await copyDatabase(absolute);
      if (copy !== undefined) return openCopy(entry, copy);
    }
    const file = await open(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return {
      entry,
      content: contentOf(file, entry.size, absolute),
      close: async () => {
        await file.close();
        const isUnchanged = describeFile(path, await statsOf(parts)).seen === entry.seen;
        // The copy leaves out files beside a damaged database, which may belong to it.
        return { isConsistent: isUnchanged && companions.every((stats) => stats === undefined) };
      },
    };
  }

  /** The operating system does not report changes that another machine makes on a network disk. */
  watch({ broken, changed }: { changed(): void; broken(why: string): void }): () => void {
    try {
      const watcher = watch(this.path, { recursive: true }, (_event, name) => {
        if (name === null || !this.#selector.isExcluded(name)) changed();
      });
      watcher.on("error", ({ message }) => broken(message));
      return () => watcher.close();
    } catch (error) {
      broken((error as Error).message);
      return () => undefined;
    }
  }

  async *#below(folder: string, names: readonly string[], skip: Skip): AsyncGenerator<FoundEntry> {
    const databases = new Map<string, DatabaseHeader | undefined>();
    for (const name of names) {
      const database = databaseOf(name);
      if (database === undefined || databases.has(database) || !names.includes(database)) continue;
      const path = pathOf(folder, database);
      // One that cannot be read is told when its turn comes.
      databases.set(database, await unlessUnreadable(path, () => undefined, this.#headerOf(path)));
    }
    for (const name of names) {
      const path = pathOf(folder, name);
      if (path === moving) throw unreadable(this.path, "a restore into it was cut off; run it again");
      if (this.#selector.isExcluded(path) || path === lostAndFound || path.startsWith(draftInVolume)) continue;
      const database = databaseOf(name);
      if (database !== undefined && databases.get(database) !== undefined && this.#isWanted(pathOf(folder, database))) {
        continue;
      }
      yield* this.#entry(path, databases.get(name) !== undefined, skip);
    }
  }

  async *#entry(path: string, isDatabase: boolean, skip: Skip): AsyncGenerator<FoundEntry> {
    const absolute = join(this.path, path);
    const found = statsOf(isDatabase ? databaseParts(absolute) : [absolute]);
    const [stats, ...companions] = (await unlessUnreadable(path, skip, found)) ?? [];
    if (stats === undefined) return;
    if (stats.isDirectory()) {
      yield* this.#directory(path, stats, skip);
    } else if (!this.#selector.isIncluded(path)) {
      return;
    } else if (stats.isSymbolicLink()) {
      const target = await unlessUnreadable(path, skip, this.#targetOf(path));
      if (target !== undefined) yield { ...describe(path, "symlink", stats), target };
    } else if (stats.isFile()) {
      yield describeFile(path, [stats, ...companions]);
    } else {
      skip({ path, type: stats.isSocket() ? "socket" : stats.isFIFO() ? "fifo" : "device" });
    }
  }

  /** With `include`, a directory that holds nothing of it is left out. */
  async *#directory(path: string, stats: Stats, skip: Skip): AsyncGenerator<FoundEntry> {
    let isTold = this.#selector.isIncluded(path);
    const directory = describe(path, "directory", stats);
    if (isTold) yield directory;
    const names = (await unlessUnreadable(path, skip, this.#namesIn(path, skip))) ?? [];
    for await (const entry of this.#below(path, names, skip)) {
      if (!isTold) yield directory;
      isTold = true;
      yield entry;
    }
  }

  #isWanted(path: string): boolean {
    return this.#selector.isIncluded(path) && !this.#selector.isExcluded(path);
  }

  async #namesIn(folder: string, skip: Skip): Promise<string[]> {
    const absolute = join(this.path, folder);
    let names: Buffer[];
    try {
      names = await readdir(absolute, { encoding: "buffer" });
    } catch (error) {
      if (folder !== "" && hasErrno(error, "ENOENT", "ENOTDIR")) return [];
      throw named(absolute, error);
    }
    // Some file systems list a name twice while others come and go.
    const told = await Promise.all(
      names.map((name) => {
        const shown = pathOf(folder, name.toString("utf8"));
        if (this.#selector.isExcluded(shown)) return undefined;
        return unlessUnreadable(shown, skip, textOf(name, absolute));
      }),
    );
    return [...new Set(told.filter((name) => name !== undefined))].sort();
  }

  async #headerOf(path: string): Promise<DatabaseHeader | undefined> {
    try {
      return this.#isWanted(path) ? await readDatabaseHeader(join(this.path, path)) : undefined;
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO")) return undefined;
      throw named(join(this.path, path), error);
    }
  }

  async #targetOf(path: string): Promise<string | undefined> {
    const absolute = join(this.path, path);
    try {
      return textOf(await readlink(absolute, { encoding: "buffer" }), absolute);
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR", "EINVAL")) return undefined;
      throw named(absolute, error);
    }
  }

  /** Resolves the path first: a link to a folder may be configured. */
  async #rootStats(): Promise<Stats | undefined> {
    try {
      return await stat(this.path, { bigint: true });
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw named(this.path, error);
    }
  }
}

type Skip = (skipped: SkippedEntry) => void;

/** What one entry cannot tell is skipped; the rest of the folder is read all the same. */
async function unlessUnreadable<T>(path: string, skip: Skip, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (!hasCode(error, "CAPTURE_INCOMPLETE")) throw error;
    skip({ path, error });
    return undefined;
  }
}

function pathOf(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

/** The database that a file of this name would stand beside. */
function databaseOf(name: string): string | undefined {
  const suffix = companionSuffixes.find((candidate) => name.endsWith(candidate) && name !== candidate);
  return suffix === undefined ? undefined : name.slice(0, -suffix.length);
}

/** The files that hold a database's content; its shared memory holds none. */
function databaseParts(path: string): string[] {
  return [path, `${path}-wal`, `${path}-journal`];
}

async function statsOf(paths: readonly string[]): Promise<(Stats | undefined)[]> {
  return Promise.all(
    paths.map(async (path) => {
      try {
        return await lstat(path, { bigint: true });
      } catch (error) {
        if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
        throw named(path, error);
      }
    }),
  );
}

function describe(path: string, type: FoundEntry["type"], stats: Stats): FoundEntry {
  const { gid, mode, mtimeMs, size, uid } = stats;
  return {
    path,
    type,
    mode: Number(mode) & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    modifiedAt: tellableTime(Number(mtimeMs)),
    size: type === "file" ? Number(size) : 0,
  };
}

/** The newest change of a file and of the files that belong to it. */
function describeFile(path: string, parts: readonly (Stats | undefined)[]): FoundEntry {
  const [main] = parts;
  if (main === undefined) return { ...emptyFile, path };
  const present = parts.filter((stats) => stats !== undefined);
  const seen = parts.map((stats) =>
    stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`,
  );
  const changedAt = tellableTime(Math.max(...present.map(({ ctimeMs }) => Number(ctimeMs))));
  return { ...describe(path, "file", main), seen: seen.join(";").replace(/;+$/, ""), changedAt };
}

const emptyFile = { type: "file", mode: 0, uid: 0, gid: 0, modifiedAt: new Date(0), size: 0 } as const;

/** A change within the tick in which the file was looked at would not show afterwards. */
async function passTick({ ctimeMs }: Stats): Promise<void> {
  const age = Date.now() - Number(ctimeMs);
  if (age >= 0 && age < tickMs) await sleep(tickMs - age);
}

async function* contentOf(
  file: FileHandle,
  size: number,
  path: string,
): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  for (let offset = 0; offset < size; ) {
    const wanted = Math.min(readSize, size - offset);
    const reading = file.read(Buffer.allocUnsafe(wanted), 0, wanted, offset);
    const { buffer, bytesRead } = await reading.catch((error: unknown) => {
      throw named(path, error);
    });
    if (bytesRead === 0) return;
    yield { offset, bytes: buffer.subarray(0, bytesRead) };
    offset += bytesRead;
  }
}

async function openCopy(entry: FoundEntry, copy: { path: string; remove(): Promise<void> }): Promise<OpenFile> {
  try {
    const file = await open(copy.path);
    const size = (await file.stat()).size;
    return {
      entry: { ...entry, size },
      content: contentOf(file, size, copy.path),
      close: async () => {
        await file.close();
        await copy.remove();
        return { isConsistent: true };
      },
    };
  } catch (error) {
    await copy.remove();
    throw error;
  }
}

async function textOf(bytes: Buffer, place: string): Promise<string> {
  const text = bytes.toString("utf8");
  if (Buffer.from(text).equals(bytes)) return text;
  throw new DrError("CAPTURE_INCOMPLETE", `${place} holds a name that is not UTF-8: ${JSON.stringify(text)}`, {
    hint: "rename it (for example with convmv), or leave its folder out with `exclude`",
  });
}

function unreadable(path: string, why: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `${path} cannot be captured: ${why}`, {
    hint: "bring the folder back, or correct its path in the stack's settings",
  });
}

/** The system's refusal, with the file it is about. */
function named(path: string, error: unknown): unknown {
  if (error instanceof DrError || !(error instanceof Error) || !("errno" in error)) return error;
  // The process has too much open, or its copies have no room: that is not the file's.
  if (hasErrno(error, "EMFILE", "ENFILE", "ENOMEM", "ENOSPC")) return error;
  return new DrError("CAPTURE_INCOMPLETE", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
    hint: "let the account that captures read it, or leave it out with `exclude`",
    cause: error,
  });
}
