/**
 * The gate of a region: stands in front of its Qdrant and lets clients through only while its guard finds the region
 * active. It alone has the Qdrant's key; clients have the gate's. Calls that are under way when it closes are let
 * finish, for a bounded time, and counted.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { answerRest, grpcStatus, refuseGrpc, refuseRest } from "../adapters/gate/answers.ts";
import { WatchedCertificate } from "../adapters/gate/certificate.ts";
import { GrpcUpstream } from "../adapters/gate/forward-grpc.ts";
import {
  type RestForwarding,
  type RestIncoming,
  type RestOutgoing,
  RestUpstream,
} from "../adapters/gate/forward-rest.ts";
import { Front } from "../adapters/gate/front.ts";
import { hasToken, shownKey } from "../adapters/gate/headers.ts";
import { takeWrite } from "../adapters/gate/take-write.ts";
import { openStore } from "../adapters/stores/open-store.ts";
import { rightOfGrpc, rightOfRest } from "../domain/gate/rights.ts";
import { type Write, writeOfGrpc, writeOfRest } from "../domain/journal/write-class.ts";
import { controlLayout } from "../domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../domain/region.ts";
import {
  type GateKnowledge,
  gateControlPath,
  gateHealthPath,
  gateKnowledgeSchema,
  gateOpenPath,
} from "../domain/roles/gate.ts";
import { type GateEnvironment, parseGateEnvironment } from "../domain/roles/gate-environment.ts";
import { hasErrno } from "../errno.ts";
import { toDrError } from "../errors.ts";
import { Lease } from "../repository/control/lease.ts";
import { SignedStore } from "../repository/signed-store.ts";
import { systemClock } from "../time/system-clock.ts";
import { Guard } from "../workflows/gate/guard.ts";
import type { JournalKeeper } from "../workflows/gate/journal/journal-keeper.ts";
import { type ClientKeys, Passage, type Refusal } from "../workflows/gate/passage.ts";
import { openGateJournal } from "./gate-journal.ts";

const lookEveryMs = 1_000;
/** A call that takes longer is cut off when the gate closes; its client was told nothing. */
const drainMs = 10_000;
/** The same when the process ends. */
const endsWithinMs = 20_000;

/** A client whose outcome is a refusal may come again when the gate is closed only. */
const statusOf: Readonly<Record<Refusal["kind"], { readonly rest: number; readonly grpc: number }>> = {
  "unknown key": { rest: 401, grpc: grpcStatus.unauthenticated },
  forbidden: { rest: 403, grpc: grpcStatus.permissionDenied },
  closed: { rest: 503, grpc: grpcStatus.unavailable },
};

let settings = parseGateEnvironment(process.env);
const region = settings.QDRANT_DR_GATE_REGION;
const witness = settings.QDRANT_DR_GATE_WITNESS;
const peer = settings.QDRANT_DR_GATE_PEER_CONTROL;
/** The guard looks again in a second: a store that is busy is not asked more often than that. */
const storeLimits = { busyMs: 0 };
const signing = {
  trust: settings.QDRANT_DR_GATE_TRUST,
  trustId: settings.QDRANT_DR_GATE_TRUST.id,
  signingKey: settings.QDRANT_DR_GATE_SIGNING_KEY,
};
const signed = (address: StoreAddress, of: string, store: "control" | "witness") =>
  new SignedStore(openStore(address, storeLimits), { ...signing, region: of, store });
const ownControl = signed(settings.QDRANT_DR_GATE_CONTROL, region, "control");
const peerControl = peer && signed(peer, settings.QDRANT_DR_GATE_PEER ?? "", "control");
const guard = new Guard({
  region,
  mode: settings.QDRANT_DR_GATE_MODE,
  control: ownControl,
  peerControl,
  async carryEpoch(epoch) {
    if (peerControl !== undefined) await ownControl.carry(controlLayout.epoch(epoch), peerControl);
  },
  lease:
    witness &&
    new Lease(signed(witness, region, "witness"), {
      region,
      seconds: settings.QDRANT_DR_GATE_LEASE_SECONDS,
      clock: systemClock,
    }),
  seen: readSeen(),
  remember: writeSeen,
});

const passage = new Passage({ region, decision: () => guard.view, keys: keysOf(settings) });
const rest = new RestUpstream(settings.QDRANT_DR_GATE_UPSTREAM.url);
const grpcUrl = settings.QDRANT_DR_GATE_UPSTREAM.grpcUrl;
const grpc = grpcUrl === undefined ? undefined : new GrpcUpstream(grpcUrl);
const journal = openGateJournal(settings, () => settings.QDRANT_DR_GATE_UPSTREAM.apiKey);
const certificate = settings.QDRANT_DR_GATE_TLS && new WatchedCertificate(settings.QDRANT_DR_GATE_TLS);
const limits = { connections: settings.QDRANT_DR_GATE_CONNECTIONS };
const ports = [
  ...new Set([settings.QDRANT_DR_GATE_PORT, settings.QDRANT_DR_GATE_GRPC_PORT ?? settings.QDRANT_DR_GATE_PORT]),
];
const fronts = ports.map(() => new Front({ rest: passRest, grpc: passGrpc }, limits, certificate?.present));
/** Its own port: no client needs to reach it. */
const controlCertificate = settings.QDRANT_DR_GATE_CONTROL_TLS === "none" ? undefined : certificate;
const control = new Front({ rest: answerControl }, {}, controlCertificate?.present);
let drain: NodeJS.Timeout | undefined;
let looking: Promise<unknown> | undefined;
let lookTimer: NodeJS.Timeout | undefined;
let ending: Promise<void> | undefined;

await look();
const { QDRANT_DR_GATE_CONTROL_HOST: controlHost, QDRANT_DR_GATE_HOST: host } = settings;
await control.listen(settings.QDRANT_DR_GATE_CONTROL_PORT, controlHost ?? host, "the gate's control");
for (const [index, front] of fronts.entries()) await front.listen(ports[index] ?? 0, host, "the gate");
watch();
process.once("SIGTERM", () => void end());

/** The keys of clients and of Qdrant count from now on; the rest of the environment is as it was when the process began. */
export function changeKeys(environment: Readonly<Record<string, string | undefined>>): void {
  settings = parseGateEnvironment(environment);
  passage.changeKeys(keysOf(settings));
}

function keysOf(given: GateEnvironment): ClientKeys {
  return {
    client: given.QDRANT_DR_GATE_CLIENT_KEY,
    readOnly: given.QDRANT_DR_GATE_READ_ONLY_KEY,
    administrator: given.QDRANT_DR_GATE_ADMINISTRATOR_KEY,
    passesOthers: given.QDRANT_DR_GATE_OTHER_KEYS === "pass",
  };
}

/** Clients that come again find another replica, or this one started anew; those that are served are served to the end. */
export function end(): Promise<void> {
  ending ??= drainAndEnd();
  return ending;
}

async function drainAndEnd(): Promise<void> {
  const timer = setTimeout(() => {
    for (const front of fronts) front.end();
  }, endsWithinMs);
  await Promise.all(fronts.map((front) => front.drain()));
  clearTimeout(timer);
  clearTimeout(lookTimer);
  clearTimeout(drain);
  control.end();
  await journal?.end();
  rest.close();
  grpc?.close();
}

function watch(): void {
  lookTimer = setTimeout(() => {
    renewCertificate();
    void look().finally(() => {
      if (ending === undefined) watch();
    });
  }, lookEveryMs);
}

function renewCertificate(): void {
  try {
    const renewed = certificate?.renewed();
    if (renewed !== undefined) for (const front of [...fronts, control]) front.changeCertificate(renewed);
  } catch (error) {
    process.stderr.write(`${toDrError(error).message}: the one before goes on\n`);
  }
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
      journal?.begin();
    } else if (passage.inFlight > 0) drain ??= setTimeout(cutOff, drainMs);
  })();
  looking = mine.catch(() => undefined);
  await mine;
}

function cutOff(): void {
  drain = undefined;
  passage.cutOff();
}

function answerControl(incoming: RestIncoming, outgoing: RestOutgoing): void {
  const path = incoming.url ?? "/";
  if (answersEverybody(path, outgoing)) return;
  if (path === gateControlPath) void tellState(incoming, outgoing);
  else refuseRest(outgoing, 404, "the gate's control has no such path");
}

/** What load balancers and probes ask. */
function answersEverybody(path: string, outgoing: RestOutgoing): boolean {
  const { isOpen } = guard.view;
  const isEnding = ending !== undefined;
  // A closed gate is ready: it tells clients why it is closed.
  if (path === gateHealthPath) answerRest(outgoing, isEnding ? 503 : 200, { isReady: !isEnding });
  else if (path === gateOpenPath) answerRest(outgoing, isOpen && !isEnding ? 200 : 503, { isOpen });
  else return false;
  return true;
}

async function tellState(incoming: RestIncoming, outgoing: RestOutgoing): Promise<void> {
  if (!hasToken(incoming.headers, settings.QDRANT_DR_GATE_CONTROL_TOKEN)) {
    return refuseRest(outgoing, 401, "not allowed");
  }
  try {
    if (incoming.method === "POST") await look();
    else if (incoming.method !== "GET") return refuseRest(outgoing, 405, "GET, or POST to look at once");
    const { active, blind, epoch, isOpen, reason } = guard.view;
    const { QDRANT_DR_GATE_MODE: mode } = settings;
    const { cut } = passage;
    // A fence is complete when the journal tells of everything that was let through.
    const inFlight = passage.inFlight + (journal?.keeper.pending ?? 0);
    const state = { region, mode, isOpen, reason, epoch, active, blind, inFlight, cut };
    answerRest(outgoing, 200, { ...state, journal: journal?.keeper.state });
  } catch (error) {
    refuseRest(outgoing, 500, error instanceof Error ? error.message : String(error));
  }
}

function passRest(incoming: RestIncoming, outgoing: RestOutgoing): void {
  const url = incoming.url ?? "/";
  if (answersEverybody(url, outgoing)) return;
  const right = rightOfRest(incoming.method ?? "", url);
  let cutOffCall = () => {};
  const call = { right, key: shownKey(incoming.headers), cutOff: () => cutOffCall() };
  const admission = passage.enter(call);
  if ("kind" in admission) {
    refuseRest(outgoing, statusOf[admission.kind].rest, admission.message);
    return;
  }
  outgoing.once("close", admission.leave);
  const forwarding = {
    apiKey: admission.usesOwnKey ? settings.QDRANT_DR_GATE_UPSTREAM.apiKey : undefined,
    name: `region ${region}`,
    mostBytes: right === "administer" ? undefined : settings.QDRANT_DR_GATE_BODY_BYTES,
    answerWithinMs: answerWithinMs(),
  };
  const write = journal && right !== "none" ? writeOfRest(incoming.method ?? "", url, right === "read") : undefined;
  if (journal === undefined || write === undefined) cutOffCall = rest.forward(incoming, outgoing, forwarding);
  else {
    cutOffCall = () => outgoing.destroy();
    passWrite(journal.keeper, write, { incoming, outgoing, forwarding }).catch((error: unknown) => {
      const reason = `${forwarding.name}: ${toDrError(error).message}; what was asked may still be done`;
      if (outgoing.headersSent) outgoing.destroy();
      else if (!outgoing.destroyed) refuseRest(outgoing, 502, reason);
    });
  }
}

/** A write that the journal tells of. */
async function passWrite(
  keeper: JournalKeeper,
  write: Write,
  { forwarding, incoming, outgoing }: { incoming: RestIncoming; outgoing: RestOutgoing; forwarding: RestForwarding },
): Promise<void> {
  if (write.changes !== "everything") {
    await takeWrite(incoming, outgoing, forwarding, (request) => keeper.write(write, request));
    return;
  }
  // It may be long: it is passed on as it comes.
  const held = await keeper.hold(write);
  if ("refusal" in held) refuseRest(outgoing, 503, `${forwarding.name} takes no writes: ${held.refusal}`);
  else {
    outgoing.once("close", held.finish);
    if (outgoing.destroyed) held.finish();
    else rest.forward(incoming, outgoing, forwarding);
  }
}

function passGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const right = rightOfGrpc(headers[":path"] ?? "");
  let cutOffCall = () => {};
  const admission = passage.enter({ right, key: shownKey(headers), cutOff: () => cutOffCall() });
  if ("kind" in admission) {
    refuseGrpc(stream, statusOf[admission.kind].grpc, admission.message);
    return;
  }
  stream.once("close", admission.leave);
  if (journal !== undefined && right !== "none" && writeOfGrpc(headers[":path"] ?? "", right === "read")) {
    const message = `region ${region} keeps a journal, which tells of writes over REST alone: write over REST`;
    refuseGrpc(stream, grpcStatus.unimplemented, message);
    return;
  }
  if (grpc === undefined) {
    refuseGrpc(stream, grpcStatus.unavailable, "the gate does not know where its Qdrant takes gRPC");
    return;
  }
  cutOffCall = grpc.forward(stream, headers, {
    apiKey: admission.usesOwnKey ? settings.QDRANT_DR_GATE_UPSTREAM.apiKey : undefined,
    name: `region ${region}`,
    mostBytes: settings.QDRANT_DR_GATE_BODY_BYTES,
    answerWithinMs: answerWithinMs(),
  });
}

function answerWithinMs(): number | undefined {
  const seconds = settings.QDRANT_DR_GATE_ANSWER_WITHIN_SECONDS;
  return seconds === undefined ? undefined : 1000 * seconds;
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
