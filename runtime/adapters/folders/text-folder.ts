/** A folder of this machine that texts are written to. */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { TextFiles } from "../../ports/text-files.ts";
import { scratchName, sweepScratch } from "../scratch.ts";

export class TextFolder implements TextFiles {
  readonly #folder: string;
  readonly #mode: number;

  /** @param isPrivate only its owner may read what is written. */
  constructor(folder: string, { isPrivate = false }: { readonly isPrivate?: boolean } = {}) {
    this.#folder = resolve(folder);
    this.#mode = isPrivate ? 0o600 : 0o644;
  }

  async read(path: string): Promise<string | undefined> {
    const file = join(this.#folder, path);
    return this.#translate(file, "read", async () => {
      try {
        return await readFile(file, "utf8");
      } catch (error) {
        if (hasErrno(error, "ENOENT")) return undefined;
        throw error;
      }
    });
  }

  async write(path: string, text: string): Promise<void> {
    const file = join(this.#folder, path);
    const prefix = `.${basename(file)}.writing-`;
    await this.#translate(file, "written", async () => {
      await mkdir(dirname(file), { recursive: true });
      await sweepScratch(dirname(file), prefix);
      const draft = join(dirname(file), scratchName(prefix));
      try {
        const handle = await open(draft, "wx", this.#mode);
        try {
          await handle.writeFile(text);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(draft, file);
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    });
  }

  async #translate<T>(file: string, done: "read" | "written", act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      // A full disk is told for what it is.
      if (code === undefined || hasErrno(cause, "ENOSPC")) throw cause;
      throw new DrError("USAGE", `${file} cannot be ${done} (${code})`, {
        hint: "name a folder in which this user may write",
        cause,
      });
    }
  }
}
