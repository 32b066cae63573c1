/**
 * Makes the fault of each runbook and of each alert that one machine can have, on a practice estate, and runs the runbook's own commands, taken
 * from its text, until a client and Prometheus see that it is over.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { generateX25519Identity } from "age-encryption";
import { expect } from "chai";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import { exitCodes } from "../../runtime/errors.ts";
import { Runbook } from "../support/documents/runbook.ts";
import { documentPaths, shownCommands } from "../support/documents/shown-commands.ts";
import { idsIn, noteOf, PracticePair } from "../support/estates/practice-pair.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { WatchedPair } from "../support/estates/watched-pair.ts";
import { Product } from "../support/product.ts";

const folder = "docs/operations/runbooks";
describe("runbooks, on a practice estate", function () {
  this.timeout(300_000);
  let pair: PracticePair;
  let watch: WatchedPair;
  const books: Runbook[] = [];
  const runbook = (name: string, heading?: string) => {
    const book = new Runbook(() => pair, `${folder}/${name}.md`, heading);
    books.push(book);
    return book;
  };
  const alert = (name: string) => runbook("alerts", `QdrantDr${name}`);

  before(async () => {
    pair = await PracticePair.start();
    await pair.run("qdrant-dr backup --stack prod --type full");
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    watch = await WatchedPair.start(pair);
  });
  after(async () => {
    await watch?.stop();
    await pair?.stop();
  });

  /** What a region misses when nothing happens until then, in seconds: its limit, and what of it has run. */
  const limits = {
    CaptureOverdue: ["prod", 5 * 3600],
    FullCaptureOverdue: ["prod", 26 * 3600],
    CopyOverdue: ["dr", 6 * 3600],
    RpoMissed: ["dr", 900],
    VerificationOverdue: ["dr", 36 * 3600],
    TestRestoreOverdue: ["dr", 176 * 3600],
    StandbyBehind: ["dr", 300],
    StandbyNotExact: ["dr", 900],
  } as const;

  const at = new Map<string, Date>();
  const isOver = (name: keyof typeof limits) =>
    watch.isOver(`QdrantDr${name}`, pair.stackOf(limits[name][0]), at.get(name));

  it("what no job does in time: each alert holds then, as things stand now", async () => {
    const now = Date.now() + 500;
    for (const [name, [region, seconds]] of Object.entries(limits)) {
      at.set(name, new Date(now + seconds * 1000));
      await watch.holds(`QdrantDr${name}`, pair.stackOf(region), at.get(name));
    }
  });
  it("CaptureOverdue: over when a capture was taken by hand", async () => {
    const section = alert("CaptureOverdue");
    await section.run("backup --stack prod --dry-run");
    await section.run("backup --stack prod");
    await isOver("CaptureOverdue");
  });

  it("RecoveryPointPartial: over when what was missing is back, and was captured", async () => {
    const application = pair.regions[pair.stackOf("prod")].configuration[0]?.path ?? "";
    renameSync(application, `${application}.away`);
    await pair.run("qdrant-dr backup --stack prod", { exitCode: exitCodes.partial });
    await watch.holds("QdrantDrRecoveryPointPartial", pair.stackOf("prod"));
    const section = alert("RecoveryPointPartial");
    await section.run("recovery-points list");
    renameSync(`${application}.away`, application);
    await section.run("backup");
    await watch.isOver("QdrantDrRecoveryPointPartial", pair.stackOf("prod"));
  });

  it("FullCaptureOverdue: over when a full one was", async () => {
    await alert("FullCaptureOverdue").run("backup --stack prod --type full");
    await isOver("FullCaptureOverdue");
  });

  it("CopyOverdue, RpoMissed: over when it was copied", async () => {
    await alert("CopyOverdue").run("copy --from prod --to dr");
    await isOver("CopyOverdue");
    const section = alert("RpoMissed");
    await section.run("backup");
    await section.run("copy");
    await isOver("RpoMissed");
    await section.run("failover plan");
  });

  it("VerificationOverdue: over when the newest recovery point was read back", async () => {
    const section = alert("VerificationOverdue");
    await section.run("recovery-points list");
    await section.run("verify");
    await isOver("VerificationOverdue");
  });

  it("RepositoryUnread: its command reads on, and it holds when no run does for a month", async () => {
    // Coming round to all takes weeks: heal.test.ts lets them pass.
    await alert("RepositoryUnread").run("verify");
    await watch.holds("QdrantDrRepositoryUnread", pair.stackOf("dr"), new Date(Date.now() + 32 * 24 * 3_600_000));
    await watch.isOver("QdrantDrRepositoryUnread", pair.stackOf("dr"));
  });

  it("TestRestoreOverdue: over when it was restored into an empty Qdrant, and all of it is there", async () => {
    await alert("TestRestoreOverdue").run("restore");
    expect(await idsIn(clientOf(pair.throwaway), "notes")).to.deep.equal(await pair.ids("notes"));
    await isOver("TestRestoreOverdue");
  });

  it("StandbyBehind, StandbyNotExact: over when replication ran", async () => {
    const behind = alert("StandbyBehind");
    await behind.run("status");
    await behind.run("divergence");
    await behind.run("replicate");
    await isOver("StandbyBehind");
    await alert("StandbyNotExact").run("replicate --from prod --to dr --once");
    await isOver("StandbyNotExact");
  });

  it("RunFailed: over when the next run of its kind succeeded", async () => {
    await pair.run("qdrant-dr verify --stack dr --recovery-point nothing", {
      exitCode: exitCodes.noUsableRecoveryPoint,
    });
    await watch.holds("QdrantDrRunFailed", "standby");
    await alert("RunFailed").run("status");
    await pair.run("qdrant-dr verify --stack dr");
    await watch.isOver("QdrantDrRunFailed", "standby");
  });

  it("ExporterGone: over when it is started again", async () => {
    await watch.killExporter("standby");
    await watch.holds("QdrantDrExporterGone", "standby");
    await alert("ExporterGone").run("status");
    watch.reviveExporter("standby");
    await watch.isOver("QdrantDrExporterGone", "standby");
  });

  it("GateDown: the plan of a switchover names it, and clients are served when it is started again", async () => {
    await pair.kill("prod", "gate");
    await watch.holds("QdrantDrGateDown", "primary");
    expect(await alert("GateDown").run("switchover plan")).to.match(/in the way:\n +Gate of primary/);
    await pair.revive("prod", "gate");
    await watch.isOver("QdrantDrGateDown", "primary");
    await pair.write("notes", 301, 310);
  });

  it("StoreDown: its command is refused until the store answers", async () => {
    await pair.kill("dr", "store");
    await watch.holds("QdrantDrStoreDown", "standby");
    await pair.run("qdrant-dr recovery-points list --stack dr", { exitCode: exitCodes.unreachable });
    await pair.revive("dr", "store");
    await alert("StoreDown").run("recovery-points list");
    await watch.isOver("QdrantDrStoreDown", "standby");
  });

  it("QdrantDown and CannotTakeOver of a standby: `status` names the obstacle, and they are over when it is started again", async () => {
    await pair.kill("dr", "qdrant");
    await watch.killExporter("standby");
    // Readiness is judged at its start, and every five minutes.
    watch.reviveExporter("standby");
    await watch.holds("QdrantDrQdrantDown", "standby");
    await watch.holds("QdrantDrCannotTakeOver", "standby");
    const [down, cannot] = [alert("QdrantDown"), alert("CannotTakeOver")];
    await down.run("status");
    await down.run("failover plan");
    expect(await cannot.run("status")).to.match(/\? Qdrant here +Qdrant at \S+ does not answer/);
    await cannot.run("failover plan");
    await pair.revive("dr", "qdrant");
    await watch.isOver("QdrantDrQdrantDown", "standby");
    await watch.killExporter("standby");
    watch.reviveExporter("standby");
    await watch.isOver("QdrantDrCannotTakeOver", "standby");
  });

  it("NotReady: its command passes on a standby that is ready", async () => {
    // What makes a standby less than ready, and still able to take over, is old recovery points: a quarter of an hour.
    await alert("NotReady").run("status --stack dr --at-least 80");
  });

  it("NothingRestorable, store lost: the standby's bucket is made again empty, filled, and followed again", async () => {
    await lose("dr");
    await watch.holds("QdrantDrNothingRestorable", "standby");
    const section = alert("NothingRestorable");
    await section.run("recovery-points list", { exitCode: exitCodes.noUsableRecoveryPoint });
    await section.run("backup");
    await section.run("copy");
    await watch.isOver("QdrantDrNothingRestorable", "standby");
    await pair.run("qdrant-dr verify --stack dr");
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    expect(await idsIn(pair.qdrant("dr"), "notes")).to.deep.equal(await pair.ids("notes"));
  });

  const storeLost = runbook("store-lost");

  it("ObjectsDamaged, store lost: what is damaged in both regions is told, and over when one of them has it whole", async () => {
    const whole = await packsInBoth();
    expect(whole).to.not.be.empty;
    const damaged = new Map([...whole].map(([key, { length }]) => [key, Buffer.alloc(length)]));
    await replacePacks("prod", damaged);
    await replacePacks("dr", damaged);
    await pair.run("qdrant-dr verify --stack prod", { exitCode: exitCodes.verificationFailed });
    await pair.run("qdrant-dr heal --stack dr --read-all", { exitCode: exitCodes.verificationFailed });
    await watch.holds("QdrantDrObjectsDamaged", pair.stackOf("dr"));
    // As from versions that the store has kept.
    await replacePacks("dr", whole);
    await storeLost.run("heal --stack prod --read-all");
    await pair.run("qdrant-dr verify --stack prod");
    const section = alert("ObjectsDamaged");
    await section.run("heal --stack dr");
    await watch.isOver("QdrantDrObjectsDamaged", pair.stackOf("dr"));
    await section.run("backup");
    await pair.run("qdrant-dr verify --stack dr");
  });

  it("store lost: each bucket in turn is made again empty, and both hold a recovery point that is whole", async () => {
    await lose("prod");
    await storeLost.run("status");
    await storeLost.run("recovery-points list --stack prod", { exitCode: exitCodes.noUsableRecoveryPoint });
    await storeLost.run("recovery-points list --stack dr");
    await storeLost.run("backup --stack prod --type full");
    await storeLost.run("copy --from dr --to prod");
    await storeLost.run("verify --stack prod");
    await storeLost.run("backup --stack prod --type full");
    await storeLost.run("copy --from prod --to dr");
    await storeLost.run("verify --stack dr");
  });

  /** With all that it holds; whoever mends it makes an empty bucket of the same name. */
  async function lose(name: "prod" | "dr"): Promise<void> {
    await pair.kill(name, "store");
    pair.wipe(name, "store");
    await pair.revive(name, "store");
    await onStore(name, (client, bucket) => client.send(new CreateBucketCommand({ Bucket: bucket })));
  }

  it("collection deleted: it is back as it was, from the other region's bucket and from the region's own", async () => {
    const before = await pair.ids("notes");
    const book = runbook("collection-deleted");
    const time = new Date();
    await pair.client.deleteCollection("notes");
    await book.run("recovery-points list --stack prod");
    await book.run("recovery-points list --stack dr");
    await book.run("restore --stack dr", { time });
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.client.deleteCollection("notes");
    await book.run("--dry-run", { time });
    await book.run("restore --stack prod", { time });
    expect(await pair.ids("notes")).to.deep.equal(before);
    expect(await pair.ids("current-notes")).to.deep.equal(before);
    await book.run("backup");
  });

  it("data corrupted: the alias leads to the state from before, out of either bucket, and the bad collection stays", async () => {
    const book = runbook("data-corrupted");
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    const time = new Date();
    const wrong = { id: 7, vector: noteOf(8).vector, payload: { text: "wrong" } };
    await pair.client.upsert("notes", { wait: true, points: [wrong] });
    const textOf = async (collection: string) =>
      (await pair.client.retrieve(collection, { ids: [7] })).map(({ payload }) => payload);
    await book.run("recovery-points list --stack dr");
    await book.run("recovery-points list --stack prod");
    await book.run("restore --stack dr", { time });
    expect(await textOf("current-notes")).to.deep.equal([noteOf(7).payload]);
    expect(await textOf("notes")).to.deep.equal([{ text: "wrong" }]);
    await pair.client.deleteCollection("notes_before");
    await book.run("--dry-run", { time });
    await pair.client.updateCollectionAliases({
      actions: [{ create_alias: { collection_name: "notes", alias_name: "current-notes" } }],
    });
    await book.run("--swap-alias current-notes", { time });
    expect(await textOf("current-notes")).to.deep.equal([noteOf(7).payload]);
  });

  it("key lost: opened with the recovery identity, and without when that has taken the lost one's place", async () => {
    const book = runbook("key-lost");
    const lost = join(pair.folder, "lost-key");
    const withIdentity = (identity: string) => {
      mkdirSync(lost, { recursive: true });
      for (const [stack, region] of Object.entries(pair.regions)) {
        const outputs = { ...region, keys: { ...region.keys, identity } };
        writeFileSync(join(lost, `${stack}.json`), JSON.stringify(outputs));
      }
    };
    withIdentity(await generateX25519Identity());
    await book.run("verify --stack prod", { outputs: lost, exitCode: exitCodes.noUsableRecoveryPoint });
    await book.run("verify --stack prod --identity-file", { outputs: lost });
    await book.run("backup", { outputs: lost });
    await book.run("copy", { outputs: lost });
    withIdentity(readFileSync(pair.recoveryIdentity, "utf8").trim());
    for (const name of ["prod", "dr"]) await pair.run(`qdrant-dr verify --stack ${name}`, { outputs: lost });
  });

  it("stolen credentials: what is captured after the theft is whole", async () => {
    const book = runbook("stolen-credentials");
    await book.run("backup");
    await book.run("verify --stack prod");
    await book.run("copy");
    await book.run("verify --stack dr");
  });

  it("Qdrant lost: restored in place, and lost again and failed over, clients find all; the old region follows by itself", async () => {
    const before = await pair.ids("notes");
    const book = runbook("qdrant-lost");
    await pair.kill("prod", "qdrant");
    await watch.holds("QdrantDrQdrantDown", "primary");
    await book.run("status");
    await book.run("failover plan");
    pair.wipe("prod", "qdrant");
    await pair.revive("prod", "qdrant");
    await book.run("restore --stack prod --dry-run");
    await book.run("restore --stack prod");
    await watch.isOver("QdrantDrQdrantDown", "primary");
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    await pair.kill("prod", "qdrant");
    pair.wipe("prod", "qdrant");
    await pair.revive("prod", "qdrant");
    await book.run("restore --stack dr --to");
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.kill("prod", "qdrant");
    pair.wipe("prod", "qdrant");
    await book.run("failover run");
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.revive("prod", "qdrant");
    pair.active = "standby";
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    expect(await idsIn(pair.qdrant("dr"), "notes")).to.deep.equal(before);
  });

  it("upgrade, as it is rehearsed: both ways back are there, and clients lose nothing", async () => {
    const before = await pair.ids("notes");
    const book = runbook("upgrade");
    await book.run("status --stack dr --at-least 80");
    await book.run("backup --stack prod --type full");
    await book.run("copy");
    await emptied(databaseOf(pair.throwaway));
    await book.run("restore --stack dr --to");
    expect(await idsIn(clientOf(pair.throwaway), "notes")).to.deep.equal(before);
    await book.run("status --stack dr");
    await book.run("switchover run --to dr");
    await pair.write("docs", 301, 310);
    await book.run("backup --stack dr --type full");
    await book.run("copy --from dr --to prod");
    pair.active = pair.stackOf("dr");
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
  });

  it("partition, PeerStoreDown, EpochsDiffer: over when the regions see each other, and what only the old one took is told by id", async () => {
    const [old, next] = [pair.stackOf("prod"), pair.stackOf("dr")];
    const book = runbook("partition");
    pair.separateGates();
    await book.run("replicate");
    await pair.withoutControl("prod", async () => {
      await watch.holds("QdrantDrPeerStoreDown", next);
      await alert("PeerStoreDown").run("status");
      await book.run("status");
      await book.run("failover plan");
      await book.run("failover run");
    });
    await watch.isOver("QdrantDrPeerStoreDown", next);
    await watch.holds("QdrantDrEpochsDiffer", next);
    // A client that still has the old region's address.
    const gate = pair.regions[old].gate?.url ?? "";
    const stray = clientOf({ url: gate, apiKey: pair.regions[old].endpoint?.clientKey ?? "" });
    await stray.upsert("notes", { wait: true, points: [noteOf(999)] });
    const differ = alert("EpochsDiffer");
    await differ.run("status");
    await differ.run("switchover run --to dr");
    // Only the old region's gate tells its own store, when it sees the other one.
    pair.joinGates();
    await watch.isOver("QdrantDrEpochsDiffer", next);
    // This alert needs a gate that cannot read its own control store while the exporter can; here both read one folder.
    await alert("GateOpenElsewhere").run("divergence --to prod");
    expect(onlyThere("diverged.json")).to.include(999);
    await book.run("divergence --to prod");
    expect(onlyThere("diverged.json")).to.include(999);
    expect(await stray.getCollections().catch(() => "refused")).to.equal("refused");
  });

  it("rejoin: what only the old region took is told once more beside what was served, and then it follows", async () => {
    const book = new Runbook(() => pair, "docs/how-to/fail-over.md", "Afterwards: rejoin the old region");
    await book.run("status");
    await book.run("backup");
    await book.run("divergence --to prod");
    expect(onlyThere("diverged.json")).to.include(999);
    const plan: { recoveryPoint: string } = JSON.parse(
      (await book.run("failover plan")).trimEnd().split("\n").at(-1) ?? "",
    );
    await emptied(databaseOf(pair.throwaway));
    await book.run("restore --stack dr --to", plan);
    await book.run("divergence --to prod --against");
    expect(onlyThere("lost.json")).to.include(999);
    await book.run("replicate --from dr --to prod --once --replace-existing");
    expect(book.left).to.deep.equal([]);
    pair.active = pair.stackOf("dr");
    expect(await idsIn(pair.qdrant("dr"), "notes")).to.deep.equal(await pair.ids("notes"));
  });

  /** What a comparison that was kept in this file found in the old region only. */
  function onlyThere(file: string): readonly number[] {
    const { collections }: { collections: { onlyThere: number[] }[] } = JSON.parse(
      readFileSync(join(pair.folder, file), "utf8"),
    );
    return collections.flatMap((collection) => collection.onlyThere);
  }

  const mistake = runbook("operator-error");

  /** It stands before it brings the last writes over, with the active region fenced. */
  async function stopHalfway(): Promise<void> {
    const hooks = join(pair.folder, "hooks.json");
    writeFileSync(hooks, JSON.stringify([{ when: "before", step: "last-writes", command: ["sleep", "60"] }]));
    const about = ["--estate", pair.estate.id, "--report", join(pair.folder, "report.html"), "--hooks", hooks];
    const estates = process.env["QDRANT_DR_ESTATES"] ?? "";
    const run = Product.startDirect(["switchover", "run", "--to", pair.stackOf("dr"), ...about], estates);
    await run.says(/^last-writes: /);
    run.signal("SIGKILL");
    await run.end();
  }
  const isServed = () =>
    pair.client.getCollections().then(
      () => true,
      () => false,
    );

  it("operator error, GateClosed: a switchover that stopped half-way is given up, and the active region serves", async () => {
    await stopHalfway();
    expect(await isServed()).to.equal(false);
    await watch.holds("QdrantDrGateClosed", pair.stackOf("prod"));
    await mistake.run("status");
    const section = alert("GateClosed");
    await section.run("status");
    await section.run("switchover abort");
    await watch.isOver("QdrantDrGateClosed", pair.stackOf("prod"));
    expect(await isServed()).to.equal(true);
    await stopHalfway();
    await mistake.run("switchover abort");
    expect(await isServed()).to.equal(true);
  });

  it("operator error: a switchover that stopped half-way is run again, and clients are served", async () => {
    await stopHalfway();
    await mistake.run("switchover run");
    pair.active = pair.stackOf("dr");
    expect(await isServed()).to.equal(true);
  });

  it("region lost: clients find everything in the other one, and a write of theirs is read back", async () => {
    const before = await pair.ids("notes");
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
    const book = runbook("region-lost");
    const stack = pair.stackOf("prod");
    await pair.estate.destroyRegion(stack, ["qdrant", "gate", "store"]);
    await book.run("status");
    await book.run("failover plan");
    await book.run("failover run --to dr");
    expect(await pair.ids("notes")).to.deep.equal(before);
    await pair.write("notes", 5001, 5001);
    expect(await pair.ids("notes")).to.include(5001);
    await book.run("backup --stack dr --type full");
    await book.run("restore --stack dr --only config,user-data");
    expect(readFileSync(join(pair.restored, "application", "first.txt"), "utf8")).to.equal("config of the application");
    pair.active = pair.stackOf("dr");
  });

  it("operator error: a restore that was cut off is run again, and all is there", async () => {
    const before = await pair.ids("docs");
    await pair.client.deleteCollection("notes");
    const args = ["restore", "--stack", pair.stackOf("prod"), "--collections", "notes", "--outputs", pair.outputs];
    const run = Product.startDirect(args, process.env["QDRANT_DR_ESTATES"] ?? "");
    await run.says(/^apply: notes$/);
    run.signal("SIGKILL");
    await run.end();
    await mistake.run("restore");
    expect(await pair.ids("docs")).to.deep.equal(before);
    expect(await pair.ids("notes")).to.not.be.empty;
  });
  it("leave out no runbook, no alert, and no command of the product", () => {
    const documents = documentPaths().filter((path) => path.startsWith(folder) && !/(index|alerts)\.md$/.test(path));
    const alerts = shownCommands(`${folder}/alerts.md`).map(({ heading }) => heading);
    expect(new Set(books.map(({ name }) => name))).to.deep.equal(new Set([...documents, ...alerts]));
    expect(books.flatMap(({ left }) => left)).to.deep.equal([]);
  });

  async function packsInBoth(): Promise<ReadonlyMap<string, Buffer>> {
    const packsOf = (name: "prod" | "dr") =>
      onStore(name, async (client, bucket) => {
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: "packs/" }));
        return Contents.flatMap(({ Key }) => Key ?? []);
      });
    const there = new Set(await packsOf("dr"));
    const shared = (await packsOf("prod")).filter((key) => there.has(key));
    return onStore("prod", async (client, bucket) => {
      const packs = new Map<string, Buffer>();
      for (const Key of shared) {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
        packs.set(Key, Buffer.from((await Body?.transformToByteArray()) ?? []));
      }
      return packs;
    });
  }

  function replacePacks(name: "prod" | "dr", packs: ReadonlyMap<string, Buffer>): Promise<void> {
    return onStore(name, async (client, bucket) => {
      for (const [Key, Body] of packs) await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    });
  }

  async function onStore<T>(name: "prod" | "dr", act: (client: S3Client, bucket: string) => Promise<T>): Promise<T> {
    const { repository } = pair.regions[pair.stackOf(name)];
    if (repository.kind !== "s3") throw new Error("the practice has S3 stores");
    const client = new S3Client(s3ClientSettings(repository));
    try {
      return await act(client, repository.bucket);
    } finally {
      client.destroy();
    }
  }
});
