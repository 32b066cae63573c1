/**
 * A store in a folder: on file systems without hard links, on full disks, among files of others. A real exFAT file system is
 * mounted where its tools are there (`mkfs.exfat`, `mount.exfat-fuse`, a loop device, root), and a full disk where mounting is allowed;
 * a line says what was not tried. The call that makes a hard link is taken away everywhere.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, watch, writeFileSync } from "node:fs";
import { link } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { errorOf } from "../support/expect-code.ts";
import { describeObjectStore, keysOf } from "./object-store.contract.ts";

const module = fileURLToPath(new URL("../../runtime/adapters/stores/file-store.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;
const refusal = Object.assign(new Error("no hard links here"), { code: "EPERM" });
const noLinks: typeof link = async () => {
  throw refusal;
};

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "qdrant-dr-file-store-"));
});
after(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string): string {
  mkdirSync(join(root, name));
  return join(root, name);
}

describe("object store in a folder whose file system refuses hard links", () => {
  let store: FileStore;
  before(() => {
    store = new FileStore(folder("without-links"), noLinks);
  });

  describeObjectStore(() => store);

  it("agrees with a store that makes hard links in the same folder, on one creator, one content and one listing", async () => {
    const shared = folder("shared");
    const stores = [new FileStore(shared), new FileStore(shared, noLinks)] as const;
    for (let round = 0; round < 20; round += 1) {
      const key = `raced/${round}`;
      const creators = Array.from({ length: 8 }, (_, n) => ({ store: stores[n % 2], text: `creator ${n}` }));
      const answers = await Promise.all(creators.map(({ store, text }) => store?.create(key, Buffer.from(text))));
      expect(answers.filter((answer) => answer === "created")).to.have.lengthOf(1);
      const winner = creators[answers.indexOf("created")]?.text;
      for (const each of stores) expect(String(await each.get(key))).to.equal(winner);
    }
    const [one, other] = await Promise.all(stores.map((each) => keysOf(each, "raced/")));
    expect(one).to.have.lengthOf(20).and.to.deep.equal(other);
  });

  it("shows no half object when its writer is killed in the middle, and takes the object afterwards", async function () {
    this.timeout(30_000);
    await expectWholeAfterKills(
      folder("killed"),
      "async () => { throw Object.assign(new Error(), { code: 'EPERM' }) }",
    );
  });
});

/** Kills a writer at an instant of its own in each round. */
async function expectWholeAfterKills(own: string, makeLink: string): Promise<void> {
  const size = 16 * 1024 * 1024;
  mkdirSync(join(own, "packs"));
  const writers: ChildProcess[] = [];
  try {
    for (let kill = 0; kill < 6; kill += 1) {
      const key = `packs/${kill}`;
      const watched = watch(join(own, "packs"));
      const program = `
        import { FileStore } from ${JSON.stringify(module)};
        import { link } from "node:fs/promises";
        await new FileStore(${JSON.stringify(own)}, ${makeLink}).create("${key}", Buffer.alloc(${size}, 7));
      `;
      const changes = kill + 1;
      const writer = spawn(process.execPath, ["--input-type=module", "--eval", program], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      writers.push(writer);
      const exit = once(writer, "exit");
      for (let change = 0; change < changes; change += 1) {
        await Promise.race([once(watched, "change"), exit]);
      }
      writer.kill("SIGKILL");
      await exit;
      watched.close();
      const again = new FileStore(own);
      for await (const object of again.list("packs/")) expect(object.size, object.key).to.equal(size);
      const answer = await again.create(key, Buffer.alloc(size, 7));
      expect(answer).to.be.oneOf(["created", "exists"]);
      expect((await again.get(key)).equals(Buffer.alloc(size, 7)), key).to.equal(true);
    }
  } finally {
    for (const writer of writers) writer.kill("SIGKILL");
  }
}

const exFatTools = ["mkfs.exfat", "mount.exfat-fuse", "losetup"];
const canMountExFat = isRoot && exFatTools.every((tool) => spawnSync("which", [tool]).status === 0);
if (canMountExFat) describe("object store on a real exFAT file system", onExFat);
else
  console.log(`  not tried: object store on a real exFAT file system, which needs root and ${exFatTools.join(", ")}`);

function onExFat(this: Mocha.Suite): void {
  this.timeout(120_000);
  let device: string | undefined;
  let mounted: string | undefined;
  let store: FileStore;

  before(() => {
    const image = join(root, "exfat.img");
    writeFileSync(image, "");
    truncateSync(image, 256 * 1024 * 1024);
    execFileSync("mkfs.exfat", [image], { stdio: "ignore" });
    const at = folder("exfat");
    device = execFileSync("losetup", ["--find", "--show", image], { encoding: "utf8" }).trim();
    execFileSync("mount.exfat-fuse", [device, at], { stdio: "ignore" });
    mounted = at;
    store = new FileStore(at);
  });

  after(() => {
    if (mounted !== undefined) execFileSync("umount", [mounted]);
    if (device !== undefined) execFileSync("losetup", ["--detach", device]);
  });

  describeObjectStore(() => store);

  it("is one without hard links, and shows no half object when a writer is killed", async () => {
    const at = mounted ?? "";
    writeFileSync(join(at, "one"), "1");
    expect((await errorOfLink(join(at, "one"), join(at, "two")))?.code).to.be.oneOf(["EPERM", "ENOSYS", "ENOTSUP"]);
    rmSync(join(at, "one"));
    mkdirSync(join(at, "killed"));
    await expectWholeAfterKills(join(at, "killed"), "link");
  });
}

async function errorOfLink(from: string, to: string): Promise<NodeJS.ErrnoException | undefined> {
  return link(from, to).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  );
}

function mountsTmpfs(at: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", at]).status === 0;
}

describe("object store on a full disk", () => {
  const made: string[] = [];
  after(() => {
    for (const each of made) spawnSync("umount", [each]);
  });

  const canMount = isRoot && spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).status === 0;
  if (!canMount) console.log("  not tried: object store on a full disk, which needs root and the right to mount");
  for (const makeLink of canMount ? [link, noLinks] : []) {
    it(`${makeLink === link ? "with" : "without"} hard links: one error, nothing half-made, and it goes on when there is room`, async () => {
      const at = folder(`full-${makeLink === link}`);
      expect(mountsTmpfs(at)).to.equal(true);
      made.push(at);
      const store = new FileStore(at, makeLink);
      await store.create("packs/small", Buffer.alloc(500_000));
      const error = await errorOf(store.create("packs/large", Buffer.alloc(800_000)));
      expect(error?.code).to.equal("DISK_FULL");
      expect(error?.message).to.contain(join(at, "packs/large"));
      expect(await keysOf(store, "")).to.deep.equal(["packs/small"]);
      expect(readdirSync(join(at, "packs"))).to.deep.equal(["small"]);
      expect(await store.create("packs/other", Buffer.alloc(300_000))).to.equal("created");
    });
  }
});

describe("object store in a folder that others use, too", () => {
  it("lists a prefix without a look into other folders, and what systems leave hides nothing", async () => {
    const at = folder("foreign");
    const store = new FileStore(at);
    await store.create("packs/ab/abcd", Buffer.from("x"));
    for (const name of ["lost+found", "packs/.Trashes", "bob"]) mkdirSync(join(at, name));
    for (const name of ["lost+found/x", "packs/.DS_Store", "packs/ab/Thumbs.db"]) writeFileSync(join(at, name), "");
    for (const name of ["packs", "packs/ab"]) chmodSync(join(at, name), 0o755);
    for (const name of ["lost+found", "packs/.Trashes", "bob"]) chmodSync(join(at, name), 0);
    const [listed] = await asNobody(at, "for await (const { key } of store.list('packs/')) print(key)");
    expect(listed).to.deep.equal(["packs/.DS_Store", "packs/ab/Thumbs.db", "packs/ab/abcd"]);
    const [, told] = await asNobody(at, "for await (const { key } of store.list('')) print(key)");
    expect(told).to.match(/^ACCESS_DENIED .*\/bob cannot be listed by .*nobody.*\(EACCES\)/);
  });

  it("names the path and the account that may not read or write it", async () => {
    const at = folder("of-another");
    await new FileStore(at).create("epochs/1", Buffer.from("x"));
    chmodSync(join(at, "epochs"), 0o755);
    chmodSync(join(at, "epochs/1"), 0);
    const [, reading] = await asNobody(at, "await store.get('epochs/1')");
    expect(reading).to.match(/^ACCESS_DENIED .*\/epochs\/1 cannot be read by .*nobody.*\(EACCES\)/);
    const [, writing] = await asNobody(at, "await store.create('epochs/2', Buffer.from('x'))");
    expect(writing).to.match(/^ACCESS_DENIED .*\/epochs\/2 cannot be stored by .*nobody.*\(EACCES\)/);
  });
});

/** Runs a program with a store, as an account for which rights count: root's reads everything. Answers its lines, and its error. */
async function asNobody(at: string, program: string): Promise<[readonly string[], string]> {
  const errors = fileURLToPath(new URL("../../runtime/errors.ts", import.meta.url));
  const whole = `
    import { FileStore } from ${JSON.stringify(module)};
    import { toDrError } from ${JSON.stringify(errors)};
    const print = (text) => process.stdout.write(text + "\\n");
    ${isRoot ? "process.setgroups([]); process.setgid(65534); process.setuid(65534);" : ""}
    const store = new FileStore(${JSON.stringify(at)});
    try { ${program} } catch (error) { const { code, message } = toDrError(error); process.stderr.write(code + " " + message); }
  `;
  chmodSync(root, 0o755);
  const child = spawn(process.execPath, [
    "--input-type=module",
    "--disable-warning=ExperimentalWarning",
    "--eval",
    whole,
  ]);
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    err += text;
  });
  await once(child, "close");
  return [out.split("\n").filter((line) => line !== ""), isRoot ? err : err.replace(/ by \S+ /, " by nobody ")];
}
