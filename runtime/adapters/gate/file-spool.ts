/**
 * A spool in a folder: files of lines, the newest of which is written to. A line is one write of the operating system, so that a killed
 * process leaves at most a last line that is cut, whose request was never sent. A file whose intents are all done is deleted.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { hasErrno } from "../../errno.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { Intent, NumberedIntent, Spool } from "../../ports/spool.ts";

const lineSchema = z.union([
  z.strictObject({
    number: z.number().int().positive(),
    changes: z.enum(["points", "collection", "aliases", "shard keys", "everything"]),
    collection: z.string().optional(),
    ids: z.array(z.string()).optional(),
    shardKeys: z.array(z.string()).optional(),
  }),
  z.strictObject({ done: z.array(z.number().int().positive()) }),
  z.strictObject({ term: z.number().int().positive() }),
]);

/** Of a file, before the next one is begun. */
const fullBytes = 8 * 1024 * 1024;
const nameForm = /^(\d{10})\.log$/;

interface SpoolFile {
  readonly path: string;
  readonly open: Set<number>;
}

export class FileSpool implements Spool {
  readonly left: readonly NumberedIntent[];
  readonly #folder: string;
  /** The oldest first; the last one is written to. */
  readonly #files: SpoolFile[] = [];
  readonly #fileOf = new Map<number, SpoolFile>();
  #term: number | undefined;
  #next = 1;
  #descriptor: number | undefined;
  #bytes = 0;

  /** @throws OBJECT_CORRUPT when a file of it was changed. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const left = new Map<number, NumberedIntent>();
    const names = readdirSync(folder).filter((name) => nameForm.test(name));
    for (const name of names.sort()) this.#read(join(folder, name), left);
    this.left = [...left.values()].sort((a, b) => a.number - b.number);
    this.#begin(Number(nameForm.exec(names.at(-1) ?? "")?.[1] ?? 0) + 1);
  }

  get term(): number | undefined {
    return this.#term;
  }

  begin(intent: Intent): number {
    const number = this.#next;
    this.#write({ number, ...intent });
    this.#next += 1;
    const file = this.#files.at(-1);
    if (file === undefined) throw new Error("the spool is closed");
    file.open.add(number);
    this.#fileOf.set(number, file);
    if (this.#bytes > fullBytes) this.#beginNext(Number(nameForm.exec(file.path.slice(-14))?.[1]) + 1);
    return number;
  }

  done(numbers: readonly number[]): void {
    if (numbers.length === 0) return;
    this.#write({ done: numbers });
    for (const number of numbers) {
      this.#fileOf.get(number)?.open.delete(number);
      this.#fileOf.delete(number);
    }
    // What is done of a later file may stand in it: the oldest go first.
    while (this.#files.length > 1 && this.#files[0]?.open.size === 0) {
      const [oldest] = this.#files.splice(0, 1);
      if (oldest !== undefined) rmSync(oldest.path, { force: true });
    }
  }

  remember(term: number): void {
    this.#term = term;
    this.#write({ term });
    if (this.#descriptor !== undefined) fsyncSync(this.#descriptor);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** A full disk leaves the file as it is that is written to. */
  #beginNext(number: number): void {
    try {
      this.#begin(number);
    } catch {
      // Tried again behind the next line.
    }
  }

  #begin(number: number): void {
    const path = join(this.#folder, `${String(number).padStart(10, "0")}.log`);
    const descriptor = openSync(path, "ax", 0o600);
    const line = this.#term === undefined ? "" : `${JSON.stringify({ term: this.#term })}\n`;
    try {
      if (writeSync(descriptor, line) < line.length) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    } catch (error) {
      closeSync(descriptor);
      rmSync(path, { force: true });
      throw error;
    }
    this.close();
    this.#descriptor = descriptor;
    this.#bytes = line.length;
    this.#files.push({ path, open: new Set() });
  }

  #write(line: object): void {
    if (this.#descriptor === undefined) throw new Error("the spool is closed");
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      const written = writeSync(this.#descriptor, bytes);
      if (written < bytes.length) {
        // A full disk took a part of it.
        ftruncateSync(this.#descriptor, this.#bytes);
        throw Object.assign(new Error("a part of a line was written"), { code: "ENOSPC" });
      }
      this.#bytes += written;
    } catch (error) {
      if (!hasErrno(error, "ENOSPC")) throw toDrError(error);
      throw new DrError("DISK_FULL", `the journal's spool in ${this.#folder} cannot be written: the disk is full`, {
        hint: "free some space: no write is let through that the spool does not know of",
        cause: error,
      });
    }
  }

  #read(path: string, left: Map<number, NumberedIntent>): void {
    const file: SpoolFile = { path, open: new Set() };
    this.#files.push(file);
    const lines = readFileSync(path, "utf8").split("\n");
    // What has no end was cut, and nothing was done.
    lines.pop();
    for (const line of lines) {
      const read = this.#parse(path, line);
      if ("term" in read) this.#term = read.term;
      else if ("done" in read) for (const number of read.done) this.#forget(number, left);
      else {
        left.set(read.number, read);
        file.open.add(read.number);
        this.#fileOf.set(read.number, file);
        this.#next = Math.max(this.#next, read.number + 1);
      }
    }
  }

  #forget(number: number, left: Map<number, NumberedIntent>): void {
    left.delete(number);
    this.#fileOf.get(number)?.open.delete(number);
    this.#fileOf.delete(number);
  }

  #parse(path: string, line: string): z.infer<typeof lineSchema> {
    try {
      return lineSchema.parse(JSON.parse(line));
    } catch (cause) {
      throw new DrError("OBJECT_CORRUPT", `${path} is not what a gate writes`, {
        hint: "remove the spool's folder: the collections count as not reconciled then, until a capture has brought them",
        cause,
      });
    }
  }
}
