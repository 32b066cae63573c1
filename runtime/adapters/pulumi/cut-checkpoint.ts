/**
 * A stack's checkpoint in a backend of files. An update that is killed while it writes it leaves it cut; what stood there
 * before is beside it, and resources made since are adopted by the next update. Beside each file is another of its attributes, which
 * is cut more often, because it is written in place (gocloud.dev/blob/fileblob, attrs.go); without it, defaults count.
 */
import { existsSync } from "node:fs";
import { copyFile, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasErrno } from "../../errno.ts";
import { isAlive } from "../process-identity.ts";

/** Puts the checkpoint before the last one back when the last one is cut and nobody writes it; answers whether it did anything. */
export async function mendCutCheckpoint(backend: string | undefined, project: string, stack: string): Promise<boolean> {
  if (!backend?.startsWith("file://")) return false;
  const folder = join(fileURLToPath(new URL(backend)), ".pulumi");
  const checkpoint = join(folder, "stacks", project, `${stack}.json`);
  if (await isLocked(join(folder, "locks"), stack)) return false;
  const removed = await removeCutAttributes([checkpoint, `${checkpoint}.bak`]);
  if ((await isJson(checkpoint)) || !(await isJson(`${checkpoint}.bak`))) return removed;
  await copyFile(`${checkpoint}.bak`, `${checkpoint}.mended`);
  await rename(`${checkpoint}.mended`, checkpoint);
  return true;
}

async function removeCutAttributes(files: readonly string[]): Promise<boolean> {
  let removed = false;
  for (const file of files.map((each) => `${each}.attrs`)) {
    if (!existsSync(file) || (await isJson(file))) continue;
    await rm(file);
    removed = true;
  }
  return removed;
}

/** Whether an update that lives holds a lock on the stack. */
async function isLocked(locks: string, stack: string): Promise<boolean> {
  const files = await readdir(locks, { recursive: true }).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return [];
    throw error;
  });
  const pids = await Promise.all(
    files
      .filter((file) => file.endsWith(".json") && file.includes(`/${stack}/`))
      .map(async (file) => /"pid":\s*(\d+)/.exec(await readFile(join(locks, file), "utf8"))?.[1]),
  );
  return pids.some((pid) => pid !== undefined && isAlive(Number(pid)));
}

async function isJson(path: string): Promise<boolean> {
  try {
    JSON.parse(await readFile(path, "utf8"));
    return true;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}
