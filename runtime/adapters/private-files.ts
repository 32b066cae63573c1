import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasErrno } from "../errno.ts";
import { DrError } from "../errors.ts";
import type { PrivateFiles } from "../ports/private-files.ts";

export const privateFiles: PrivateFiles = {
  async read(path) {
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      if (hasErrno(cause, "ENOENT")) return undefined;
      throw refused(path, "read", cause);
    }
  },

  async create(path, text) {
    // One name: what a killed run left is written over.
    const beside = join(dirname(path), `.${basename(path)}.unfinished`);
    try {
      await rm(beside, { force: true });
      const file = await open(beside, "wx", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      return await place(beside, path);
    } catch (cause) {
      throw refused(path, "written", cause);
    } finally {
      await rm(beside, { force: true }).catch(() => {});
    }
  },
};

async function place(beside: string, path: string): Promise<"created" | "exists"> {
  try {
    await link(beside, path);
  } catch (error) {
    if (hasErrno(error, "EEXIST")) return "exists";
    const hasNoLinks = ["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"].some((code) => hasErrno(error, code));
    if (!hasNoLinks) throw error;
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) return "exists";
    await rename(beside, path);
  }
  return "created";
}

function refused(path: string, what: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  // Told for what it is.
  if (code === undefined || code === "ENOSPC") return cause;
  return new DrError("SETTING_INVALID", `${path} cannot be ${what} (${code})`, {
    hint: "check the folder and its rights, or name another place with --settings",
    cause,
  });
}
