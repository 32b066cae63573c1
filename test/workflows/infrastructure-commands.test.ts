/** `backup` and `restore` of infrastructure, with a real cluster to read and another one to restore to. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { compose } from "../../runtime/composition/compose.ts";
import { infrastructureSchema } from "../../runtime/domain/infrastructure/infrastructure.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { EtcdServer, KubernetesServer } from "../support/servers/kubernetes-server.ts";

const configMaps = "/api/v1/namespaces/shop/configmaps";
const secretWord = Buffer.from("a word that nobody may read").toString("base64");
const only = ["--only", "infrastructure"];

describe("backup and restore of infrastructure", function () {
  this.timeout(120_000);
  const ground = mkdtempSync(join(tmpdir(), "qdrant-dr-test-"));
  let etcd: EtcdServer;
  let source: KubernetesServer;
  let target: KubernetesServer;
  let outputs: Region;

  before(async () => {
    etcd = await EtcdServer.start();
    [source, target] = await Promise.all([
      KubernetesServer.start(etcd, "source"),
      KubernetesServer.start(etcd, "target"),
    ]);
    await source.create("/api/v1/namespaces", { metadata: { name: "shop" } });
    await source.create(configMaps, { metadata: { name: "prices" }, data: { apple: "1", pear: "2" } });
    await source.create("/api/v1/namespaces/shop/secrets", { metadata: { name: "door" }, data: { word: secretWord } });
    mkdirSync(join(ground, "repository"));
    outputs = {
      ...(await lonelyRegion("prod", ground)).outputs,
      repository: { kind: "file", folder: join(ground, "repository") },
      infrastructure: infrastructureSchema.parse({
        kubernetes: {
          kubeconfig: source.kubeconfig,
          namespaces: ["shop"],
          kinds: ["Namespace", "ConfigMap", "Secret"].map((kind) => ({ apiVersion: "v1", kind })),
        },
      }),
    };
    const epoch = { epoch: 1, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" } as const;
    await claimEpoch(storeOf(outputs, "control"), epoch);
  });
  after(async () => {
    await source?.stop();
    await target?.stop();
    await etcd?.stop();
    rmSync(ground, { recursive: true, force: true });
  });

  async function run(exitCode: number, ...args: string[]): Promise<string> {
    const said = { out: "", err: "" };
    const file = join(ground, "outputs.json");
    writeFileSync(file, JSON.stringify(outputs));
    const deps = await compose({
      progress: ({ detail, step }) => (said.err += `${step}: ${detail}\n`),
      onInterrupt: () => () => undefined,
    });
    const ended = await runCheckedCli([...args, "--stack", "prod", "--outputs", file], deps, {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
    });
    expect(ended, `${said.out}\n${said.err}`).to.equal(exitCode);
    expect(said.out + said.err).not.to.contain(secretWord);
    return `${said.out}\n${said.err}`;
  }
  const elsewhere = () => ["--kubeconfig", target.kubeconfig, "--context", "test"];
  const pricesAt = async (server: KubernetesServer) => (await server.call("GET", `${configMaps}/prices`)).body;

  it("captures it without Qdrant, and keeps nothing readable in the repository", async () => {
    await run(0, "backup", ...only);
    expect(await run(0, "recovery-points", "list")).to.contain("infrastructure infrastructure");
    const stored = readdirSync(join(ground, "repository"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => readFileSync(join(parentPath, name), "latin1"));
    expect(stored).not.to.deep.equal([]);
    for (const bytes of stored) expect(bytes).not.to.contain(secretWord).and.not.to.contain("prices");
  });

  it("shows what would be created in another cluster, creates it, and has nothing to do the next time", async () => {
    const plan = await run(0, "restore", ...only, ...elsewhere(), "--dry-run");
    for (const line of ["created: Namespace shop", "created: ConfigMap shop/prices", "created: Secret shop/door"]) {
      expect(plan).to.contain(line);
    }
    expect((await pricesAt(target)).code).to.equal(404);
    expect(await run(0, "restore", ...only, ...elsewhere())).to.contain(
      "objects: 3 created, 0 changed, 0 as they were",
    );
    expect((await pricesAt(target)).data).to.deep.equal({ apple: "1", pear: "2" });
    expect(await run(0, "restore", ...only, ...elsewhere())).to.contain(
      "objects: 0 created, 0 changed, 3 as they were",
    );
  });

  it("tells what somebody else changed since, and takes it over only when it is told to", async () => {
    await target.call("PUT", `${configMaps}/prices?fieldManager=somebody`, {
      metadata: { name: "prices" },
      data: { apple: "5", pear: "2" },
    });
    const plan = await run(0, "restore", ...only, ...elsewhere(), "--dry-run");
    expect(plan).to.contain('changed: ConfigMap shop/prices\n    .data.apple: "5" → "1" (set by somebody)');
    expect(await run(11, "restore", ...only, ...elsewhere())).to.contain(
      "ConfigMap shop/prices: .data.apple is set by",
    );
    expect((await pricesAt(target)).data.apple).to.equal("5");
    expect(await run(0, "restore", ...only, ...elsewhere(), "--force-conflicts")).to.contain("1 changed");
    expect((await pricesAt(target)).data.apple).to.equal("1");
  });

  it("goes back to the region's own cluster when no other is named", async () => {
    await source.call("DELETE", `${configMaps}/prices`);
    expect(await run(0, "restore", ...only)).to.contain("objects: 1 created");
    expect((await pricesAt(source)).data).to.deep.equal({ apple: "1", pear: "2" });
  });

  it("is written to files with --into, and nothing is applied then", async () => {
    await source.call("DELETE", `${configMaps}/prices`);
    await run(0, "restore", ...only, "--into", join(ground, "files"));
    const file = join(ground, "files", "infrastructure", "kubernetes", "shop", "ConfigMap", "prices.json");
    expect(JSON.parse(readFileSync(file, "utf8")).data).to.deep.equal({ apple: "1", pear: "2" });
    expect((await pricesAt(source)).code).to.equal(404);
  });

  const refused: [string, string[], string][] = [
    ["options of a cluster without infrastructure", ["--context", "dr"], "are for a cluster, and none is restored to"],
    ["a cluster and files", [...only, "--context", "dr", "--into", "/tmp/x"], "are for a cluster"],
    ["a kubeconfig without a context", [...only, "--kubeconfig", "/tmp/x"], "--kubeconfig needs --context"],
  ];
  for (const [what, args, message] of refused) {
    it(`refuses ${what}`, async () => expect(await run(2, "restore", ...args)).to.contain(message));
  }

  it("is not captured of a region whose settings name none", async () => {
    const settings = outputs.infrastructure;
    outputs = { ...outputs, infrastructure: { stacks: [] } };
    try {
      expect(await run(2, "backup", ...only)).to.contain("region prod has no infrastructure in its settings");
      expect(await run(2, "restore", ...only)).to.contain("region prod has no cluster in its settings");
    } finally {
      outputs = { ...outputs, infrastructure: settings };
    }
  });
});
