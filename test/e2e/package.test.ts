/**
 * The programs of image and npm package, as the Dockerfile makes them, run with nothing beside them: as a pod runs them, and installed by npm
 * on each Node that is supported. What the base images hold, and that the image builds, is not proven here: there is no container runtime.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { expect } from "chai";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { newestEpoch } from "../../runtime/domain/roles/epoch.ts";
import { publicKeyOf, signingKeyFrom } from "../../runtime/domain/trust/signing-key.ts";
import { exitCodes } from "../../runtime/errors.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../setup/node-flags.mjs";
import { composeConfig } from "../support/documents/compose-file.ts";
import { shownCommands, toldToProduct } from "../support/documents/shown-commands.ts";
import { closedPorts, lonelyRegion } from "../support/estates/lonely-region.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { AwsCredentialSources } from "../support/servers/aws-credential-sources.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const dockerfile = readFileSync(join(checkout, "Dockerfile"), "utf8");

describe("package and image", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-package-"));
  /** What npm publishes. */
  const published = join(folder, "package");
  /** Holds /app as the image does. */
  const app = join(folder, "root", "app");
  /** A folder of a user, in which the package is installed. */
  const project = join(folder, "project");
  /** Folders that hold a Node under its own name, by version. */
  const nodes = {
    "22": join(folder, "node-22"),
    [process.versions.node]: dirname(process.execPath),
    "26": join(folder, "node-26"),
  };

  const points = Array.from({ length: 100 }, (_, id) => ({ id, vector: [id, 1] }));
  let tarball: string;
  let server: QdrantServer;
  let store: SeaweedServer;

  before(async () => {
    [server, store] = await Promise.all([QdrantServer.start(), SeaweedServer.start()]);
    await clientOf(server).createCollection("notes", { vectors: { size: 2, distance: "Dot" } });
    await clientOf(server).upsert("notes", { wait: true, points });
    // The build stage: what it copies, and what it runs.
    const source = join(folder, "src");
    const stage = dockerfile.slice(dockerfile.indexOf("AS build"), dockerfile.lastIndexOf("\nFROM "));
    for (const [, paths = "", into = ""] of stage.matchAll(/^COPY (.*) (\S+)$/gm)) {
      for (const path of paths.split(" "))
        cpSync(join(checkout, path), join(source, into === "./" ? path : into), { recursive: true });
    }
    // In the place of `npm ci`.
    symlinkSync(join(checkout, "node_modules"), join(source, "node_modules"));
    const [, line = ""] = /^RUN node (.*)$/m.exec(stage) ?? [];
    execFileSync(process.execPath, line.replace(/ \/package$/, ` ${published}`).split(" "), { cwd: source });
    const [, taken = ""] = /^COPY --from=build \/package\/(\S+) \/app$/m.exec(dockerfile) ?? [];
    cpSync(join(published, taken), app, { recursive: true });

    // npm packs it, and installs that.
    const npm = (cwd: string, ...args: string[]) =>
      execFileSync("npm", [...args, "--offline", "--no-audit", "--no-fund", "--loglevel=error"], {
        cwd,
        encoding: "utf8",
      });
    tarball = join(folder, npm(folder, "pack", published, "--silent").trim());
    mkdirSync(project);
    npm(project, "install", "--prefix", project, tarball);
    for (const version of ["22", "26"] as const) {
      mkdirSync(nodes[version]);
      const node = execFileSync("which", [`node-${version}`], { encoding: "utf8" }).trim();
      symlinkSync(node, join(nodes[version], "node"));
    }
  });
  after(async () => {
    await server?.stop();
    await store?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As a pod runs it: the base's Node, the image's environment, an empty /tmp, nothing on PATH. */
  function start(program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
    const home = mkdtempSync(join(folder, "tmp-"));
    const [, options = ""] = /NODE_OPTIONS="(.*)"/.exec(dockerfile) ?? [];
    const env = { HOME: home, PATH: "", NODE_OPTIONS: options, ...more };
    const child = spawn(process.execPath, [join(app, program), ...args], {
      cwd: home,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { child, home };
  }

  async function run(...args: string[]) {
    const { child, home } = start("qdrant-dr.mjs", args);
    const ended = await endOf(child);
    expect(readdirSync(home)).to.deep.equal([]);
    return ended;
  }

  /** As a user runs what npm installed, with this Node first on PATH. */
  function runInstalled(node: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
    const env = { HOME: project, PATH: `${node}:/usr/bin:/bin`, ...more };
    const program = join(project, "node_modules/.bin/qdrant-dr");
    return endOf(spawn(program, args, { cwd: project, env, stdio: ["ignore", "pipe", "pipe"] }));
  }

  it("is a file a program and small, and holds nothing of Pulumi", async () => {
    const programs = ["gate.mjs", "licences.txt", "main.mjs", "qdrant-dr.mjs", "sealing-thread.mjs"];
    expect(readdirSync(app)).to.deep.equal(programs);
    expect(statSync(join(app, "qdrant-dr.mjs")).size).to.be.below(12_000_000);
    const text = readFileSync(join(app, "qdrant-dr.mjs"), "utf8");
    expect(statSync(tarball).size).to.be.below(3_000_000);
    // What went in is named in comments.
    const packages = new Set(
      [...text.matchAll(/^ *\/\/ \S*node_modules\/((?:@[\w.-]+\/)?[\w.-]+)\//gm)].map(([, name]) => name),
    );
    expect([...packages])
      .to.include("commander")
      .and.include("@aws-sdk/client-s3");
    expect([...packages].filter((name) => name?.startsWith("@pulumi/"))).to.deep.equal([]);
    const licences = readFileSync(join(app, "licences.txt"), "utf8");
    for (const name of packages) expect(licences).to.match(new RegExp(`^${name} \\d`, "m"));
    expect(licences).to.contain("MIT License").and.contain("Apache License");
  });

  it("runs Node as the product does, as a user that is nobody", () => {
    // Modules that the checkout starts Node with are not in the image.
    for (const flag of NODE_FLAGS.filter((each) => !each.startsWith("--import"))) expect(dockerfile).to.contain(flag);
    for (const [name, value] of Object.entries(NODE_ENVIRONMENT)) expect(dockerfile).to.contain(`${name}=${value}`);
    expect(dockerfile).to.match(/^USER 65532:65532$/m);
  });

  it("shows its help and its version, on each Node, and by npx", async () => {
    const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
    const shown = { exitCode: 0, out: `${version}\n`, err: "" };
    expect(await run("--version")).to.deep.equal(shown);
    for (const [name, node] of Object.entries(nodes)) {
      expect(await runInstalled(node, ["--version"]), name).to.deep.equal(shown);
      expect((await runInstalled(node, ["--help"])).out, name).to.contain("Commands:");
    }
    const npx = spawn("npx", ["--offline", "qdrant-dr", "--version"], {
      cwd: project,
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(await endOf(npx)).to.deep.equal(shown);
  });

  it("ends with one clear error on a Node that is too old, and where there is none", async () => {
    const old = join(folder, "node-old");
    mkdirSync(old);
    // A Node that says that it is old, in the place of one.
    writeFileSync(
      join(old, "node"),
      `#!/bin/sh\nexec ${process.execPath} --import 'data:text/javascript,Object.defineProperty(process, "versions", { value: { node: "20.20.2" } })' "$@"\n`,
    );
    chmodSync(join(old, "node"), 0o755);
    const { err, exitCode } = await runInstalled(old, ["--version"]);
    expect(err).to.match(/^error: qdrant-dr needs Node 22\.18 or newer.*\nhint: /);
    expect(exitCode).to.equal(4);
    const none = join(folder, "no-node");
    mkdirSync(none);
    for (const tool of ["dirname", "readlink"]) symlinkSync(join("/usr/bin", tool), join(none, tool));
    const without = await runInstalled(none, ["--version"], { PATH: none });
    expect(without).to.include({ exitCode: 4 });
    expect(without.err).to.match(/^error: node is not on PATH\nhint: /);
  });

  it("refuses what needs Pulumi or the practice, and says what it takes instead", async () => {
    for (const command of [["status", "--stack", "prod"], ["quickstart"]]) {
      const { err, exitCode } = await run(...command);
      expect(err).to.match(/^error: this needs pulumi.*, which package and image come without\nhint: .*--outputs/);
      expect(exitCode).to.equal(2);
    }
    const { err, exitCode } = await run("status", "--stack", "prod", "--estate", "abc");
    expect(err).to.match(/^error: this program opens no estate.*\nhint: leave out --estate/);
    expect(exitCode).to.equal(2);
  });

  it("holds the whole chain in which AWS's credentials are looked for", async () => {
    const sources = await AwsCredentialSources.start(join(folder, "aws"));
    try {
      const { outputs } = await lonelyRegion("prod", join(folder, "cloud"));
      const repository = { kind: "s3", bucket: "recovery-points", region: "us-east-1", endpoint: sources.url };
      const file = join(folder, "cloud", "prod.json");
      writeFileSync(file, JSON.stringify({ ...outputs, repository }));
      const oldest = nodes["22"];
      await Promise.all(
        Object.entries(sources.environments).map(async ([source, env]) => {
          const args = ["recovery-points", "list", "--stack", "prod", "--outputs", file];
          const { err, exitCode } = await runInstalled(oldest, args, env);
          expect(exitCode, `${source}: ${err}`).to.equal(5);
          expect(sources.seen, `${source}: ${err}`).to.include(`key-of-${source}`);
        }),
      );
    } finally {
      await sources.stop();
    }
  });

  it("captures and verifies, with its threads, by the outputs of a region in a file, on each Node", async () => {
    const { outputs } = await lonelyRegion("prod", folder);
    const repository = { kind: "file" as const, folder: join(folder, "repository") };
    mkdirSync(repository.folder);
    const regions = join(folder, "regions");
    mkdirSync(regions);
    const region = { ...outputs, qdrant: { peers: [server.url], apiKey: server.apiKey }, repository };
    writeFileSync(join(regions, "prod.json"), JSON.stringify(region));
    const at = new Date().toISOString();
    await claimEpoch(storeOf(region, "control"), { epoch: 1, active: "prod", reason: "initial", run: "r", at });

    const backup = await run("backup", "--stack", "prod", "--outputs", regions);
    expect(backup.exitCode, backup.err).to.equal(0);
    for (const node of Object.values(nodes)) {
      const again = await runInstalled(node, ["backup", "--type", "full", "--stack", "prod", "--outputs", regions]);
      expect(again.exitCode, again.err).to.equal(0);
      const verify = await runInstalled(node, ["verify", "--stack", "prod", "--outputs", regions]);
      expect(verify.exitCode, verify.err).to.equal(0);
    }

    const kubernetes = {
      kubeconfig: join(regions, "kubeconfig"),
      namespaces: ["qdrant"],
      kinds: [{ apiVersion: "v1", kind: "Service" }],
    };
    const nobody = new URL(outputs.qdrant.peers[0] ?? "").host;
    writeFileSync(kubernetes.kubeconfig, kubeconfigOf(`https://${nobody}`));
    writeFileSync(
      join(regions, "prod.json"),
      JSON.stringify({ ...region, infrastructure: { kubernetes, stacks: [] } }),
    );
    const objects = await run("backup", "--stack", "prod", "--only", "infrastructure", "--outputs", regions);
    expect(objects.exitCode).to.equal(5);
    expect(objects.err).to.contain(`in-a-pod (https://${nobody}) gave no whole answer (ECONNREFUSED)`);
  });

  it("fails over on a machine that has the other region's output and the recovery identity alone, by the page's commands", async () => {
    const home = join(folder, "failover");
    const { outputs } = await lonelyRegion("prod", home);
    const { endpoint: _, ...others } = outputs;
    const recovery = await generateX25519Identity();
    const pinned = publicKeyOf(signingKeyFrom(recovery));
    const trusted = { ...outputs.trust, keys: [...outputs.trust.keys, { name: "offline", key: pinned }] };
    const [operational = ""] = outputs.keys.recipients;
    const recipients = [operational, await identityToRecipient(recovery)];
    const regionOf = (name: "prod" | "dr"): Region => {
      const [repository, control] = [join(home, `${name}-points`), join(home, `${name}-control`)];
      for (const place of [repository, control]) mkdirSync(place);
      return {
        ...others,
        ...{ region: name, peer: name === "prod" ? "dr" : "prod", trust: trusted },
        repository: { kind: "file", folder: repository },
        control: { kind: "file", folder: control },
        keys: { recipients, identity: recovery, signing: outputs.keys.signing },
        qdrant: { peers: [server.url], apiKey: server.apiKey },
      };
    };
    const regions = { prod: regionOf("prod"), dr: regionOf("dr") };
    const before = join(home, "before");
    mkdirSync(before);
    const at = new Date().toISOString();
    for (const [name, region] of Object.entries(regions)) {
      writeFileSync(join(before, `${name}.json`), JSON.stringify(region));
      await claimEpoch(storeOf(region, "control"), { epoch: 1, active: "prod", reason: "initial", run: "r", at });
    }
    for (const line of ["backup --stack prod", "copy --from prod --to dr"]) {
      const { err, exitCode } = await run(...line.split(" "), "--outputs", before);
      expect(exitCode, err).to.equal(0);
    }
    // The region is gone, and Qdrant is another one: empty.
    for (const place of ["prod-points", "prod-control", "before"]) rmSync(join(home, place), { recursive: true });
    await clientOf(server).deleteCollection("notes");

    const machine = join(home, "machine");
    mkdirSync(join(machine, "outputs"), { recursive: true });
    const { keys, ...told } = regions.dr;
    writeFileSync(join(machine, "outputs/dr.json"), JSON.stringify({ ...told, keys: { recipients: keys.recipients } }));
    writeFileSync(join(machine, "recovery.txt"), recovery, { mode: 0o600 });
    const commands = shownCommands("docs/how-to/fail-over-from-elsewhere.md")
      .filter(({ heading }) => heading === "By a stack's output")
      .map(({ line }) => (toldToProduct(line) ?? "").split(" "));
    expect(commands.map(([name, what]) => (name === "failover" ? what : name))).to.deep.equal([
      "status",
      "plan",
      "run",
    ]);
    const codes: (number | null)[] = [];
    let last = "";
    for (const args of commands) {
      const env = { HOME: machine, PATH: "" };
      const program = [join(app, "qdrant-dr.mjs"), ...args];
      const ended = await endOf(
        spawn(process.execPath, program, { cwd: machine, env, stdio: ["ignore", "pipe", "pipe"] }),
      );
      codes.push(ended.exitCode);
      last = ended.err;
    }
    expect(codes, last).to.deep.equal([0, 0, exitCodes.pulumiFailed]);
    expect(last).to.match(/error: clients are served, and stack dr is not updated/);
    expect((await clientOf(server).count("notes")).count).to.equal(points.length);
    expect(newestEpoch(await readEpochs(new RegionAccess(regions.dr).stores.control))).to.include({
      epoch: 2,
      active: "dr",
      previous: "prod",
      reason: "failover",
    });
  });

  it("starts as the Compose file says: settings and keys once, then all schedules, told to be well", async () => {
    const here = join(folder, "compose");
    mkdirSync(here);
    const [metricsPort = 0] = await closedPorts(1);
    const { services } = composeConfig(here, {
      QDRANT_API_KEY: server.apiKey,
      AWS_ACCESS_KEY_ID: store.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.credentials.secretAccessKey,
    });
    /** The names of the containers' network and folders, as they are here. */
    const asHere = (text: string) =>
      text
        .replace("http://qdrant:6333", server.url)
        .replace("/dev/tcp/127.0.0.1/6333", `/dev/tcp/127.0.0.1/${new URL(server.url).port}`)
        .replaceAll(/http:\/\/(store|127\.0\.0\.1):(8333|9333)/g, (_, __, port) => store.urlOf(port))
        .replace(/^\/settings\//, `${here}/`)
        .replace("9464", String(metricsPort))
        .replace("/nodejs/bin/node", process.execPath);
    const isWell = async (name: string) => {
      const [kind, ...test] = services[name]?.healthcheck?.test.map(asHere) ?? [];
      const [program = "", ...args] = kind === "CMD-SHELL" ? ["/bin/sh", "-c", ...test] : test;
      return (await endOf(spawn(program, args, { stdio: "ignore" }))).exitCode === 0;
    };
    const startService = (name: string) => {
      const { command = [], environment = {} } = services[name] ?? {};
      const [program = "", ...args] = command.map(asHere);
      const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, asHere(value)]));
      return start(program.replace("/app/", ""), args, env).child;
    };
    expect([await isWell("qdrant"), await isWell("store")]).to.deep.equal([true, true]);
    const made = await endOf(startService("init"));
    expect(made.exitCode, made.err).to.equal(0);
    expect(made.err).to.match(/AGE-SECRET-KEY-/);
    const again = await endOf(startService("init"));
    expect(again.exitCode, again.err).to.equal(0);
    expect(again.err).not.to.match(/AGE-SECRET-KEY-/);

    const child = startService("qdrant-dr");
    const ended = endOf(child);
    try {
      while (!(await isWell("qdrant-dr"))) expect(child.exitCode).to.equal(null);
    } finally {
      child.kill("SIGTERM");
    }
    const { err, exitCode } = await ended;
    expect(exitCode, err).to.equal(0);
  });

  for (const heading of ["In a folder", "In an S3 store"]) {
    it(`is all that a newcomer needs: ${heading.toLowerCase()}, by the commands of the tutorial, on the oldest Node`, async () => {
      const lines = shownCommands("docs/tutorials/own-qdrant.md").filter((shown) => shown.heading === heading);
      expect(lines).to.have.length.within(3, 6);
      const cwd = mkdtempSync(join(folder, "newcomer-"));
      await store.bucket("my-bucket").catch(() => undefined);
      const env = {
        HOME: cwd,
        PATH: `${nodes["22"]}:${process.env["PATH"]}`,
        QDRANT_API_KEY: server.apiKey,
        AWS_ACCESS_KEY_ID: store.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: store.credentials.secretAccessKey,
        AWS_REGION: "us-east-1",
      };
      const began = performance.now();
      for (const { line } of lines) {
        const here = line
          .replace(/ qdrant-dr$/, ` ${tarball} --offline --no-audit --no-fund`)
          .replace("http://127.0.0.1:6333", server.url)
          .replace("https://s3.example.com", store.endpoint);
        const { err, exitCode, out } = await endOf(
          spawn("bash", ["-c", here], { cwd, env, stdio: ["ignore", "pipe", "pipe"] }),
        );
        expect(exitCode, `${line}\n${out}${err}`).to.equal(0);
      }
      const seconds = (performance.now() - began) / 1000;
      console.log(`      ${heading}: ${lines.length} commands, ${seconds.toFixed(1)} s`);
      expect(seconds).to.be.below(300);
      const { collections } = await clientOf(server).getCollections();
      expect(collections.map(({ name }) => name)).to.deep.equal(["notes"]);
    });
  }

  it("runs each command of the crontab, and so of the timers", async () => {
    const cwd = mkdtempSync(join(folder, "cron-"));
    const settings = join(cwd, "qdrant-dr.yaml");
    const more = { QDRANT_API_KEY: server.apiKey, QDRANT_DR_SETTINGS: settings };
    const node = nodes["26"];
    const init = ["init", "--yes", "--qdrant", server.url, "--store", "recovery-points"];
    expect((await runInstalled(node, init, more)).exitCode).to.equal(0);
    const lines = readFileSync(join(checkout, "deploy/crontab"), "utf8").matchAll(
      /^(?:[\d*]\S* ){1}(?:\S+ ){4}(qdrant-dr .+)$/gm,
    );
    const commands = [...lines].map(([, command = ""]) => command);
    expect(commands).to.have.length(5);
    const env = { HOME: cwd, PATH: `${join(project, "node_modules/.bin")}:${node}:/usr/bin:/bin`, ...more };
    for (const command of commands) {
      const { err, exitCode } = await endOf(
        spawn("/bin/sh", ["-c", command], { cwd: "/", env, stdio: ["ignore", "pipe", "pipe"] }),
      );
      expect(exitCode, `${command}: ${err}`).to.equal(0);
    }
  });

  it("runs the gate, which is closed as long as it knows no epoch", async () => {
    const { outputs } = await lonelyRegion("prod", join(folder, "gate"));
    const [port = 0, controlPort = 0] = await closedPorts(2);
    const { child } = start("gate.mjs", [], {
      QDRANT_DR_GATE_PORT: String(port),
      QDRANT_DR_GATE_CONTROL_PORT: String(controlPort),
      QDRANT_DR_GATE_REGION: "prod",
      QDRANT_DR_GATE_CLIENT_KEY: "the-key-of-the-clients",
      QDRANT_DR_GATE_CONTROL_TOKEN: "the-token-of-operators",
      QDRANT_DR_GATE_UPSTREAM: JSON.stringify({ url: outputs.qdrant.peers[0], apiKey: outputs.qdrant.apiKey }),
      QDRANT_DR_GATE_CONTROL: JSON.stringify(outputs.control),
      QDRANT_DR_GATE_STATE: join(folder, "gate", "state.json"),
      QDRANT_DR_GATE_TRUST: JSON.stringify(outputs.trust),
    });
    const ended = endOf(child);
    try {
      for (const each of [port, controlPort]) {
        const url = `http://127.0.0.1:${each}/.qdrant-dr`;
        expect((await answerOf(`${url}/health`, ended)).status).to.equal(200);
        expect((await answerOf(`${url}/open`, ended)).status).to.equal(503);
      }
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  });

  it("runs the exporter of a region of which nothing answers, and ends it when it is told to", async () => {
    const { outputs } = await lonelyRegion("prod", join(folder, "watched"));
    const file = join(folder, "watched", "prod.json");
    writeFileSync(file, JSON.stringify(outputs));
    const [port = 0] = await closedPorts(1);
    const args = ["exporter", "--stack", "prod", "--outputs", file, "--port", String(port)];
    const { child } = start("qdrant-dr.mjs", args);
    const ended = endOf(child);
    try {
      const down = 'qdrant_dr_source_up{region="prod",source="qdrant"} 0';
      const url = `http://127.0.0.1:${port}/metrics`;
      while (!(await (await answerOf(url, ended)).text()).includes(down)) await sleep(50);
    } finally {
      child.kill("SIGTERM");
      expect((await ended).exitCode).to.equal(0);
    }
  });
});

async function endOf(child: ChildProcess): Promise<{ exitCode: number | null; out: string; err: string }> {
  let [out, err] = ["", ""];
  child.stdout?.on("data", (piece) => (out += String(piece)));
  child.stderr?.on("data", (piece) => (err += String(piece)));
  await once(child, "close");
  return { exitCode: child.exitCode, out, err };
}

/** @param ended the end of the program that is to answer; it may not have come before. */
async function answerOf(url: string, ended: ReturnType<typeof endOf>): Promise<Response> {
  for (;;) {
    try {
      return await fetch(url);
    } catch {
      // It does not listen yet; mocha ends what never does.
      const early = await Promise.race([ended, sleep(50)]);
      if (early !== undefined) throw new Error(`the program ended with ${early.exitCode}: ${early.err}`);
    }
  }
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    "current-context": "in-a-pod",
    clusters: [{ name: "a", cluster: { server } }],
    users: [{ name: "b", user: { token: "c" } }],
    contexts: [{ name: "in-a-pod", context: { cluster: "a", user: "b" } }],
  });
}
