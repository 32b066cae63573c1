/** Writes new files into a folder: beside their places, flushed, and then named. */
import { createHash } from "node:crypto";
import { access, mkdir, open, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { NewFile, NewFiles } from "../../ports/new-files.ts";
import { fileError } from "../stores/file-errors.ts";

export class FolderOfNewFiles implements NewFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  async refuseTaken(names: readonly string[]): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(error, `${this.#folder} cannot be made`);
    }
    for (const name of names) if (await this.#isTaken(name)) throw this.#taken(name);
  }

  async write(name: string, content: AsyncIterable<Uint8Array>): Promise<NewFile> {
    const path = join(this.#folder, name);
    // One name: what a killed run left is written over.
    const beside = join(this.#folder, `.${name}.unfinished`);
    const hash = createHash("sha256");
    let bytes = 0;
    try {
      const file = await open(beside, "w", 0o600);
      try {
        for await (const part of content) {
          hash.update(part);
          bytes += part.length;
          await file.writeFile(part);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      if (await this.#isTaken(name)) throw this.#taken(name);
      await rename(beside, path);
      return { path, bytes, sha256: hash.digest("hex") };
    } catch (error) {
      throw fileError(error, `${path} cannot be written`);
    } finally {
      await rm(beside, { force: true });
    }
  }

  async #isTaken(name: string): Promise<boolean> {
    try {
      await access(join(this.#folder, name));
      return true;
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return false;
      throw fileError(error, `${join(this.#folder, name)} cannot be looked at`);
    }
  }

  #taken(name: string): DrError {
    return new DrError("TARGET_NOT_EMPTY", `${join(this.#folder, name)} is there already; it was left as it is`, {
      hint: "name another folder with --into, or move the file away",
    });
  }
}
