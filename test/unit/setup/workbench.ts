import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeReady } from "../../../setup/make-ready.mjs";
import { PINS } from "../../../setup/official-source.mjs";
import { SetupError } from "../../../setup/setup-error.mjs";

type Answer = (response: ServerResponse) => void;

/** Nothing listens there, so every official download is out of reach. */
const NOWHERE = "http://127.0.0.1:1";

export const sha256 = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

/** A machine in a temporary directory: its own PATH, cache and checkout, and a server in the place of the internet. */
export class Workbench {
  readonly dir = mkdtempSync(join(tmpdir(), "qdrant-dr-setup-"));
  readonly bin = join(this.dir, "bin");
  readonly cacheDir = join(this.dir, "cache");
  readonly root = join(this.dir, "root");
  readonly said: string[] = [];
  readonly asked: string[] = [];
  #answers = new Map<string, Answer>();
  #server = createServer((request, response) => {
    this.asked.push(request.url ?? "");
    const answer = this.#answers.get(request.url ?? "");
    if (answer) return answer(response);
    response.writeHead(404).end();
  });
  #base = NOWHERE;

  constructor() {
    mkdirSync(this.bin);
    mkdirSync(join(this.root, "setup", "pulumi"), { recursive: true });
    mkdirSync(join(this.root, "setup", "pulumi-language-nodejs"));
    this.pin({ [`https://github.com${QDRANT_URL}`]: "0".repeat(64) });
    for (const name of ["tar", "gzip", "cat", "mkdir", "sleep"]) {
      symlinkSync(
        execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
        join(this.bin, name),
      );
    }
  }

  async goOnline(answers: Record<string, string | Buffer | Answer>): Promise<void> {
    for (const [path, answer] of Object.entries(answers)) {
      this.#answers.set(path, typeof answer === "function" ? answer : (response) => response.end(answer));
    }
    if (this.#base !== NOWHERE) return;
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    this.#base = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The hashes that the checkout pins. */
  pin(pins: Readonly<Record<string, string>>): void {
    this.file(
      PINS,
      Object.entries(pins)
        .map(([address, hash]) => `${hash}  ${address}\n`)
        .join(""),
    );
  }

  /** Puts an official download of Qdrant online; its hash is the pinned one unless told otherwise. */
  async publishQdrant(archive: Buffer, hash = sha256(archive)): Promise<void> {
    this.pin({ [`https://github.com${QDRANT_URL}`]: hash });
    await this.goOnline({ [QDRANT_URL]: archive });
  }

  goOffline(): void {
    this.#base = NOWHERE;
  }

  remove(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Puts a shell script on PATH. */
  tool(name: string, script: string, directory = this.bin): string {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  file(path: string, content: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), content);
  }

  /** A .tar.gz with shell scripts in it. */
  archive(scripts: Record<string, string>): Buffer {
    const from = mkdtempSync(join(this.dir, "archive-"));
    for (const [path, script] of Object.entries(scripts)) {
      this.tool(path.split("/").at(-1) ?? path, script, join(from, dirname(path)));
    }
    return execFileSync("tar", ["-cz", "-C", from, ...readdirSync(from)]);
  }

  get options() {
    return {
      root: this.root,
      cacheDir: this.cacheDir,
      env: { PATH: this.bin, HOME: this.dir },
      platform: "linux-x64",
      addressOf: (address: string) => `${this.#base}${new URL(address).pathname}`,
      running: null,
      onProgress: ({ text }: { text: string }) => void this.said.push(text),
    };
  }

  makeReady(...ids: Parameters<typeof makeReady>[0]) {
    return makeReady(ids, this.options);
  }

  async refusal(...ids: Parameters<typeof makeReady>[0]): Promise<SetupError> {
    try {
      await this.makeReady(...ids);
    } catch (error) {
      if (error instanceof SetupError) return error;
      throw error;
    }
    throw new Error("the parts were made ready, and an error was expected");
  }

  /** What stands in the cache, hidden directories included. */
  cached(): string[] {
    const tools = join(this.cacheDir, "tools");
    return existsSync(tools) ? readdirSync(tools).sort() : [];
  }
}

export const QDRANT_FILE = "qdrant-x86_64-unknown-linux-gnu.tar.gz";
export const QDRANT_URL = `/qdrant/qdrant/releases/download/v1.16.3/${QDRANT_FILE}`;
