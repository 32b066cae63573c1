/** Proves what a capture sees of a folder on a real disk: all of it, in order, and whether it stood still. */
import { execFile } from "node:child_process";
import {
  appendFile,
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { LocalFolder } from "../../runtime/adapters/folders/local-folder.ts";
import type { FolderSelection } from "../../runtime/domain/settings/folder-selection.ts";
import type { FoundEntry, OpenFile, SkippedEntry } from "../../runtime/ports/folders.ts";
import { allOf } from "../support/all-of.ts";
import { errorOf } from "../support/expect-code.ts";

const run = promisify(execFile);

describe("a folder on this machine", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const local = (selection: Partial<FolderSelection> = {}) => new LocalFolder({ path: folder, ...selection });

  async function walk(selection: Partial<FolderSelection> = {}) {
    const skipped: string[] = [];
    const skip = (entry: SkippedEntry) =>
      skipped.push(`${"type" in entry ? entry.type : entry.error.code} ${entry.path}`);
    const entries = await allOf(local(selection).entries(skip));
    return { entries, paths: entries.map(({ path }) => path), skipped };
  }

  async function write(path: string, content = path): Promise<void> {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), content);
  }

  async function opened(path: string): Promise<OpenFile> {
    const file = await local().open(path);
    if (file === undefined) throw new Error(`${path} is gone`);
    return file;
  }

  /** What tells that the file is unchanged, after it was read. */
  async function seen(path: string): Promise<string | undefined> {
    const file = await opened(path);
    await contentOf(file);
    await file.close();
    return file.entry.seen;
  }

  async function contentOf(file: OpenFile): Promise<string> {
    return Buffer.concat((await allOf(file.content)).map(({ bytes }) => bytes)).toString();
  }

  it("gives files, directories and links with owner, mode and time, a directory before what it holds", async () => {
    await write("b/two", "22");
    await write("a.txt");
    await write(".hidden/one");
    await mkdir(join(folder, "empty"), { mode: 0o700 });
    await symlink("../../outside", join(folder, "b/away"));
    await chmod(join(folder, "b/two"), 0o640);
    await utimes(join(folder, "b/two"), 1, 1_700_000_000.25);
    const { entries, paths, skipped } = await walk();
    expect(paths).to.deep.equal([".", ".hidden", ".hidden/one", "a.txt", "b", "b/away", "b/two", "empty"]);
    const { gid, uid } = await lstat(folder);
    expect(byPath(entries, "b/two")).to.deep.include({
      type: "file",
      mode: 0o640,
      uid,
      gid,
      size: 2,
      modifiedAt: new Date(1_700_000_000_250),
    });
    expect(byPath(entries, "b/away")).to.include({ type: "symlink", target: "../../outside" });
    expect(byPath(entries, "empty")).to.include({ type: "directory", mode: 0o700 });
    expect(skipped).to.deep.equal([]);
  });

  it("never follows a link out of the folder, also when one takes a file's place", async () => {
    await symlink("/etc", join(folder, "etc"));
    await write("file");
    expect((await walk()).paths).to.deep.equal([".", "etc", "file"]);
    await unlink(join(folder, "file"));
    await symlink("/etc/passwd", join(folder, "file"));
    expect(await local().open("file")).to.equal(undefined);
  });

  it("leaves out sockets and pipes, and tells of them", async () => {
    await write("file");
    await run("mkfifo", [join(folder, "pipe")]);
    const server = await listen(join(folder, "socket"));
    try {
      const { paths, skipped } = await walk();
      expect(paths).to.deep.equal([".", "file"]);
      expect(skipped).to.deep.equal(["fifo pipe", "socket socket"]);
      expect(await local().open("pipe")).to.equal(undefined);
    } finally {
      server.close();
    }
  });

  it("takes what the globs select: `include` with its directories, and nothing that `exclude` names", async () => {
    for (const path of ["conf/a.yaml", "conf/.b.yaml", "conf/cache/c.yaml", "conf/d.txt", "logs/e.yaml", "f.yaml"]) {
      await write(path);
    }
    const selected = async (selection: Partial<FolderSelection>) =>
      (await walk(selection)).entries.filter(({ type }) => type === "file").map(({ path }) => path);
    expect(await selected({ include: ["**/*.yaml"], exclude: ["conf/cache", "logs/**"] })).to.deep.equal([
      "conf/.b.yaml",
      "conf/a.yaml",
      "f.yaml",
    ]);
    expect(await selected({ include: ["conf"] })).to.have.length(4);
    expect(await selected({ exclude: ["**/*.yaml"] })).to.deep.equal(["conf/d.txt"]);
    expect((await walk({ include: ["logs/*"] })).paths).to.deep.equal([".", "logs", "logs/e.yaml"]);
  });

  it("gives each name of a file with several as a file", async () => {
    await write("one", "content");
    await link(join(folder, "one"), join(folder, "two"));
    expect((await walk()).entries.filter(({ size }) => size === 7)).to.have.length(2);
  });

  it("skips a name that is not UTF-8, and shows it", async () => {
    await writeFile(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]), "latin1");
    await write("file");
    const { paths, skipped } = await walk();
    expect(paths).to.deep.equal([".", "file"]);
    expect(skipped).to.deep.equal(["CAPTURE_INCOMPLETE caf\ufffd"]);
  });

  it("names a folder that is not there, and one that is a file", async () => {
    await write("file");
    expect(await local({ path: join(folder, "nothing") }).exists()).to.equal(false);
    for (const path of ["nothing", "file"]) {
      const error = await errorOf(walk({ path: join(folder, path) }));
      expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
      expect(error?.message).to.contain(join(folder, path));
    }
  });

  it("fails when another folder takes its place while it is walked", async () => {
    await write("root/a");
    const walking = local({ path: join(folder, "root") }).entries(() => undefined);
    await walking.next();
    await rename(join(folder, "root"), join(folder, "moved"));
    await write("root/b");
    expect((await errorOf(allOf(walking)))?.message).to.contain("another folder took its place");
  });

  it("leaves out what vanishes meanwhile", async () => {
    for (const path of ["a", "b/c", "d"]) await write(path);
    const walking = local().entries(() => undefined);
    expect((await walking.next()).value.path).to.equal(".");
    expect((await walking.next()).value.path).to.equal("a");
    await rm(join(folder, "b"), { recursive: true });
    await unlink(join(folder, "d"));
    expect(await allOf(walking)).to.deep.equal([]);
    expect(await local().open("d")).to.equal(undefined);
  });

  it("reads a file, and knows that it stood still", async () => {
    await write("file", "content");
    const file = await opened("file");
    expect(file.entry.size).to.equal(7);
    expect(await contentOf(file)).to.equal("content");
    expect(await file.close()).to.deep.equal({ isConsistent: true });
  });

  const changes: [what: string, change: (path: string) => Promise<void>][] = [
    ["is appended to", (path) => appendFile(path, "more")],
    ["is cut", (path) => truncate(path, 2)],
    ["is written over", (path) => writeFile(path, "CONTENT")],
    [
      "is replaced",
      async (path) => {
        await writeFile(`${path}.new`, "CONTENT");
        await rename(`${path}.new`, path);
      },
    ],
    [
      "is written over and given its old time back",
      async (path) => {
        const { atime, mtime } = await lstat(path);
        await writeFile(path, "CONTENT");
        await utimes(path, atime, mtime);
      },
    ],
  ];
  for (const [what, change] of changes) {
    it(`knows that a file ${what} while it is read`, async () => {
      await write("file", "content");
      const file = await opened("file");
      await change(join(folder, "file"));
      expect((await contentOf(file)).length).to.be.at.most(7);
      expect(await file.close()).to.deep.equal({ isConsistent: false });
    });

    it(`sees a file otherwise after it ${what}`, async () => {
      await write("file", "content");
      const before = await seen("file");
      await change(join(folder, "file"));
      expect(await seen("file")).not.to.equal(before);
    });
  }

  it("sees an unchanged file as the same, read or not", async () => {
    await write("file");
    const { entries } = await walk();
    expect(await seen("file")).to.equal(byPath(entries, "file").seen);
    expect(await seen("file")).to.equal(byPath((await walk()).entries, "file").seen);
  });

  it("names a file that it may not read", async () => {
    await write("secret");
    await chmod(join(folder, "secret"), 0);
    if (process.getuid?.() === 0) {
      // Root may read anything: another account tries.
      await chmod(folder, 0o755);
      const { stdout } = await run(process.execPath, ["--input-type=module", "-e", asNobody(folder)]);
      expect(stdout).to.contain(`CAPTURE_INCOMPLETE ${folder}/secret cannot be read (EACCES)`);
      return;
    }
    const error = await errorOf(local().open("secret"));
    expect(error?.message).to.contain(`${folder}/secret cannot be read (EACCES)`);
  });

  it("leaves nothing beside the files", async () => {
    await write("file");
    await seen("file");
    expect(await readdir(folder)).to.deep.equal(["file"]);
  });
});

function byPath(entries: readonly FoundEntry[], path: string): FoundEntry {
  const entry = entries.find((candidate) => candidate.path === path);
  if (entry === undefined) throw new Error(`no ${path}`);
  return entry;
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(path, () => resolve(server));
  });
}

function asNobody(folder: string): string {
  const module = new URL("../../runtime/adapters/folders/local-folder.ts", import.meta.url).href;
  return `
    const { LocalFolder } = await import(${JSON.stringify(module)});
    process.setgid(65534);
    process.setuid(65534);
    await new LocalFolder({ path: ${JSON.stringify(folder)} }).open("secret").catch((error) => console.log(error.code, error.message));
  `;
}
