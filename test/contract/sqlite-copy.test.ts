/** Proves that a database comes whole, whatever its application does with it meanwhile, and that nothing is left behind. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "chai";
import { LocalFolder } from "../../runtime/adapters/folders/local-folder.ts";
import { refuseOldSqlite } from "../../runtime/adapters/folders/sqlite-copy.ts";
import { DrError } from "../../runtime/errors.ts";
import type { OpenFile } from "../../runtime/ports/folders.ts";
import { allOf } from "../support/all-of.ts";
import { errorOf } from "../support/expect-code.ts";
import { recordOfOtherFile } from "../support/super-journal.ts";
import { eventually } from "../support/time/eventually.ts";

describe("a SQLite database in a folder", function () {
  this.timeout(60_000);
  let folder: string;
  let elsewhere: string;
  let writers: ChildProcess[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    elsewhere = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    writers = [];
  });

  afterEach(async () => {
    for (const writer of writers) {
      if (writer.exitCode !== null || writer.signalCode !== null) continue;
      writer.kill("SIGKILL");
      await once(writer, "exit");
    }
    await rm(folder, { recursive: true, force: true });
    await rm(elsewhere, { recursive: true, force: true });
  });

  const local = () => new LocalFolder({ path: folder });

  /** Runs a program that has `data.db` open as `database`; answers when it has said its first word. */
  async function application(program: string): Promise<ChildProcess> {
    const text = `
      const { DatabaseSync } = require("node:sqlite");
      const database = new DatabaseSync(${JSON.stringify(join(folder, "data.db"))}, { timeout: 20_000 });
      const say = () => require("node:fs").writeSync(1, "ready\\n");
      ${program}`;
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "-e", text], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    writers.push(child);
    if (child.stdout !== null) await once(child.stdout, "data");
    return child;
  }

  async function opened(): Promise<OpenFile> {
    const file = await local().open("data.db");
    if (file === undefined) throw new Error("the database is gone");
    return file;
  }

  /** The copy as a later restore would find it: alone in a folder. */
  async function captured(): Promise<{ path: string; file: OpenFile; isConsistent: boolean }> {
    const file = await opened();
    const path = join(elsewhere, "data.db");
    await writeFile(path, Buffer.concat((await allOf(file.content)).map(({ bytes }) => bytes)));
    return { path, file, ...(await file.close()) };
  }

  function rowsIn(path: string): { integrity: unknown; ones: number; twos: number; highest: number } {
    const database = new DatabaseSync(path);
    try {
      const integrity = database.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
      const number = (sql: string) => Number(database.prepare(sql).get()?.["n"]);
      return {
        integrity,
        ones: number("SELECT count(*) n FROM one"),
        twos: number("SELECT count(*) n FROM two"),
        highest: number("SELECT max(id) n FROM two"),
      };
    } finally {
      database.close();
    }
  }

  const makeTables =
    "database.exec('CREATE TABLE one(id INTEGER, text TEXT); CREATE TABLE two(id INTEGER, text TEXT)');";
  const insert = (from: string, to: string) => `
    const [one, two] = ["one", "two"].map((name) => database.prepare("INSERT INTO " + name + " VALUES (?, ?)"));
    const text = "x".repeat(100);
    for (let id = ${from}; id <= ${to}; id += 1) {
      database.exec("BEGIN IMMEDIATE");
      one.run(id, text);
      two.run(id, text);
      database.exec("COMMIT");
      if (id === 50) say();
    }`;

  for (const mode of ["WAL", "DELETE", "TRUNCATE", "PERSIST"]) {
    it(`is whole, with the transactions up to one of them, while others are committed (${mode})`, async () => {
      await application(`
        database.exec("PRAGMA journal_mode=${mode}; PRAGMA synchronous=OFF");
        ${makeTables}
        ${insert("1", "1e9")}`);
      let last = 0;
      for (let round = 0; round < 6; round += 1) {
        const { path, file, isConsistent } = await captured();
        const { highest, integrity, ones, twos } = rowsIn(path);
        expect([isConsistent, integrity]).to.deep.equal([true, "ok"]);
        expect([ones, twos], "nothing but whole transactions, none left out").to.deep.equal([highest, highest]);
        expect(highest).to.be.at.least(Math.max(last, 50));
        expect(file.entry.size).to.equal((await stat(path)).size);
        last = highest;
      }
      expect(last, "it was written to meanwhile").to.be.greaterThan(50);
    });
  }

  it("stands for what its application keeps beside it, which is left out", async () => {
    await application(
      `database.exec("PRAGMA journal_mode=WAL"); ${makeTables} ${insert("1", "50")} setInterval(() => {}, 1e6);`,
    );
    await writeFile(join(folder, "notes-wal"), "a file of its own");
    const before = await stateOf(folder);
    const paths = (await allOf(local().entries(() => undefined))).map(({ path }) => path);
    expect(paths).to.deep.equal([".", "data.db", "notes-wal"]);
    expect(rowsIn((await captured()).path).ones).to.be.at.least(50);
    expect(await stateOf(folder), "nothing of the application's was touched").to.deep.equal(before);
  });

  it("is seen as changed when only what is beside it changed", async () => {
    await application(`
      database.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0");
      ${makeTables} ${insert("1", "50")}
      setInterval(() => {}, 1e6);`);
    const seen = async () =>
      (await allOf(local().entries(() => undefined))).find(({ path }) => path === "data.db")?.seen;
    const before = await seen();
    expect((await captured()).file.entry.seen).to.equal(before);
    const other = new DatabaseSync(join(folder, "data.db"));
    other.exec("INSERT INTO one VALUES (0, '')");
    const after = await seen();
    other.close();
    expect(after).not.to.equal(before);
  });

  it("is whole when its application was killed with a write-ahead log beside it", async () => {
    const writer = await application(`database.exec("PRAGMA journal_mode=WAL"); ${makeTables} ${insert("1", "1e9")}`);
    writer.kill("SIGKILL");
    await once(writer, "exit");
    const before = await stateOf(folder);
    expect([...before.keys()]).to.include("data.db-wal");
    for (const shared of [true, false]) {
      if (!shared) await rm(join(folder, "data.db-shm"));
      const { highest, integrity, ones } = rowsIn((await captured()).path);
      expect([integrity, ones]).to.deep.equal(["ok", highest]);
      expect((await readdir(folder)).includes("data.db-shm"), "none is made beside it").to.equal(shared);
    }
  });

  /** Leaves a database with a hot journal behind. */
  async function killInTransaction(): Promise<void> {
    const writer = await application(`
      database.exec("PRAGMA cache_size=5");
      ${makeTables} ${insert("1", "50")}
      database.exec("BEGIN; DELETE FROM one WHERE id < 40");
      for (let id = 0; id < 5000; id += 1) one.run(id, text);
      say();
      setInterval(() => {}, 1e6);`);
    await waitFor(async () => (await stat(join(folder, "data.db"))).size > 200_000);
    writer.kill("SIGKILL");
    await once(writer, "exit");
  }

  it("is whole when its application was killed in the middle of a transaction", async () => {
    await killInTransaction();
    const before = await stateOf(folder);
    expect([...before.keys()]).to.deep.equal(["data.db", "data.db-journal"]);
    expect(rowsIn((await captured()).path)).to.deep.equal({ integrity: "ok", ones: 50, twos: 50, highest: 50 });
    expect(await stateOf(folder)).to.deep.equal(before);
  });

  it("is refused with a journal that names another file, which stays", async () => {
    await killInTransaction();
    const victim = join(elsewhere, "victim");
    await writeFile(victim, "of somebody else");
    await appendFile(join(folder, "data.db-journal"), recordOfOtherFile(victim));
    const before = await stateOf(folder);
    const error = await errorOf(opened());
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.message).to.contain("names another file");
    expect(await readFile(victim, "utf8")).to.equal("of somebody else");
    expect(await stateOf(folder)).to.deep.equal(before);
  });

  it("is refused with a link or a pipe beside it, which nobody follows or waits for", async () => {
    await application(`${makeTables} ${insert("1", "50")} database.close(); setInterval(() => {}, 1e6);`);
    await writeFile(join(elsewhere, "secret"), "of somebody else");
    for (const make of [
      (path: string) => symlink(join(elsewhere, "secret"), path),
      async (path: string) => void execFileSync("mkfifo", [path]),
    ]) {
      const path = join(folder, "data.db-wal");
      await make(path);
      expect((await errorOf(opened()))?.message).to.contain("is no plain file");
      await rm(path);
    }
  });

  it("is read with no SQLite that is older than those tried", () => {
    for (const version of ["3.50.1", "3.9.2", "0"]) expect(() => refuseOldSqlite(version), version).to.throw(DrError);
    for (const version of ["3.50.2", "3.53.4", "4.0.0"]) expect(() => refuseOldSqlite(version), version).not.to.throw();
  });

  it("is whole when its application keeps it locked and is quiet", async () => {
    for (const mode of ["WAL", "DELETE"]) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      await application(`
        database.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=${mode}");
        ${makeTables} ${insert("1", "50")}
        setInterval(() => {}, 1e6);`);
      expect(rowsIn((await captured()).path)).to.deep.equal({ integrity: "ok", ones: 50, twos: 50, highest: 50 });
    }
  });

  it("is refused by name when its application keeps it locked and goes on writing", async () => {
    await application(`
      database.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
      ${makeTables} ${insert("1", "1e9")}`);
    let error: DrError | undefined;
    // A copy that its application happened to leave alone is whole, and taken.
    for (let tries = 0; error === undefined && tries < 10; tries += 1) {
      error = await errorOf(
        local()
          .open("data.db")
          .then((file) => file?.close()),
      );
    }
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.message).to.contain(join(folder, "data.db")).and.contain("locks");
  });

  it("comes as it is when it only looks like one", async () => {
    for (const content of ["SQLite format 3\0", `SQLite format 3\0${"x".repeat(5000)}`, "SQLite"]) {
      await writeFile(join(folder, "data.db"), content);
      const { isConsistent, path } = await captured();
      expect([isConsistent, String(await readFile(path))]).to.deep.equal([true, content]);
    }
  });

  it("comes twice as the same bytes when nothing changed", async () => {
    await application(`${makeTables} ${insert("1", "50")} database.close(); setInterval(() => {}, 1e6);`);
    const first = await readFile((await captured()).path);
    expect((await readFile((await captured()).path)).equals(first)).to.equal(true);
  });

  it("leaves no copy behind, and removes what a killed capture left", async () => {
    await application(`${makeTables} ${insert("1", "50")} database.close(); setInterval(() => {}, 1e6);`);
    const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, "-");
    const prefix = `qdrant-dr-database-${host}.`;
    const left = join(tmpdir(), `${prefix}999999999.1.00000000`);
    await mkdir(left);
    await copyFile(join(folder, "data.db"), join(left, "copy"));
    const file = await opened();
    const mine = async () => (await readdir(tmpdir())).filter((name) => name.startsWith(`${prefix}${process.pid}.`));
    expect(await mine()).to.have.length(1);
    expect(await readdir(tmpdir())).not.to.include(`${prefix}999999999.1.00000000`);
    await file.close();
    expect(await mine()).to.deep.equal([]);
  });
});

/** Names, sizes, times and content of what SQLite must not touch; its shared memory is for every reader. */
async function stateOf(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => !name.endsWith("-shm")).sort();
  const states = names.map(async (name): Promise<[string, string]> => {
    const path = join(folder, name);
    return [name, `${(await stat(path)).mtimeMs} ${(await readFile(path)).toString("base64")}`];
  });
  return new Map(await Promise.all(states));
}

async function waitFor(isSo: () => Promise<boolean>): Promise<void> {
  await eventually("it to come about", isSo, { everyMs: 0 });
}
