/** How a folder holds an object where it cannot be a file that is linked into place. */
import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** How a name begins that is not an object's, or not any more. */
export const unfinished = ".unfinished-";
/** The file of an object that is a folder. */
export const contentOfFolder = ".object";

/** A new name beside an object. */
export function besides(path: string): string {
  return join(dirname(path), `${unfinished}${randomBytes(8).toString("hex")}`);
}

/** Whole, or not at all: half of it would be an empty folder where the next object of the name belongs. */
export async function deleteFolderObject(path: string): Promise<void> {
  const gone = `${besides(path)}.d`;
  await rename(path, gone);
  await rm(gone, { recursive: true, force: true });
}
