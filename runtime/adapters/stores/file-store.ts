/**
 * An `ObjectStore` in a folder, for one machine. An object appears whole or not at all: it is written beside its place,
 * flushed, and linked into place, which fails when the place is taken.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, StoredObject } from "../../ports/object-store.ts";
import { objectNotFound, wholeRange } from "./ranges.ts";

const unfinished = ".unfinished-";

export class FileStore implements ObjectStore {
  readonly #folder: string;

  /** The folder must exist: a missing one is a lost or wrong disk, not an empty store. */
  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  async get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    try {
      if (range === undefined) return await readFile(this.#path(key));
      const file = await open(this.#path(key));
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(range.length), 0, range.length, range.offset);
        return wholeRange(key, buffer.subarray(0, bytesRead), range);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (hasErrno(error, "ENOENT")) {
        await this.#checkFolder();
        throw objectNotFound(key, error);
      }
      throw error;
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    await this.#checkFolder();
    // Folder by folder: the names of one are in memory, never those of all.
    const end = prefix.lastIndexOf("/");
    yield* this.#listFolder(prefix.slice(0, Math.max(0, end)), prefix);
  }

  async *#listFolder(folder: string, prefix: string): AsyncGenerator<StoredObject> {
    for (const { isFolder, name } of await entriesOf(folder === "" ? this.#folder : this.#path(folder))) {
      const key = folder === "" ? name : `${folder}/${name}`;
      if (isFolder) {
        if (`${key}/`.startsWith(prefix)) yield* this.#listFolder(key, prefix);
      } else if (key.startsWith(prefix) && !name.startsWith(unfinished)) {
        const found = await unlessGone(stat(this.#path(key)));
        if (found !== undefined) yield { key, size: found.size, storedAt: found.mtime };
      }
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    await this.#checkFolder();
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const beside = join(dirname(path), `${unfinished}${randomBytes(8).toString("hex")}`);
    try {
      const file = await open(beside, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(beside, path);
      await flushFolder(dirname(path));
      return "created";
    } catch (error) {
      if (hasErrno(error, "EEXIST")) return "exists";
      throw error;
    } finally {
      await unlink(beside).catch((error: unknown) => {
        if (!hasErrno(error, "ENOENT")) throw error;
      });
    }
  }

  #path(key: string): string {
    if (key.split("/").some((part) => part === "" || part === "." || part === ".."))
      throw new Error(`not a key: ${key}`);
    return join(this.#folder, key);
  }

  async #checkFolder(): Promise<void> {
    try {
      await stat(this.#folder);
    } catch (cause) {
      throw new DrError("UNREACHABLE", `the store's folder ${this.#folder} is not there`, {
        hint: "mount its disk, or correct the folder in the stack's settings",
        cause,
      });
    }
  }
}

async function entriesOf(folder: string): Promise<{ readonly name: string; readonly isFolder: boolean }[]> {
  const entries = await unlessGone(readdir(folder, { withFileTypes: true }));
  return (entries ?? [])
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What was there a moment ago may be pruned by now, and no folder may ever have been made for a prefix. */
async function unlessGone<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** A name is safe only when its folder is. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
