/** Proves that a restored folder appears whole or not at all, on a real disk and in a volume, and that nothing is lost. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { LocalFolders } from "../../runtime/adapters/folders/folder-target.ts";
import { LocalFolder } from "../../runtime/adapters/folders/local-folder.ts";
import { allOf } from "../support/all-of.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";

const restorer = fileURLToPath(new URL("../support/estates/folder-restorer.ts", import.meta.url));
const steps = 7;

const pretence = `
  import fs from "node:fs/promises";
  import { syncBuiltinESMExports } from "node:module";
  const { lstat } = fs;
  fs.lstat = async (path, ...more) => {
    const stats = await lstat(path, ...more);
    if (path === process.env.place) stats.dev += 1;
    return stats;
  };
  syncBuiltinESMExports();
`;
const pretendsVolume = `--import=data:text/javascript,${encodeURIComponent(pretence)}`;

async function* content(text: string) {
  yield { offset: 0, bytes: Buffer.from(text) };
}

describe("a place that a folder is restored to", function () {
  this.timeout(120_000);
  let ground: string;
  let place: string;

  beforeEach(async () => {
    ground = await mkdtemp(join(tmpdir(), "qdrant-dr-test-"));
    place = join(ground, "place");
  });

  afterEach(async () => {
    await rm(ground, { recursive: true, force: true });
  });

  const run = (...args: readonly (number | string)[]) =>
    spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", restorer, ...args.map(String)], {
      encoding: "utf8",
    });

  function answerOf({ status, stderr, stdout }: SpawnSyncReturns<string>): {
    keptAs?: string;
    notOwned: string[];
    steps: number;
  } {
    expect(status, stderr).to.equal(0);
    return JSON.parse(stdout);
  }

  async function expectRestored(folder: string): Promise<void> {
    expect((await readdir(folder, { recursive: true })).sort()).to.deep.equal(["a", "a/file", "b", "link"]);
    expect(await readFile(join(folder, "a/file"), "latin1")).to.equal("content\0\0\0");
    expect(await readlink(join(folder, "link"))).to.equal("a/file");
    const modes = await Promise.all(
      [".", "a/file", "b"].map(async (path) => (await lstat(join(folder, path))).mode & 0o777),
    );
    expect(modes).to.deep.equal([0o750, 0o640, 0o600]);
    for (const path of [".", "a", "a/file", "link"]) {
      expect((await lstat(join(folder, path))).mtime.toISOString(), path).to.equal("2026-01-01T00:00:00.000Z");
    }
  }

  it("is made with the folders above it", async () => {
    const below = join(ground, "not/there/yet");
    expect(answerOf(run(below))).to.deep.equal({ notOwned: [], steps });
    await expectRestored(below);
    expect(await readdir(join(ground, "not/there"))).to.deep.equal(["yet"]);
  });

  for (let killAt = 1; killAt <= steps; killAt += 1) {
    it(`is as it was when the restore is killed at step ${killAt}, and right after the next one`, async () => {
      await mkdir(place);
      await writeFile(join(place, "old"), "old");
      expect(run(place, killAt, `${place}.before`).signal).to.equal("SIGKILL");
      expect(await readdir(place)).to.deep.equal(["old"]);
      expect(answerOf(run(place, "", `${place}.before`)).keptAs).to.equal(`${place}.before`);
      await expectRestored(place);
      expect((await readdir(ground)).sort(), "nothing else is left").to.deep.equal(["place", "place.before"]);
      expect(await readdir(`${place}.before`)).to.deep.equal(["old"]);
    });
  }

  it("keeps what stood there when the restore was killed after it was moved away", async () => {
    await mkdir(`${place}.before`);
    await writeFile(join(`${place}.before`, "old"), "old");
    expect(answerOf(run(place, "", `${place}.before`)).keptAs).to.equal(undefined);
    await expectRestored(place);
    expect(await readdir(`${place}.before`)).to.deep.equal(["old"]);
  });

  it("leaves the draft of a restore that lives alone", async () => {
    const living = await new LocalFolders().draft(place);
    await living.file("one", 3, content("one"));
    answerOf(run(place));
    expect(await readdir(ground)).to.have.length(2);
    await living.discard();
    expect(await readdir(ground)).to.deep.equal(["place"]);
  });

  it("is not taken when something came to stand there meanwhile", async () => {
    const draft = await new LocalFolders().draft(place);
    await mkdir(place);
    await writeFile(join(place, "new"), "");
    expect(await codeOf(draft.place([]))).to.equal("TARGET_NOT_EMPTY");
    await draft.discard();
    expect(await readdir(place)).to.deep.equal(["new"]);
  });

  it("takes nothing outside of itself", async () => {
    const draft = await new LocalFolders().draft(place);
    for (const path of ["../outside", "/etc/outside/..", "a/../../outside"]) {
      const writing = draft.file(path, 0, content(""));
      if (path.startsWith("/")) await writing.catch(() => undefined);
      else expect(await codeOf(writing), path).to.equal("OBJECT_CORRUPT");
    }
    await draft.discard();
    expect(await readdir(ground)).to.deep.equal([]);
  });

  it("tells what could not be given its owner, and takes set-user-id from it", async () => {
    if (process.getuid?.() !== 0) {
      const draft = await new LocalFolders().draft(place);
      await draft.file("program", 0, content(""));
      const attributes = {
        path: "program",
        type: "file",
        mode: 0o4755,
        uid: 0,
        gid: 0,
        modifiedAt: new Date(0),
      } as const;
      expect((await draft.place([attributes])).notOwned).to.deep.equal(["program"]);
      expect((await lstat(join(place, "program"))).mode & 0o7777).to.equal(0o755);
      return;
    }
    const draft = await new LocalFolders().draft(place);
    await draft.file("program", 0, content(""));
    const attributes = {
      path: "program",
      type: "file",
      mode: 0o4755,
      uid: 1234,
      gid: 4321,
      modifiedAt: new Date(0),
    } as const;
    expect((await draft.place([attributes])).notOwned).to.deep.equal([]);
    expect(await lstat(join(place, "program"))).to.include({ uid: 1234, gid: 4321, mode: 0o104755 });
  });

  describe("that is a volume of its own", () => {
    const userSpace = ["--user", "--map-root-user", "--mount"];
    const mayMount = spawnSync("unshare", [...userSpace, "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0;

    /** Runs a shell script with an empty volume at `$place`; where none may be mounted, Node says that it is one. */
    function inVolume(script: string): SpawnSyncReturns<string> {
      const node = `${process.execPath} --disable-warning=ExperimentalWarning`;
      const mount = mayMount ? 'mount -t tmpfs none "$place"' : 'find "$place" -mindepth 1 -delete';
      const shell = ["sh", "-c", `${mount} && mkdir "$place/lost+found" && ${script}`];
      const [command = "", ...args] = mayMount ? ["unshare", ...userSpace, ...shell] : shell;
      return spawnSync(command, args, {
        encoding: "utf8",
        env: { ...process.env, place, restore: `${node} ${mayMount ? "" : pretendsVolume} ${restorer}` },
      });
    }
    const show = `find "$place" -mindepth 1 | sort | sed "s|$place/||" | tr '\\n' ' '`;

    before(() => {
      const { status } = spawnSync("unshare", ["--user", "--map-root-user", "--mount", "true"]);
      if (status !== 0)
        throw new Error("this machine cannot make volumes for a test: `unshare --user --mount` is refused");
    });
    beforeEach(() => mkdir(place));

    it("is filled, and its file system's own folder left alone", () => {
      const { status, stderr, stdout } = inVolume(`$restore "$place" && ${show} && stat -c %a "$place"`);
      expect([status, stderr]).to.deep.equal([0, ""]);
      expect(stdout).to.contain("a a/file b link lost+found").and.contain("750");
    });

    it("is filled by the next restore when one was killed in it", () => {
      for (let killAt = 1; killAt <= steps; killAt += 1) {
        const { status, stdout } = inVolume(
          `{ $restore "$place" ${killAt}; $restore "$place" > /dev/null && ${show}; }`,
        );
        expect([killAt, status, stdout]).to.deep.equal([killAt, 0, "a a/file b link lost+found "]);
      }
    });

    it("is filled by the next restore when one was killed while it moved its draft up", () => {
      const cutOff = `mkdir "$place/a" && touch "$place/a/half" && echo '{"names":["a","b"]}' > "$place/.qdrant-dr-moving.json"`;
      const { status, stdout } = inVolume(`${cutOff} && $restore "$place" > /dev/null && ${show}`);
      expect([status, stdout]).to.deep.equal([0, "a a/file b link lost+found "]);
    });

    it("is not touched when it holds something", () => {
      const { stderr, stdout } = inVolume(
        `touch "$place/mine" && { $restore "$place" "" "$place.before" > /dev/null; ${show}; }`,
      );
      expect(stderr).to.contain("TARGET_NOT_EMPTY");
      expect(stdout).to.contain("lost+found mine").and.not.contain("a/file");
    });
  });

  it("is not captured while it is half-filled", async () => {
    await mkdir(place);
    await writeFile(join(place, "a"), "");
    await writeFile(join(place, ".qdrant-dr-moving.json"), JSON.stringify({ names: ["a", "b"] }));
    const error = await errorOf(allOf(new LocalFolder({ path: place }).entries(() => undefined)));
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.message).to.contain("a restore into it was cut off");
  });
});
