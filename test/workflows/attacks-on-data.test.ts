/**
 * What clients, writers of captured folders, compromised jobs and a compromised standby try, by the commands that an operator runs: in a folder,
 * and in a bucket. `docs/security/threat-model.md` says which finding of the security review each test is of.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { z } from "zod";
import { openStore } from "../../runtime/adapters/stores/open-store.ts";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import { compose } from "../../runtime/composition/compose.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { folderTreeSchema } from "../../runtime/domain/recovery-points/folder-tree.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import { progressTo } from "../../runtime/progress.ts";
import { readNewestHolding } from "../../runtime/repository/catalog/read-catalog.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { type AttackedStore, describeInStores } from "../support/estates/attacked-stores.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { clientOf, contentOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { codeOf } from "../support/expect-code.ts";
import { FrontProcess } from "../support/servers/front-process.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { recordOfOtherFile } from "../support/super-journal.ts";

const at = "2026-01-01T00:00:00.000Z";
const firstEpoch = { epoch: 1, active: "prod", reason: "initial", run: "r", at } as const;

describeInStores(
  "attacks on data",
  ({ open, reader }) => {
    let server: QdrantServer;
    let ground: string;
    let region: Region;
    let stores: { readonly repository: AttackedStore; readonly control: AttackedStore };

    before(async function () {
      this.timeout(60_000);
      server = await QdrantServer.start();
    });
    after(() => server?.stop());

    beforeEach("a region with an empty Qdrant", async function () {
      this.timeout(60_000);
      ground = mkdtempSync(join(tmpdir(), "qdrant-dr-attacked-"));
      stores = { repository: await open("repository"), control: await open("control") };
      const { outputs } = await lonelyRegion("prod", ground);
      region = {
        ...outputs,
        qdrant: { peers: [server.url], apiKey: server.apiKey },
        repository: stores.repository.address,
        control: stores.control.address,
        configuration: [{ name: "etc", path: join(ground, "etc") }],
      };
      mkdirSync(join(ground, "etc"));
      writeFileSync(join(ground, "etc/app.conf"), "listen 80");
      await claimEpoch(storeOf(region, "control"), firstEpoch);
      await emptied(databaseOf(server));
    });

    afterEach(() => rmSync(ground, { recursive: true, force: true }));

    /** What a command says, and what of it is JSON. */
    async function run(exitCode: number, command: string, ...args: string[]): Promise<string> {
      const file = join(ground, "outputs.json");
      writeFileSync(file, JSON.stringify(region));
      let said = "";
      const tell = (text: string) => {
        said += `${text}\n`;
      };
      const deps = await compose({ progress: progressTo({ write: tell }), onInterrupt: () => () => undefined });
      const all = [...command.split(" "), "--stack", "prod", "--outputs", file, ...args];
      const ended = await runCheckedCli(all, deps, { out: tell, err: tell });
      expect(ended, said).to.equal(exitCode);
      return said;
    }

    async function makeCollection(name: string, size = 4): Promise<void> {
      const wal_config = { wal_capacity_mb: 1 };
      await clientOf(server).createCollection(name, { vectors: { size, distance: "Dot" }, wal_config });
      const points = [1, 2].map((id) => ({ id, vector: Array.from({ length: size }, () => id), payload: { id } }));
      await clientOf(server).upsert(name, { wait: true, points });
    }

    it("2: a recovery point that sends a folder elsewhere is unreadable; none gives rights, or goes where this region does not say", async () => {
      await run(0, "backup", "--only", "config");
      const repository = await new RegionAccess(region).repositoryForWriting();
      const newest = (await readNewestHolding(repository, { kinds: ["config"] }))?.recoveryPoint;
      const [folder] = newest?.folders ?? [];
      if (newest === undefined || folder === undefined) throw new Error("nothing was captured");
      const tree = await repository.readTree(folder.tree.id, folderTreeSchema);
      const key = await repository.keys.key(folder.key);
      // Who has a job's keys, and writes what no job writes.
      const forge = async (seconds: number, name: string, content: object) => {
        const time = new Date(Date.parse(newest.startedAt) + seconds * 1_000);
        const id = `${time.toISOString().replaceAll(/[-:.]/g, "")}-0000000${seconds}`;
        const forged = await repository.createTree(key, z.any(), content);
        const manifest = { ...newest, id, base: undefined, folders: [{ ...folder, name, tree: forged }] };
        const place = storeLayout.manifest(id);
        await repository.stores.repository.create(place, await repository.sealRecord(place, z.any(), manifest));
        return id;
      };
      const into = join(ground, "into");
      const modes = tree.entries.map((entry) => ("mode" in entry ? { ...entry, mode: entry.mode | 0o6000 } : entry));
      const escaped = await forge(1, "../../escaped", { ...tree, name: "../../escaped" });
      const renamed = await forge(2, "etc", { ...tree, name: "../../escaped" });
      const leaving = await forge(3, "etc", {
        ...tree,
        entries: tree.entries.map((entry) => ({ ...entry, path: entry.path.replace("app", "../../escaped") })),
      });
      const damaged = [
        [escaped, 10],
        [renamed, 12],
        [leaving, 12],
      ] as const;
      for (const [id, exitCode] of damaged) {
        const said = await run(exitCode, "restore", "--only", "config", "--recovery-point", id, "--into", into);
        expect(said).to.contain("cannot be read: it does not have the form that this version writes");
      }
      expect(existsSync(into)).to.equal(false);
      const armed = await forge(4, "etc", { ...tree, path: join(ground, "home-of-another"), entries: modes });
      region = { ...region, configuration: [] };
      await run(2, "restore", "--only", "config", "--recovery-point", armed);
      await run(0, "restore", "--only", "config", "--recovery-point", armed, "--into", into);
      expect(lstatSync(join(into, "etc/app.conf")).mode & 0o7000).to.equal(0);
      expect(readdirSync(ground).filter((name) => /escaped|home-of/.test(name))).to.deep.equal([]);
    });

    it("6: a vector that is the end of an upload which somebody could foresee is restored like any other", async () => {
      const boundary = (path: string) => `qdrant-dr-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`;
      const ends = ["notes/0", "/collections/notes/shards/0/snapshots/upload"].map((path) =>
        Buffer.from(`\r\n--${boundary(path)}--\r\nAA`),
      );
      await makeCollection("notes", 13);
      const points = ends.map((bytes, at) => ({
        id: 10 + at,
        vector: Array.from({ length: 13 }, (_, n) => bytes.readFloatLE(4 * n)),
      }));
      await clientOf(server).upsert("notes", { wait: true, points });
      const before = await contentOf(databaseOf(server), "notes");
      expect(before).to.have.length(4);
      await run(0, "backup", "--only", "qdrant");
      await run(0, "verify");
      await emptied(databaseOf(server));
      await run(0, "restore", "--only", "qdrant");
      expect(await contentOf(databaseOf(server), "notes")).to.deep.equal(before);
    });

    it("7: who took the other region over has nothing that writes here, opens anything, or is believed", async () => {
      await run(0, "backup", "--only", "config");
      const controlToken = "the-token-of-the-control";
      const url = "http://127.0.0.1:1";
      const whole: Region = { ...region, gate: { url, controlUrls: [url], mode: "availability", controlToken } };
      const store = reader();
      const taken = regionForPeer(whole, { store, qdrant: "a-key-that-captures" });
      const text = JSON.stringify(taken);
      const written = [stores.repository.address, stores.control.address].flatMap((address) =>
        address.kind === "s3" ? [address.credentials?.secretAccessKey ?? ""] : [],
      );
      const { endpoint, keys, qdrant } = region;
      const secrets = [keys.identity, keys.signing, qdrant.apiKey, endpoint?.clientKey, controlToken, ...written];
      for (const secret of secrets) expect(secret !== undefined && text.includes(secret), secret).to.equal(false);

      const access = new RegionAccess(taken);
      const place = storeLayout.attestation("x", "quarantined", "y");
      expect(await codeOf(access.stores.repository.create(place, Buffer.from("x")))).to.equal("ACCESS_DENIED");
      expect(await codeOf(access.stores.control.create(controlLayout.epoch(2), Buffer.from("x")))).to.equal(
        "ACCESS_DENIED",
      );
      for (const address of [taken.repository, taken.control]) {
        if (address.kind !== "s3") continue;
        const client = new S3Client(s3ClientSettings(address));
        for await (const { key: Key } of openStore(address).list("")) {
          const Bucket = address.bucket;
          for (const request of [
            new PutObjectCommand({ Bucket, Key, Body: "x" }),
            new DeleteObjectCommand({ Bucket, Key }),
          ]) {
            const refused = await client.send(request as PutObjectCommand).then(
              () => "done",
              ({ name }: Error) => name,
            );
            expect(refused, Key).to.equal("AccessDenied");
          }
        }
        client.destroy();
      }
      // A folder has no credentials: what he puts there is believed by nobody.
      const second = { ...firstEpoch, epoch: 2, active: "dr" };
      await stores.control.raw.create(controlLayout.epoch(2), Buffer.from(JSON.stringify(second)));
      expect(await readEpochs(storeOf(region, "control"))).to.deep.equal([firstEpoch]);
      await run(0, "verify");
    });

    it("8: a client's key reaches nothing of administrators through the gate, whatever lies in its store", async () => {
      const reached: string[] = [];
      const upstream = createServer(({ method, url }, answer) => {
        reached.push(`${method} ${url}`);
        answer.end("{}");
      });
      await once(upstream.listen(0, "127.0.0.1"), "listening");
      const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
      for (const number of [1, 2, 3]) {
        const forged = {
          epoch: number,
          region: "prod",
          recoveryPoint: "x",
          run: "x",
          at,
          administratorKey: "the-key-that-clients-have",
        };
        await stores.control.raw.create(controlLayout.opening(number), Buffer.from(JSON.stringify(forged)));
      }
      const gate = await FrontProcess.gate(join(ground, "gate"), "prod", { url, apiKey: "of-qdrant" }, region.control);
      try {
        const asked = (method: string, path: string) =>
          fetch(`${gate.url}${path}`, {
            method,
            headers: { "api-key": "the-key-that-clients-have" },
            ...(method === "PUT" ? { body: JSON.stringify({ location: "http://169.254.169.254/latest" }) } : {}),
          }).then(({ status }) => status);
        for (const [method, path] of [
          ["PUT", "/collections/notes/snapshots/recover"],
          ["PUT", "/collections/notes/shards/0/snapshots/recover"],
          ["POST", "/collections/notes/snapshots/upload"],
          ["DELETE", "/cluster/peer/1?force=true"],
          ["POST", "/collections/notes/cluster"],
          ["GET", "/snapshots/full.snapshot"],
          ["GET", "/telemetry?details_level=10"],
          ["GET", "//telemetry"],
          ["GET", "/collections/..%2ftelemetry"],
          ["POST", "/locks"],
        ] as const) {
          expect(await asked(method, path), path).to.be.within(400, 404);
        }
        const fromGate = new Set(["GET /", "GET /collections", "GET /readyz", "GET /healthz"]);
        expect(reached.filter((line) => !fromGate.has(line))).to.deep.equal([]);
        expect(await asked("GET", "/collections/notes")).to.equal(200);
        expect(reached).to.include("GET /collections/notes");
      } finally {
        await gate.stop();
        upstream.closeAllConnections();
        await once(upstream.close(), "close");
      }
    });

    it("10: a database whose journal names another file is left out by name, and the file stays", async () => {
      const [scratch, folder, victim] = [join(ground, "scratch"), join(ground, "etc"), join(ground, "victim")];
      mkdirSync(scratch);
      writeFileSync(victim, "of somebody else");
      const database = new DatabaseSync(join(scratch, "app.db"));
      database.exec("PRAGMA cache_size=5; CREATE TABLE one(id INTEGER, text TEXT); BEGIN");
      const insert = database.prepare("INSERT INTO one VALUES (?, ?)");
      for (let id = 0; id < 3_000; id += 1) insert.run(id, "x".repeat(100));
      for (const name of ["app.db", "app.db-journal"]) copyFileSync(join(scratch, name), join(folder, name));
      database.close();
      appendFileSync(join(folder, "app.db-journal"), recordOfOtherFile(victim));

      expect(await run(15, "backup", "--only", "config")).to.contain("names another file");
      expect(readFileSync(victim, "utf8")).to.equal("of somebody else");
      expect(existsSync(join(folder, "app.db-journal"))).to.equal(true);
      // It is in nobody's way: without it all is captured and restored.
      for (const name of ["app.db", "app.db-journal"]) rmSync(join(folder, name));
      await run(0, "backup", "--only", "config");
      await run(0, "restore", "--only", "config", "--into", join(ground, "into"));
      expect(readdirSync(join(ground, "into/etc"))).to.deep.equal(["app.conf"]);
    });

    it("18: names that steer a terminal are captured, restored and told of, and steer none", async () => {
      const [collection, alias] = ["a\u001b[2Jnotes", "\u001b[2Jok: verified\u009b31m"];
      for (const name of [collection, "notes"]) await makeCollection(name);
      await databaseOf(server).createAlias({ alias, collection: "notes" });
      // Qdrant itself sends no snapshot of such a collection.
      const said = [await run(15, "backup", "--only", "qdrant")];
      said.push(
        await run(0, "recovery-points list"),
        await run(0, "verify"),
        await run(0, "recovery-points list", "--json"),
      );
      await emptied(databaseOf(server));
      said.push(await run(15, "restore", "--only", "qdrant"));
      expect(said.join("\n")).to.contain("\\u001b[2J");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      expect(said.join("\n")).not.to.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      expect(await databaseOf(server).aliases()).to.deep.equal([{ alias, collection: "notes" }]);
      expect(await databaseOf(server).count("notes")).to.equal(2);
    });
  },
  { withVersions: false },
);
