/**
 * An `ObjectStore` in a folder, for one machine. An object appears whole or not at all: it is written beside its place,
 * flushed, and linked into place, which fails when the place is taken. A file system without hard links (exFAT, many network
 * shares and FUSE file systems) gets it as a folder with one file, renamed into place: that fails when the place is taken, too,
 * because a folder that holds something cannot be replaced.
 */
import { createHash } from "node:crypto";
import { createReadStream, type Dirent } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { Abortable, ObjectStore, ReadRequest, StoredObject } from "../../ports/object-store.ts";
import { fileError } from "./file-errors.ts";
import { besides, contentOfFolder, unfinished } from "./folder-objects.ts";
import { objectNotFound, rangeOf, refuseIfLarger, wholeRange } from "./ranges.ts";

/** What file systems and desktops put into a folder; no part of a key has such a name, and often nobody may look into it. */
const ofTheSystem = /^(\.|lost\+found$|System Volume Information$|\$RECYCLE\.BIN$)/i;

export class FileStore implements ObjectStore {
  readonly #folder: string;
  readonly #link: typeof link;
  #hasLinks = true;

  /**
   * The folder must exist: a missing one is a lost or wrong disk, not an empty store.
   * @param makeLink makes a hard link: the file system's own, unless a test takes it away.
   */
  constructor(folder: string, makeLink: typeof link = link) {
    this.#folder = resolve(folder);
    this.#link = makeLink;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    request.signal?.throwIfAborted();
    return this.#reading(key, (path) => readFrom(path, key, request));
  }

  async checksumOf(key: string): Promise<string> {
    return this.#reading(key, async (path) => {
      const hash = createHash("sha256");
      await pipeline(createReadStream(path), hash);
      return hash.digest("hex");
    });
  }

  async *list(prefix: string, { signal }: Abortable = {}): AsyncGenerator<StoredObject> {
    await this.#checkFolder();
    // A name in another folder is of no concern: whoever may not look into that one has to know nothing of it.
    for await (const object of this.#listFolder(prefix.slice(0, prefix.lastIndexOf("/") + 1), prefix)) {
      signal?.throwIfAborted();
      yield object;
    }
  }

  async *folders(folder: string): AsyncGenerator<string> {
    await this.#checkFolder();
    for (const entry of await this.#entriesOf(folder)) {
      if (!entry.isDirectory() || entry.name.startsWith(unfinished)) continue;
      // An object of a file system without hard links is none.
      if ((await this.#lookAt(join(folder, entry.name, contentOfFolder))) === undefined) yield entry.name;
    }
  }

  async sizeOf(key: string): Promise<number | undefined> {
    await this.#checkFolder();
    this.#path(key);
    return ((await this.#lookAt(key)) ?? (await this.#lookAt(join(key, contentOfFolder))))?.size;
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    await this.#checkFolder();
    const path = this.#path(key);
    const beside = besides(path);
    try {
      await this.#makeFolderOf(path);
      try {
        await writeWhole(beside, bytes);
        const answer = (await this.#linkInto(path, beside)) ?? (await moveAsFolder(path, beside));
        await flushFolder(dirname(path));
        return answer;
      } finally {
        await rm(beside, { recursive: true, force: true });
      }
    } catch (error) {
      throw fileError(error, `${path} cannot be stored`);
    }
  }

  /** @param read reads the object's file, which is in a folder of the object's name where there are no hard links. */
  async #reading<T>(key: string, read: (path: string) => Promise<T>): Promise<T> {
    const path = this.#path(key);
    try {
      return await read(path).catch((error: unknown) => {
        if (hasErrno(error, "EISDIR")) return read(join(path, contentOfFolder));
        throw error;
      });
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR")) {
        await this.#checkFolder();
        throw objectNotFound(key, error);
      }
      throw fileError(error, `${path} cannot be read`);
    }
  }

  /** Undefined where there are no hard links. */
  async #linkInto(path: string, beside: string): Promise<"created" | "exists" | undefined> {
    if (!this.#hasLinks) return undefined;
    try {
      await this.#link(beside, path);
      return "created";
    } catch (error) {
      if (hasErrno(error, "EEXIST")) return "exists";
      if (!hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL", "UNKNOWN")) throw error;
      this.#hasLinks = false;
      return undefined;
    }
  }

  /** @param folder of keys: empty, or with a slash at its end. */
  async *#listFolder(folder: string, prefix: string): AsyncGenerator<StoredObject> {
    for (const entry of await this.#entriesOf(folder)) {
      const key = folder + entry.name;
      if (entry.name.startsWith(unfinished)) continue;
      if (entry.isDirectory() && (key.startsWith(prefix) || prefix.startsWith(`${key}/`))) {
        const object = await this.#lookAt(join(key, contentOfFolder));
        if (object === undefined) yield* this.#listFolder(`${key}/`, prefix);
        else if (key.startsWith(prefix)) yield { key, ...object };
      } else if (entry.isFile() && key.startsWith(prefix)) {
        const object = await this.#lookAt(key);
        if (object !== undefined) yield { key, ...object };
      }
    }
  }

  async #entriesOf(folder: string): Promise<Dirent[]> {
    const path = folder === "" ? this.#folder : this.#path(folder.slice(0, -1));
    try {
      const entries = await readdir(path, { withFileTypes: true });
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      // Nothing was ever stored there, or it was pruned meanwhile.
      if (hasErrno(error, "ENOENT", "ENOTDIR")) return [];
      const name = folder.split("/").at(-2) ?? "";
      if (hasErrno(error, "EACCES", "EPERM") && ofTheSystem.test(name)) return [];
      throw fileError(error, `${path} cannot be listed`);
    }
  }

  /** Undefined when there is no such file, or only a folder of the name. */
  async #lookAt(file: string): Promise<Omit<StoredObject, "key"> | undefined> {
    const path = join(this.#folder, file);
    try {
      const found = await stat(path);
      return found.isFile() ? { size: found.size, storedAt: found.mtime } : undefined;
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      // What lies in a folder that may not be looked into is told when that is listed.
      if (hasErrno(error, "EACCES", "EPERM") && file.endsWith(`/${contentOfFolder}`)) return undefined;
      throw fileError(error, `${path} cannot be looked at`);
    }
  }

  #path(key: string): string {
    if (key.split("/").some((part) => part === "" || part === "." || part === ".."))
      throw new Error(`not a key: ${key}`);
    return join(this.#folder, key);
  }

  /** Never the store's own folder: what is stored in another in its place would be gone when its disk comes back. */
  async #makeFolderOf(path: string): Promise<void> {
    let folder = this.#folder;
    for (const name of relative(folder, dirname(path)).split(sep).filter(Boolean)) {
      folder = join(folder, name);
      try {
        await mkdir(folder, { mode: 0o700 });
      } catch (error) {
        if (hasErrno(error, "ENOENT")) await this.#checkFolder();
        if (!hasErrno(error, "EEXIST")) throw error;
      }
    }
  }

  async #checkFolder(): Promise<void> {
    try {
      await stat(this.#folder);
    } catch (cause) {
      if (hasErrno(cause, "EACCES", "EPERM")) throw fileError(cause, `${this.#folder} cannot be opened`);
      throw new DrError("UNREACHABLE", `the store's folder ${this.#folder} is not there`, {
        hint: "mount its disk, or correct the folder in the settings",
        cause,
      });
    }
  }
}

async function readFrom(path: string, key: string, request: ReadRequest): Promise<Buffer> {
  const range = rangeOf(request);
  const file = await open(path);
  try {
    if (range === undefined) {
      const found = await file.stat();
      // Of a folder the read below says what it is.
      if (found.isFile()) refuseIfLarger(key, found.size, request.mostBytes);
      return await file.readFile();
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(range.length), 0, range.length, range.offset);
    return wholeRange(key, buffer.subarray(0, bytesRead), range);
  } finally {
    await file.close();
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Puts the file into place inside a folder, which is renamed: atomic, and refused where there is an object, be it a file or a folder. */
async function moveAsFolder(path: string, beside: string): Promise<"created" | "exists"> {
  const folder = `${beside}.d`;
  try {
    await mkdir(folder, { mode: 0o700 });
    await rename(beside, join(folder, contentOfFolder));
    await flushFolder(folder);
    try {
      await rename(folder, path);
      return "created";
    } catch (error) {
      // Systems disagree about the error's code.
      if (await isObject(path)) return "exists";
      throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function isObject(path: string): Promise<boolean> {
  for (const file of [path, join(path, contentOfFolder)]) {
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile() === true) return true;
  }
  return false;
}

/** A name is safe only when its folder is. Some network and FUSE file systems flush no folders: they are as safe as they can be. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!hasErrno(error, "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EPERM")) throw error;
  } finally {
    await handle.close();
  }
}
