/** Deletes objects of a store in a folder. */
import { rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { keyBelowStream, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { LockedObject, PrunableStore } from "../../ports/prunable-store.ts";
import { contentOfFolder, deleteFolderObject } from "./folder-objects.ts";

/** A recovery point or a session. Captures write into the folders of packs and trees at any time: these stay. */
function hasFolderOfItsOwn(key: string): boolean {
  const below = keyBelowStream(key) ?? key;
  return below.startsWith(storeLayout.recoveryPoints) || below.startsWith(storeLayout.sessions);
}

export class FilePruner implements PrunableStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  async delete(keys: readonly string[]): Promise<readonly LockedObject[]> {
    await this.#checkFolder();
    const folders = new Set<string>();
    for (const key of keys) {
      const path = this.#path(key);
      try {
        await deleteObject(path);
      } catch (error) {
        if (hasErrno(error, "EACCES", "EPERM", "EROFS")) throw this.#denied(key, error);
        if (!hasErrno(error, "ENOENT", "ENOTDIR")) throw error;
      }
      if (hasFolderOfItsOwn(key)) folders.add(dirname(path));
    }
    for (const folder of folders) await this.#removeEmpty(folder);
    return [];
  }

  async #removeEmpty(folder: string): Promise<void> {
    if (dirname(folder) === this.#folder) return;
    try {
      await rmdir(folder);
    } catch (error) {
      if (hasErrno(error, "ENOTEMPTY", "EEXIST", "ENOENT")) return;
      throw error;
    }
    await this.#removeEmpty(dirname(folder));
  }

  #path(key: string): string {
    if (key.split("/").some((part) => part === "" || part === "." || part === ".."))
      throw new Error(`not a key: ${key}`);
    return join(this.#folder, key);
  }

  #denied(key: string, cause: unknown): DrError {
    return new DrError("ACCESS_DENIED", `${join(this.#folder, key)} may not be deleted (${(cause as Error).message})`, {
      hint: "run prune as the account that owns the store's files, on a disk that is mounted for writing",
      cause,
    });
  }

  async #checkFolder(): Promise<void> {
    try {
      await stat(this.#folder);
    } catch (cause) {
      throw new DrError("UNREACHABLE", `the store's folder ${this.#folder} is not there`, {
        hint: "mount its disk, or correct the folder in the settings",
        cause,
      });
    }
  }
}

/** A file, or a folder with one file where the file system has no hard links; any other folder is no object. */
async function deleteObject(path: string): Promise<void> {
  const isFolder = await stat(join(path, contentOfFolder)).then(
    () => true,
    () => false,
  );
  await (isFolder ? deleteFolderObject(path) : unlink(path));
}
