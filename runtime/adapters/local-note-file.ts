/** A note in the folder for the state of programs: systemd's of the service, or the user's. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { LocalNote } from "../ports/local-note.ts";

export class LocalNoteFile implements LocalNote {
  readonly #folder: string;
  readonly #path: string;

  /** @param of what the note is about: each has its own. */
  constructor(of: string, env: NodeJS.ProcessEnv) {
    this.#folder = stateFolder(env);
    const name = createHash("sha256").update(of).digest("hex").slice(0, 16);
    this.#path = join(this.#folder, `told-${name}.json`);
  }

  async read(): Promise<string | undefined> {
    return readFile(this.#path, "utf8").catch(() => undefined);
  }

  async write(text: string | undefined): Promise<void> {
    try {
      if (text === undefined) return await rm(this.#path, { force: true });
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const beside = `${this.#path}.${process.pid}`;
      await writeFile(beside, text, { mode: 0o600 });
      await rename(beside, this.#path);
    } catch {
      // A folder that cannot be written: a restart then tells again what it cannot know.
    }
  }
}

function stateFolder(env: NodeJS.ProcessEnv): string {
  const ofService = env["STATE_DIRECTORY"]?.split(":")[0];
  return ofService || join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "qdrant-dr");
}
