/**
 * A consistent copy of a SQLite database that its application may be writing to. Node's `node:sqlite` gives the online
 * backup; it is loaded when a database is met.
 */
import { constants, createWriteStream } from "node:fs";
import { lstat, mkdir, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { hasErrno } from "../../errno.ts";
import { DrError } from "../../errors.ts";
import { scratchName, sweepScratch } from "../scratch.ts";

/** Files that SQLite keeps beside a database. A copy taken through SQLite contains their content. */
export const companionSuffixes = ["-wal", "-shm", "-journal"] as const;

const header = Buffer.from("SQLite format 3\0");
const headerSize = 100;

/** All pages in one step: one read transaction, which no writer can make begin again. */
/** Ends a journal's record of the file that decides over several databases. */
const journalMagic = Buffer.from("d9d505f920a163d7", "hex");

/** The oldest that is tried: it comes with the oldest Node that runs this. One that a system links to Node may be older. */
const oldestSqlite = "3.50.2";

const allPages = 2 ** 31 - 1;
const lockTimeoutMs = 1_000;
const attempts = 5;

/** Kernels stamp files with a clock that ticks every few milliseconds. */
export const tickMs = 20;

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const noDatabase: readonly number[] = [11, 26];

const prefix = "qdrant-dr-database-";

export interface DatabaseHeader {
  readonly usesWal: boolean;
}

/** Undefined when the file is no SQLite database (file format: header string, write and read version). */
export async function readDatabaseHeader(path: string): Promise<DatabaseHeader | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerSize), 0, headerSize, 0);
    if (bytesRead < headerSize || !buffer.subarray(0, header.length).equals(header)) return undefined;
    return { usesWal: buffer[18] === 2 || buffer[19] === 2 };
  } finally {
    await file.close();
  }
}

export interface DatabaseCopy {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Undefined when the file only begins like a database. Leaves nothing beside the database; while it is copied, a writer
 * waits when it does not use WAL.
 *
 * @throws CAPTURE_INCOMPLETE when its application keeps it locked and goes on writing.
 */
export async function copyDatabase(path: string): Promise<DatabaseCopy | undefined> {
  await sweepScratch(tmpdir(), prefix);
  const folder = join(tmpdir(), scratchName(prefix));
  await mkdir(folder, { mode: 0o700 });
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, "copy");
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      // Opened without shared memory beside it, SQLite would make some: nobody has such a database open in the usual way.
      const mayBeOpened = !(await isThere(`${path}-wal`)) || (await isThere(`${path}-shm`));
      const isDone = (mayBeOpened && (await isBackedUp(path, copy))) || (await isRecovered(path, folder, copy));
      if (isDone) return { path: copy, remove };
    }
    throw new DrError("CAPTURE_INCOMPLETE", `${path} is a database that its application locks and goes on writing to`, {
      hint: "let the application release its lock (locking_mode=NORMAL), stop it, or leave the file out with `exclude`",
    });
  } catch (error) {
    await remove();
    if (noDatabase.includes(sqliteCode(error) ?? 0)) return undefined;
    throw error;
  }
}

/**
 * False when its application holds it, or it was left in the middle of a transaction, which only a writer may undo. A
 * transaction that begins looks like that for a moment.
 */
async function isBackedUp(path: string, copy: string): Promise<boolean> {
  try {
    await backUp(path, copy);
    return true;
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
    for (const suffix of ["", ...companionSuffixes]) await rm(`${copy}${suffix}`, { force: true });
    return false;
  }
}

async function loadSqlite(): Promise<typeof import("node:sqlite")> {
  refuseOldSqlite(process.versions["sqlite"] ?? "0");
  return import("node:sqlite");
}

/** It reads files of others: what later versions mended in that must be there. */
export function refuseOldSqlite(version: string): void {
  if (version.localeCompare(oldestSqlite, undefined, { numeric: true }) >= 0) return;
  throw new DrError("NOT_SUPPORTED", `databases are not read with SQLite ${version}`, {
    hint: `run qdrant-dr with a Node that has SQLite ${oldestSqlite} or newer: \`node -p process.versions.sqlite\``,
  });
}

async function backUp(path: string, copy: string): Promise<void> {
  const { DatabaseSync, backup } = await loadSqlite();
  const source = new DatabaseSync(path, { readOnly: true, timeout: lockTimeoutMs });
  try {
    await backup(source, copy, { rate: allPages });
  } finally {
    source.close();
  }
}

/**
 * Copies the database and what is beside it, as a crash would leave them, and lets SQLite recover the copy. False when
 * any of them changed meanwhile.
 */
async function isRecovered(path: string, folder: string, copy: string): Promise<boolean> {
  const recovered = join(folder, "recovered");
  const parts = ["", "-wal", "-journal"];
  const originals = parts.map((part) => `${path}${part}`);
  const before = await stateOf(originals);
  // A change within the tick of the last one would not show in the times; one after the tick does.
  await sleep(tickMs);
  for (const part of parts) {
    await rm(`${recovered}${part}`, { force: true });
    await copyPlain(`${path}${part}`, `${recovered}${part}`).catch((error: unknown) => {
      if (part === "" || !hasErrno(error, "ENOENT")) throw error;
    });
  }
  if ((await stateOf(originals)) !== before) return false;
  await refuseOtherFiles(path, `${recovered}-journal`);
  const { DatabaseSync } = await loadSqlite();
  const database = new DatabaseSync(recovered);
  try {
    database.prepare("SELECT count(*) FROM sqlite_master").get();
  } finally {
    database.close();
  }
  await backUp(recovered, copy);
  return true;
}

/** Nobody else's file through a link, and nothing that a reader waits for: the folder may be another user's. */
async function copyPlain(from: string, to: string): Promise<void> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw hasErrno(error, "ELOOP", "ENXIO") ? notPlain(from) : error;
    },
  );
  try {
    if (!(await source.stat()).isFile()) throw notPlain(from);
    await pipeline(source.createReadStream({ autoClose: false }), createWriteStream(to, { mode: 0o600 }));
  } finally {
    await source.close();
  }
}

/**
 * A journal of a transaction over several databases names the file that says whether all of them ended it; SQLite asks there, and some
 * versions delete it. Who can write beside the database could name any file.
 */
async function refuseOtherFiles(database: string, journal: string): Promise<void> {
  const file = await open(journal).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  });
  if (file === undefined) return;
  try {
    const { size } = await file.stat();
    if (size < journalMagic.length) return;
    const { buffer } = await file.read(
      Buffer.alloc(journalMagic.length),
      0,
      journalMagic.length,
      size - journalMagic.length,
    );
    if (!buffer.equals(journalMagic)) return;
  } finally {
    await file.close();
  }
  throw new DrError("CAPTURE_INCOMPLETE", `${database} has a journal beside it that names another file`, {
    hint: "open it once with its application, which ends the transaction; a journal that no application left is an attack",
  });
}

function notPlain(path: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `${path} is beside a database and is no plain file`, {
    hint: "SQLite makes plain files there: see who made it, and remove it",
  });
}

async function stateOf(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ctimeNs, ino, mtimeNs, size } = await lstat(path, { bigint: true });
        return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      } catch (error) {
        if (hasErrno(error, "ENOENT")) return "-";
        throw error;
      }
    }),
  );
  return states.join("; ");
}

async function isThere(path: string): Promise<boolean> {
  return (await stateOf([path])) !== "-";
}

/** SQLite's primary result code; undefined for any other error. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR")) return undefined;
  return "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : 0;
}
