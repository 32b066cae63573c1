/**
 * The gate as a process, in front of a server that remembers: what it lets through, how it closes, and what it does when
 * stores vanish, processes are killed, and an old primary comes back by itself. Control stores are folders.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { GateControl } from "../../runtime/adapters/gate-control.ts";
import { FileStore } from "../../runtime/adapters/stores/file-store.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { leaseEndsAfter } from "../../runtime/domain/roles/gate.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { writeFence, writeOpening } from "../../runtime/repository/control/gate-records.ts";
import { endLease } from "../../runtime/repository/control/lease.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { signed, signing, trust } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";

const program = fileURLToPath(new URL("../../runtime/processes/gate.ts", import.meta.url));
const clientKey = "the-key-that-clients-have";
const controlToken = "the-token-of-the-control";
const qdrantKey = "the-key-of-the-qdrant";
const at = "2026-01-01T00:00:00.000Z";
const first: EpochRecord = { epoch: 1, active: "east", reason: "initial", run: "setup", at };
const taken: EpochRecord = { epoch: 2, active: "west", previous: "east", reason: "failover", run: "r", at };

describe("gate", () => {
  const root = mkdtempSync(join(tmpdir(), "qdrant-dr-gate-"));
  const children: ChildProcess[] = [];
  const seen: IncomingMessage[] = [];
  let respond: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  const upstream = createServer((incoming, outgoing) => {
    seen.push(incoming);
    respond(incoming, outgoing);
  });
  let count = 0;

  before(() => once(upstream.listen(0, "127.0.0.1"), "listening"));
  beforeEach(() => {
    seen.length = 0;
    respond = (_, outgoing) => outgoing.end("{}");
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await end(child);
  });
  after(async () => {
    upstream.closeAllConnections();
    await once(upstream.close(), "close");
    rmSync(root, { recursive: true, force: true });
  });

  /** Folders of a pair of regions and of a third place; both know the first epoch. */
  async function pair() {
    const folder = join(root, `${++count}`);
    const folders = { east: join(folder, "east"), west: join(folder, "west"), witness: join(folder, "witness") };
    for (const each of Object.values(folders)) mkdirSync(each, { recursive: true });
    const stores = {
      east: signed(new FileStore(folders.east), "east", "control"),
      west: signed(new FileStore(folders.west), "west", "control"),
      witness: signed(new FileStore(folders.witness), "east", "witness"),
    };
    for (const region of ["east", "west"] as const) await claimEpoch(stores[region], first);
    return { folder, folders, stores };
  }

  async function start(
    { folder, folders }: Awaited<ReturnType<typeof pair>>,
    region: "east" | "west",
    { leaseSeconds }: { readonly leaseSeconds?: number } = {},
  ) {
    const [port = 0, controlPort = 0] = await closedPorts(2);
    const storeAt = (place: string) => JSON.stringify({ kind: "file", folder: place });
    const url = `http://127.0.0.1:${port}`;
    const consistency = {
      QDRANT_DR_GATE_MODE: "consistency",
      QDRANT_DR_GATE_WITNESS: storeAt(folders.witness),
      QDRANT_DR_GATE_LEASE_SECONDS: String(leaseSeconds),
    };
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        QDRANT_DR_GATE_PORT: String(port),
        QDRANT_DR_GATE_CONTROL_PORT: String(controlPort),
        QDRANT_DR_GATE_REGION: region,
        QDRANT_DR_GATE_CLIENT_KEY: clientKey,
        QDRANT_DR_GATE_CONTROL_TOKEN: controlToken,
        QDRANT_DR_GATE_UPSTREAM: JSON.stringify({
          url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
          apiKey: qdrantKey,
        }),
        QDRANT_DR_GATE_CONTROL: storeAt(folders[region]),
        QDRANT_DR_GATE_PEER_CONTROL: storeAt(folders[region === "east" ? "west" : "east"]),
        QDRANT_DR_GATE_STATE: join(folder, `${region}.json`),
        QDRANT_DR_GATE_PEER: region === "east" ? "west" : "east",
        QDRANT_DR_GATE_TRUST: JSON.stringify(trust),
        QDRANT_DR_GATE_SIGNING_KEY: signing,
        ...(leaseSeconds === undefined ? {} : consistency),
      },
    });
    children.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece) => (output += String(piece)));
    for (;;) {
      const health = await fetch(`${url}/.qdrant-dr/health`).catch(() => undefined);
      if (health?.ok) break;
      if (child.exitCode !== null) throw new Error(`it did not start: ${output}`);
      await sleep(20);
    }
    const controlUrl = `http://127.0.0.1:${controlPort}/.qdrant-dr/gate`;
    const gate = new GateControl({ controlUrls: [controlUrl], controlToken });
    const write = () => fetch(`${url}/collections/a/points`, { method: "PUT", headers: { "api-key": clientKey } });
    return { child, controlUrl, gate, url, write };
  }

  it("lets clients of the active region through with Qdrant's key, and those of the standby not at all", async () => {
    const estate = await pair();
    const east = await start(estate, "east");
    const west = await start(estate, "west");
    expect((await east.write()).status).to.equal(200);
    expect(seen[0]?.headers["api-key"]).to.equal(qdrantKey);
    const refused = await west.write();
    expect([refused.status, refused.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    const { status } = (await refused.json()) as { status: { error: string } };
    expect(status.error).to.equal("region west does not serve: east is the active region since epoch 1");
    expect((await fetch(`${east.url}/.qdrant-dr/open`)).status).to.equal(200);
    expect((await fetch(`${west.url}/.qdrant-dr/open`)).status).to.equal(503);
    expect(seen).to.have.length(1);
  });

  it("knows no other key than the clients', and tells its state to the control's token only", async () => {
    const { controlUrl, gate, url } = await start(await pair(), "east");
    for (const key of ["", qdrantKey, controlToken, `${clientKey}x`]) {
      expect((await fetch(`${url}/collections`, { headers: { "api-key": key } })).status).to.equal(401);
    }
    const stranger = new GateControl({ controlUrls: [controlUrl], controlToken: clientKey });
    expect((await errorOf(stranger.look()))?.code).to.equal("ACCESS_DENIED");
    const headers = { authorization: `Bearer ${controlToken}` };
    expect((await fetch(`${url}/.qdrant-dr/gate`, { headers })).status, "where clients are").to.equal(401);
    expect(await gate.look()).to.deep.include({ isOpen: true, epoch: 1, inFlight: 0, mode: "availability" });
    expect(seen).to.have.length(0);
  });

  it("a fence: closes at once, lets a write under way finish and counts it, and a restart finds it closed", async () => {
    const estate = await pair();
    const east = await start(estate, "east");
    const asked = new Promise<ServerResponse>((resolve) => {
      respond = (_, outgoing) => resolve(outgoing);
    });
    const slow = east.write();
    const underWay = await asked;
    await writeFence(estate.stores.east, { epoch: 2, region: "east", run: "r", at });
    expect(await east.gate.look()).to.deep.include({ isOpen: false, inFlight: 1 });
    expect((await east.write()).status).to.equal(503);
    underWay.end("{}");
    expect((await slow).status).to.equal(200);
    expect(await east.gate.look()).to.deep.include({ isOpen: false, inFlight: 0, cut: 0 });
    await end(east.child);
    // Neither store can be seen any more: what it has seen holds.
    renameSync(estate.folders.east, `${estate.folders.east}.gone`);
    renameSync(estate.folders.west, `${estate.folders.west}.gone`);
    const again = await start(estate, "east");
    expect((await again.gate.look()).reason).to.equal("fenced for a switchover to epoch 2");
  });

  it("a switchover that is aborted opens it again; one that is done opens the other, when its data are there", async () => {
    const estate = await pair();
    const east = await start(estate, "east");
    const west = await start(estate, "west");
    await writeFence(estate.stores.west, { epoch: 2, region: "east", run: "r", at });
    expect((await east.gate.look()).isOpen).to.equal(false);
    await claimEpoch(estate.stores.west, { ...first, epoch: 2, previous: "east", reason: "aborted" });
    expect((await east.gate.look()).isOpen).to.equal(true);

    await writeFence(estate.stores.west, { epoch: 3, region: "east", run: "r", at });
    await claimEpoch(estate.stores.west, { ...taken, epoch: 3, reason: "switchover" });
    expect((await west.gate.look()).reason).to.equal("epoch 3 is not opened yet: its data are being made ready");
    await writeOpening(estate.stores.west, { epoch: 3, region: "west", run: "r", recoveryPoint: "p", at });
    expect((await west.gate.look()).isOpen).to.equal(true);
    expect((await east.gate.look()).reason).to.equal("west is the active region since epoch 3");
  });

  it("carries an epoch that only the other region was told into its own store", async () => {
    const estate = await pair();
    const east = await start(estate, "east");
    await claimEpoch(estate.stores.west, taken);
    await east.gate.look();
    expect(readFileSync(join(estate.folders.east, "epochs/0000000002.json"), "utf8")).to.contain('"active":"west"');
  });

  it("does not start on a memory that it cannot read", async () => {
    const estate = await pair();
    writeFileSync(join(estate.folder, "east.json"), "{");
    const error = await start(estate, "east").catch((thrown: Error) => thrown);
    expect(error).to.be.instanceOf(Error);
  });

  describe("the old primary comes back by itself after a failover, with clients still pointed at it", () => {
    it("availability: serves while it cannot see the new epoch, stops as soon as it can, and stays stopped", async () => {
      const estate = await pair();
      const east = await start(estate, "east");
      await end(east.child);
      await claimEpoch(estate.stores.west, taken);
      renameSync(estate.folders.west, `${estate.folders.west}.unseen`);
      const back = await start(estate, "east");
      // The price of this mode, which `failover plan` shows: both regions take writes now.
      expect((await back.write()).status).to.equal(200);
      renameSync(`${estate.folders.west}.unseen`, estate.folders.west);
      await back.gate.look();
      expect((await back.write()).status).to.equal(503);
      await end(back.child);
      renameSync(estate.folders.west, `${estate.folders.west}.unseen`);
      expect((await (await start(estate, "east")).write()).status).to.equal(503);
    });

    it("consistency: its lease was ended, so that it does not serve, whatever it can see", async () => {
      const estate = await pair();
      const east = await start(estate, "east", { leaseSeconds: 30 });
      expect((await east.write()).status).to.equal(200);
      await end(east.child);
      expect(await endLease(estate.stores.witness, 1, "west", systemClock)).to.equal(30);
      renameSync(estate.folders.west, `${estate.folders.west}.unseen`);
      const back = await start(estate, "east", { leaseSeconds: 30 });
      expect((await back.write()).status).to.equal(503);
      expect((await back.gate.look()).reason).to.equal("it holds no lease");
    });
  });

  describe("a partition while it serves", () => {
    it("availability: goes on, also when it can see no store at all", async () => {
      const estate = await pair();
      const east = await start(estate, "east");
      renameSync(estate.folders.east, `${estate.folders.east}.gone`);
      renameSync(estate.folders.west, `${estate.folders.west}.gone`);
      expect((await east.gate.look()).isOpen).to.equal(true);
      expect((await east.write()).status).to.equal(200);
    });

    it("consistency: stops when its lease runs out, before a promotion that waits for that may begin", async () => {
      const estate = await pair();
      const east = await start(estate, "east", { leaseSeconds: 2 });
      expect((await east.write()).status).to.equal(200);
      // The witness is out of its sight; the other region's failover can reach it.
      const seconds = await endLease(estate.stores.witness, 1, "west", systemClock);
      const endedAt = performance.now();
      renameSync(estate.folders.witness, `${estate.folders.witness}.unseen`);
      for (let sentAt = endedAt; (await east.write()).status === 200; sentAt = performance.now()) {
        expect(sentAt - endedAt, "of a write that was let through").to.be.below(1000 * leaseEndsAfter(seconds));
        await sleep(20);
      }
      renameSync(`${estate.folders.witness}.unseen`, estate.folders.witness);
      expect((await east.gate.look()).isOpen).to.equal(false);
    });
  });
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
