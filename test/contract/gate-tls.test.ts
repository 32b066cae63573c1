/** The gate in front of an upstream that speaks TLS only: a Kubernetes API server, which has a certificate of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { signed, trust } from "../support/estates/test-trust.ts";
import { EtcdServer, KubernetesServer } from "../support/servers/kubernetes-server.ts";

const program = fileURLToPath(new URL("../../runtime/processes/gate.ts", import.meta.url));
const key = "key-of-all-the-clients";

describe("gate before TLS", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-gate-tls-"));
  let etcd: EtcdServer;
  let server: KubernetesServer;

  before(async () => {
    etcd = await EtcdServer.start();
    server = await KubernetesServer.start(etcd, "tls");
    mkdirSync(join(folder, "control"));
    const control = signed(new FileStore(join(folder, "control")), "east", "control");
    const at = new Date().toISOString();
    await claimEpoch(control, { epoch: 1, active: "east", reason: "initial", run: "r", at });
  });
  after(async () => {
    await server?.stop();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("passes requests on when it trusts the certificate, and says that the region does not answer when it does not", async () => {
    const trusting = { NODE_EXTRA_CA_CERTS: join(server.folder, "apiserver.crt") };
    expect(await throughGate(trusting))
      .to.deep.include({ status: 200 })
      .and.have.nested.property("body.gitVersion");
    expect(await throughGate({})).to.deep.include({ status: 503 });
  });

  async function throughGate(env: Record<string, string>): Promise<{ status: number; body: unknown }> {
    const [port, controlPort] = [await freePort(), await freePort()];
    const gate = spawn(process.execPath, [program], {
      stdio: "inherit",
      env: {
        ...env,
        PATH: process.env["PATH"],
        QDRANT_DR_GATE_PORT: String(port),
        QDRANT_DR_GATE_CONTROL_PORT: String(controlPort),
        QDRANT_DR_GATE_REGION: "east",
        QDRANT_DR_GATE_CLIENT_KEY: "a-key-of-clients-of-its-own",
        QDRANT_DR_GATE_ADMINISTRATOR_KEY: key,
        QDRANT_DR_GATE_CONTROL_TOKEN: "token-of-the-control",
        QDRANT_DR_GATE_UPSTREAM: JSON.stringify({ url: server.url, apiKey: "its-own" }),
        QDRANT_DR_GATE_CONTROL: JSON.stringify({ kind: "file", folder: join(folder, "control") }),
        QDRANT_DR_GATE_STATE: join(folder, `seen-${port}.json`),
        QDRANT_DR_GATE_TRUST: JSON.stringify(trust),
      },
    });
    try {
      const url = `http://127.0.0.1:${port}`;
      while (!(await isUp(`${url}/.qdrant-dr/health`))) {
        if (gate.exitCode !== null) throw new Error(`the gate ended with ${gate.exitCode}`);
        await sleep(50);
      }
      const answer = await fetch(`${url}/version`, { headers: { "api-key": key } });
      return { status: answer.status, body: await answer.json() };
    } finally {
      const exit = once(gate, "exit");
      gate.kill("SIGKILL");
      await exit;
    }
  }
});

async function isUp(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const holder = createServer();
  await once(holder.listen(0, "127.0.0.1"), "listening");
  const { port } = holder.address() as { port: number };
  await once(holder.close(), "close");
  return port;
}
