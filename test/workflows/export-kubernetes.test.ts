/**
 * `export kubernetes`: what its CronJobs run works with what their Secrets tell, on a real Qdrant and S3 server. That an API server takes the
 * manifests, and that they are those of a stack, is proven in test/contract/declared-objects.test.ts.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { parse, parseAllDocuments, stringify } from "yaml";
import { compose } from "../../runtime/composition/compose.ts";
import { throwawayQdrantUrl } from "../../runtime/domain/network/ports.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const image = `registry.example/qdrant-dr@sha256:${"0".repeat(63)}1`;

describe("export kubernetes", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-export-"));
  const settings = join(folder, "qdrant-dr.yaml");
  const manifests = join(folder, "cluster", "manifests");
  let server: QdrantServer;
  let throwaway: QdrantServer;
  let store: SeaweedServer;

  before(async () => {
    [server, throwaway, store] = await Promise.all([QdrantServer.start(), QdrantServer.start(), SeaweedServer.start()]);
    await store.bucket("shared");
    for (const [name, value] of [
      ["qdrant-key", server.apiKey],
      ["access-key", store.credentials.accessKeyId],
      ["secret-key", store.credentials.secretAccessKey],
    ] as const) {
      writeFileSync(join(folder, name), value, { mode: 0o600 });
    }
    process.env["AWS_ACCESS_KEY_ID"] = store.credentials.accessKeyId;
    process.env["AWS_SECRET_ACCESS_KEY"] = store.credentials.secretAccessKey;
    const client = clientOf(server);
    await client.createCollection("notes", { vectors: { size: 2, distance: "Dot" } });
    await client.upsert("notes", { wait: true, points: [{ id: 7, vector: [1, 2], payload: { is: "here" } }] });
    const init = [
      "init",
      "--qdrant",
      server.url,
      "--store",
      "s3://shared/qdrant",
      "--s3-endpoint",
      store.endpoint,
      "--yes",
    ];
    await run(...init, "--api-key-file", join(folder, "qdrant-key"), "--settings", settings);
    describeCluster();
    // From here on the settings say where they are.
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) delete process.env[name];
  });

  after(async () => {
    await Promise.all([server, throwaway, store].map((each) => each?.stop()));
    rmSync(folder, { recursive: true, force: true });
  });

  /** As a person would add the section; what pods reach a test on this machine does not. */
  function describeCluster(): void {
    const written = parse(readFileSync(settings, "utf8"));
    const credentials = { accessKeyId: { file: "access-key" }, secretAccessKey: { file: "secret-key" } };
    const kubernetes = {
      namespace: "qdrant-dr",
      image,
      qdrant: { namespace: "search", podLabels: { app: "qdrant" } },
      throwaway: { image, storageGib: 10 },
    };
    writeFileSync(
      settings,
      stringify({
        ...written,
        qdrant: { ...written.qdrant, url: podUrl() },
        s3: { ...written.s3, credentials },
        kubernetes,
      }),
    );
  }

  /** The server by a name that is not this machine's own. */
  const podUrl = () => server.url.replace("127.0.0.1", "qdrant.search.svc");

  async function run(...args: string[]) {
    let [out, err] = ["", ""];
    const deps = await compose({ progress: () => undefined, onInterrupt: () => () => undefined });
    const exitCode = await runCheckedCli([...args, "--json"], deps, {
      out: (text) => (out += `${text}\n`),
      err: (text) => (err += text),
    });
    return { exitCode, err, answer: JSON.parse(out.trimEnd().split("\n").at(-1) ?? "{}") };
  }
  const exported = () => run("export", "kubernetes", join(folder, "cluster"), "--settings", settings);
  // biome-ignore lint/suspicious/noExplicitAny: objects of several kinds
  const objectsIn = (file: string): any[] =>
    parseAllDocuments(readFileSync(join(manifests, file), "utf8")).map((document) => document.toJS());

  it("writes files that only their owner reads, with secrets in one of them, and each job's own ones", async () => {
    const { answer, err, exitCode } = await exported();
    expect(exitCode, err).to.equal(0);
    expect(answer.cronJobs).to.deep.equal(
      ["full", "incremental", "verify", "test-restore", "prune"].map((name) => `qdrant-dr-${name}`),
    );
    const files = readdirSync(manifests).sort();
    expect(files).to.deep.equal([
      "1-namespace.yaml",
      "2-accounts.yaml",
      "3-secrets.yaml",
      "4-network.yaml",
      "5-cronjobs.yaml",
    ]);
    const secrets = [server.apiKey, store.credentials.secretAccessKey, "AGE-SECRET-KEY-", "QDRANT-DR-SIGNING-KEY-"];
    for (const file of files) {
      expect(statSync(join(manifests, file)).mode & 0o777, file).to.equal(0o600);
      const text = readFileSync(join(manifests, file), "utf8");
      for (const secret of secrets)
        expect(text.includes(secret), `${file}: ${secret}`).to.equal(file === "3-secrets.yaml");
    }
    const told = Object.fromEntries(
      objectsIn("3-secrets.yaml").map(({ metadata, stringData }) => [metadata.name, stringData["main.json"]]),
    );
    expect(told["qdrant-dr-verify-regions"], "verify has no way into Qdrant").not.to.contain(server.apiKey);
    expect(told["qdrant-dr-prune-regions"]).not.to.contain(server.apiKey);
    expect((await exported()).answer).to.deep.include({ written: [], kept: [] });
  });

  it("its CronJobs capture, verify, restore and prune, each with what its own Secret tells", async () => {
    const regions = new Map(objectsIn("3-secrets.yaml").map(({ metadata, stringData }) => [metadata.name, stringData]));
    const client = clientOf(throwaway);
    for (const { metadata, spec } of objectsIn("5-cronjobs.yaml")) {
      const { containers, volumes } = spec.jobTemplate.spec.template.spec;
      const [{ name, secret }] = volumes;
      const [{ args, volumeMounts }] = containers;
      expect(volumeMounts[0]).to.include({ name, mountPath: args.at(-1) });
      const mounted = join(folder, metadata.name);
      mkdirSync(mounted);
      for (const [file, text] of Object.entries<string>(regions.get(secret.secretName))) {
        writeFileSync(join(mounted, file), text.replace(podUrl(), server.url));
      }
      const [program, ...command] = args;
      expect(program).to.equal("/app/qdrant-dr.mjs");
      const here = command.map((arg: string) =>
        arg === throwawayQdrantUrl
          ? throwaway.url
          : arg
              .replace("/etc/qdrant-dr/regions", mounted)
              .replace("$(SESSION)", metadata.name)
              .replace("$(JOB_COMPLETION_INDEX)", "0"),
      );
      process.env["QDRANT_API_KEY"] = throwaway.apiKey;
      const { err, exitCode } = await run(...here);
      delete process.env["QDRANT_API_KEY"];
      expect(exitCode, `${command.join(" ")}: ${err}`).to.equal(0);
    }
    expect(await client.retrieve("notes", { ids: [7] })).to.deep.include({ id: 7, payload: { is: "here" } });
  });

  it("what pods cannot use is refused before anything is written", async () => {
    const good = readFileSync(settings, "utf8");
    const cases: [more: (given: Record<string, unknown>) => Record<string, unknown>, said: string][] = [
      [({ kubernetes: _, ...rest }) => rest, "kubernetes: where the jobs run is wanted"],
      [(given) => ({ ...given, store: "here", s3: undefined }), "store: s3://…"],
      [(given) => ({ ...given, qdrant: { url: "http://localhost:6333" } }), 'which "localhost" is not'],
      [
        (given) => ({ ...given, userData: [{ name: "files", path: "/srv/files" }] }),
        "/srv/files is within none of kubernetes.claims",
      ],
      [
        (given) => ({ ...given, peer: { region: "dr", qdrant: { url: "http://10.0.0.2:6333" }, store: "s3://other" } }),
        "peer: nothing",
      ],
    ];
    try {
      for (const [change, said] of cases) {
        writeFileSync(settings, stringify(change(parse(good))));
        const into = join(folder, "refused");
        const { err, exitCode } = await run("export", "kubernetes", into, "--settings", settings);
        expect(exitCode, said).to.equal(2);
        expect(err).to.contain(said).and.contain("hint: ");
        expect(readdirSync(folder)).not.to.include("refused");
      }
    } finally {
      writeFileSync(settings, good);
    }
  });
});
