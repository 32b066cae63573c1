/**
 * The gate of a region: stands in front of its Qdrant and lets clients through only while its guard finds the region
 * active. It alone has the Qdrant's key; clients have the gate's. Requests that are under way when it closes are let
 * finish, for a bounded time, and counted.
 */
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { agentFor, answer, forward, hasKey, hasToken, refuse } from "../adapters/http-forward.ts";
import { openStore } from "../adapters/stores/open-store.ts";
import { type GateKnowledge, gateControlPath, gateKnowledgeSchema, gateOpenPath } from "../domain/roles/gate.ts";
import { parseGateEnvironment } from "../domain/roles/gate-environment.ts";
import { hasErrno } from "../errno.ts";
import { DrError } from "../errors.ts";
import { Lease } from "../repository/control/lease.ts";
import { systemClock } from "../time/system-clock.ts";
import { Guard } from "../workflows/gate/guard.ts";

/** 200 when the process runs. */
const healthPath = "/.qdrant-dr/health";
const lookEveryMs = 1_000;
/** A request that takes longer is cut off when the gate closes; its client was told nothing. */
const drainMs = 10_000;

const settings = parseGateEnvironment(process.env);
const region = settings.QDRANT_DR_GATE_REGION;
const witness = settings.QDRANT_DR_GATE_WITNESS;
const peer = settings.QDRANT_DR_GATE_PEER_CONTROL;
/** The guard looks again in a second: a store that is busy is not asked more often than that. */
const limits = { busyMs: 0 };
const guard = new Guard({
  region,
  mode: settings.QDRANT_DR_GATE_MODE,
  control: openStore(settings.QDRANT_DR_GATE_CONTROL, limits),
  peerControl: peer && openStore(peer, limits),
  lease:
    witness &&
    new Lease(openStore(witness, limits), {
      region,
      seconds: settings.QDRANT_DR_GATE_LEASE_SECONDS,
      clock: systemClock,
    }),
  seen: readSeen(),
  remember: writeSeen,
});

const agent = agentFor(settings.QDRANT_DR_GATE_UPSTREAM);
const underWay = new Set<() => void>();
let cut = 0;
let drain: NodeJS.Timeout | undefined;
let looking: Promise<unknown> | undefined;
let lookTimer: NodeJS.Timeout | undefined;

const server = createServer((incoming, outgoing) => {
  const path = incoming.url ?? "/";
  if (path === healthPath) answer(outgoing, 200, { region });
  else if (path === gateOpenPath) answer(outgoing, guard.view.isOpen ? 200 : 503, { isOpen: guard.view.isOpen });
  else if (path === gateControlPath) void control(incoming, outgoing);
  else pass(incoming, outgoing);
});
await look();
await listen();
watch();
process.once("SIGTERM", () => {
  clearTimeout(lookTimer);
  clearTimeout(drain);
  server.close();
  server.closeAllConnections();
  agent.destroy();
});

async function listen(): Promise<void> {
  const { QDRANT_DR_GATE_HOST: host, QDRANT_DR_GATE_PORT: port } = settings;
  try {
    await once(server.listen(port, host), "listening");
  } catch (cause) {
    if (!hasErrno(cause, "EADDRINUSE")) throw cause;
    throw new DrError("PORT_TAKEN", `port ${port} of ${host} is taken`, {
      hint: "stop what listens there, or give the gate another port",
      cause,
    });
  }
}

function watch(): void {
  lookTimer = setTimeout(() => void look().finally(watch), lookEveryMs);
}

/** One at a time; who asks for another gets one that begins after the question. */
async function look(): Promise<void> {
  const before = looking;
  const mine = (async () => {
    await before;
    await guard.look();
    if (guard.view.isOpen) {
      clearTimeout(drain);
      drain = undefined;
    } else if (underWay.size > 0) drain ??= setTimeout(cutOff, drainMs);
  })();
  looking = mine.catch(() => undefined);
  await mine;
}

function cutOff(): void {
  drain = undefined;
  cut += underWay.size;
  for (const end of underWay) end();
}

async function control(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (!hasToken(incoming, settings.QDRANT_DR_GATE_CONTROL_TOKEN)) return refuse(outgoing, 401, "not allowed");
  try {
    if (incoming.method === "POST") await look();
    else if (incoming.method !== "GET") return refuse(outgoing, 405, "GET, or POST to look at once");
    const { active, blind, epoch, isOpen, reason } = guard.view;
    const { QDRANT_DR_GATE_MODE: mode } = settings;
    answer(outgoing, 200, { region, mode, isOpen, reason, epoch, active, blind, inFlight: underWay.size, cut });
  } catch (error) {
    refuse(outgoing, 500, error instanceof Error ? error.message : String(error));
  }
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
  if (!hasKey(incoming, settings.QDRANT_DR_GATE_CLIENT_KEY)) {
    refuse(outgoing, 401, "the gate does not know this API key");
    return;
  }
  const { isOpen, reason } = guard.view;
  if (!isOpen) {
    refuse(outgoing, 503, `region ${region} does not serve: ${reason}`);
    return;
  }
  const end = forward(incoming, outgoing, settings.QDRANT_DR_GATE_UPSTREAM, { agent, name: `region ${region}` });
  underWay.add(end);
  outgoing.once("close", () => underWay.delete(end));
}

function readSeen(): GateKnowledge | undefined {
  try {
    return gateKnowledgeSchema.parse(JSON.parse(readFileSync(settings.QDRANT_DR_GATE_STATE, "utf8")));
  } catch (error) {
    // Any other reason not to read it would be to forget what was seen: the gate does not start then.
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function writeSeen(seen: GateKnowledge): void {
  const beside = `${settings.QDRANT_DR_GATE_STATE}.new`;
  writeFileSync(beside, JSON.stringify(seen), { mode: 0o600, flush: true });
  renameSync(beside, settings.QDRANT_DR_GATE_STATE);
}
