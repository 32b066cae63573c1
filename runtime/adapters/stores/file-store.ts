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
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true });
    const keys = entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith(unfinished))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#folder.length + 1))
      .filter((key) => key.startsWith(prefix))
      .sort();
    for (const key of keys) yield { key, size: (await stat(this.#path(key))).size };
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

/** A name is safe only when its folder is. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
