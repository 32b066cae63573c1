import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import type { SnapshotFile } from "../../ports/snapshot-file.ts";
import { fileError } from "../stores/file-errors.ts";

const partBytes = 1024 * 1024;

/** Throws USAGE when there is no such file. */
export async function openSnapshotFile(given: string): Promise<SnapshotFile> {
  const path = resolve(given);
  const found = await stat(path).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw fileError(error, `${path} cannot be read`);
  });
  if (found?.isFile() !== true) {
    throw new DrError("USAGE", `there is no file ${path}`, { hint: "name a file that Qdrant made as a snapshot" });
  }
  return {
    path,
    name: basename(path),
    bytes: found.size,
    async *read(from = 0) {
      try {
        yield* createReadStream(path, { start: from, highWaterMark: partBytes }) as AsyncIterable<Uint8Array>;
      } catch (error) {
        throw fileError(error, `${path} cannot be read`);
      }
    },
  };
}
