/**
 * Sets up one Qdrant: tries out the server and the store, makes keys, writes the settings file and claims the first epoch. Killed at any
 * point and run again, it goes on; a settings file that is there is never changed.
 */
import { randomBytes } from "node:crypto";
import { basename, dirname, join, relative, resolve } from "node:path";
import { identitiesIn, identityIn } from "../../domain/age-identity.ts";
import { headerKey } from "../../domain/header-key.ts";
import { controlLayout, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { checkSupported } from "../../domain/recovery-points/version-rule.ts";
import type { Region, StoreAddress } from "../../domain/region.ts";
import { regionOfSettings } from "../../domain/region-of-settings.ts";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import type { RegionSettings } from "../../domain/settings/region-settings.ts";
import type { SecretReference } from "../../domain/settings/secret-reference.ts";
import { type PeerAnswers, peerLines, settingsText } from "../../domain/settings/settings-text.ts";
import { newSigningKey, publicKeyOf, signingKeyFrom, signingKeyIn } from "../../domain/trust/signing-key.ts";
import { joinTrust, type Trust } from "../../domain/trust/trust.ts";
import { trustIn, trustNote } from "../../domain/trust/trust-note.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Identities } from "../../ports/identities.ts";
import type { PrivateFiles } from "../../ports/private-files.ts";
import type { Progress } from "../../ports/progress.ts";
import type { SettingsFile } from "../../ports/settings-file.ts";
import type { Terminal } from "../../ports/terminal.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { keysUnder } from "../../repository/record.ts";
import { probeStore } from "../probe-store.ts";
import type { RegionSession } from "../region-session.ts";
import { askForRegion, type GivenAnswers } from "./ask-for-region.ts";
import { initEstate } from "./init-estate.ts";

export interface InitTools {
  readonly terminal: Terminal;
  readonly files: PrivateFiles;
  readonly identities: Identities;
  /** Where the settings file is, or is to be made. */
  settingsPath(named: string | undefined): string;
  /** The file at this path; undefined when there is none. */
  readSettings(path: string): Promise<SettingsFile | undefined>;
  /** What this text would be as a settings file there. Throws SETTING_INVALID. */
  parseSettings(path: string, text: string): RegionSettings;
  /** @param name of the region or its peer; the region when left out. */
  openSettings(path: string, name?: string): Promise<RegionSession>;
  open(region: Region): RegionSession;
  /** Makes the folder of a store that is one. Throws UNREACHABLE when the folder above is not there. */
  prepareStore(address: StoreAddress): Promise<void>;
}

export interface InitRegionRequest extends GivenAnswers {
  readonly tools: InitTools;
  readonly settings?: string | undefined;
  /** `main` when left out, `standby` beside a peer. */
  readonly region?: string | undefined;
  /** The settings file of another region, whose peer this one becomes. */
  readonly peer?: string | undefined;
  readonly apiKeyFile?: string | undefined;
  /** The value of QDRANT_API_KEY. */
  readonly apiKeyInEnvironment?: string | undefined;
  /** Where the offline recovery identity is, or is written to; it is shown when left out. */
  readonly offlineKeyFile?: string | undefined;
  readonly asksNothing: boolean;
  readonly run: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface InitReport {
  readonly settings: string;
  readonly region: string;
  /** False: an earlier run had written the settings. */
  readonly isNew: boolean;
  readonly qdrantVersion: string;
  readonly collections: number;
  /** The store was filled before, from here or from a machine that is lost. */
  readonly holdsRecoveryPoints: boolean;
  readonly store: string;
  readonly identityFile?: string | undefined;
  /** Absent: the identity was shown, and is kept nowhere here. */
  readonly offlineKeyFile?: string | undefined;
  readonly epoch: number;
  /** With a peer: lines for its settings file. */
  readonly peerSettings?: string | undefined;
  /** What is not as it should be, and stops nothing. */
  readonly warnings: readonly string[];
}

export async function initRegion(request: InitRegionRequest): Promise<InitReport> {
  const { tools } = request;
  const path = tools.settingsPath(request.settings);
  const present = await tools.readSettings(path);
  if (present !== undefined) return complete(request, present);

  const terminal = { ...tools.terminal, isInteractive: tools.terminal.isInteractive && !request.asksNothing };
  const answers = await askForRegion(request, terminal);
  const apiKey = await findApiKey(request, path, terminal);
  const peer = request.peer === undefined ? undefined : await openPeer(tools, request.peer);
  const { identity, offline, operationalFile } = await (peer === undefined
    ? findKeys(request, path)
    : keysOfPeer(request, path, peer));
  const signing = await findSigningKey(request.tools, besideSettings(path, "signing-key"));
  const region = request.region ?? (peer === undefined ? "main" : "standby");
  const trust = trustOf(region, signing, offline, peer);
  const own: PeerAnswers = {
    region,
    qdrant: answers.qdrant.split(",").map((url) => url.trim()),
    apiKey: apiKey?.reference,
    store: answers.store,
    s3: { endpoint: answers.s3Endpoint, region: answers.s3Region },
  };
  const textWith = (believed: RegionSettings["trust"]) =>
    settingsText({
      ...own,
      recipients: { operational: identity.recipient, offline: offline.recipient },
      identity: { file: basename(operationalFile) },
      signing: { file: basename(signing.file) },
      trust: believed,
      peer: peer && seenFromElsewhere(peer.file),
    });
  const secrets = { apiKey: apiKey?.value, identity: identity.secret, signing: signing.secret };
  const openWith = (believed: RegionSettings["trust"]) =>
    tools.open(regionOfSettings(settingsIn(tools, path, textWith(believed)), dirname(path), secrets));
  const believed = await trustOfStore(openWith(trust), trust, [signing, identity, offline]);
  const session = openWith(believed);
  const text = textWith(believed);
  const settings = settingsIn(tools, path, text);
  const server = await checkQdrant(request, session);
  await checkStore(request, session, peer);
  await refuseOtherKeys(session);
  if (apiKey?.typedInto !== undefined) await tools.files.create(apiKey.typedInto, `${apiKey.value}\n`);
  if (!signing.isKept) await keepFile(tools.files, signing.file, signingKeyLines(region, signing, believed));
  await keepKeys(request, { identity, offline, operationalFile }, believed, terminal.isInteractive);
  if ((await tools.files.create(path, text)) === "exists") {
    throw new DrError("SETTING_INVALID", `${path} was written by another run just now`, { hint: "look at it" });
  }
  return {
    ...server,
    holdsRecoveryPoints: await holdsRecoveryPoints(session),
    settings: path,
    region: settings.region,
    isNew: true,
    store: settings.store,
    identityFile: operationalFile,
    offlineKeyFile: request.offlineKeyFile && resolve(request.offlineKeyFile),
    epoch: await claimFirstEpoch(request, session, peer?.session),
    ...(peer === undefined
      ? {}
      : { peerSettings: `${peerLines({ ...own, signingKey: signing.publicKey }).join("\n")}\n` }),
  };
}

/** The file is not there yet: what is wrong with it was given as an option or an answer. */
function settingsIn(tools: InitTools, path: string, text: string): RegionSettings {
  try {
    return tools.parseSettings(path, text);
  } catch (error) {
    if (!hasCode(error, "SETTING_INVALID")) throw error;
    throw new DrError("SETTING_INVALID", `what was asked for cannot be written to ${error.message}`, {
      hint: "give it otherwise: `qdrant-dr init --help` shows what each option takes",
      cause: error,
    });
  }
}

/** The settings are there: what may be missing still is the first epoch, and the store of a lease that was written into them since. */
async function complete(request: InitRegionRequest, file: SettingsFile): Promise<InitReport> {
  const { path, settings } = file;
  const { file: identityFile } = settings.keys.identity;
  refuseOther(request, file);
  const session = await request.tools.openSettings(path);
  const server = await checkQdrant(request, session);
  await checkWitness(request, session);
  const peer = settings.peer && (await request.tools.openSettings(path, settings.peer.region));
  return {
    ...server,
    holdsRecoveryPoints: await holdsRecoveryPoints(session),
    settings: path,
    region: settings.region,
    isNew: false,
    store: settings.store,
    identityFile: identityFile && resolve(dirname(path), identityFile),
    epoch: await claimFirstEpoch(request, session, peer),
  };
}

function refuseOther({ qdrant, store }: InitRegionRequest, { path, settings }: SettingsFile): void {
  const present = (settings.qdrant.peers ?? [settings.qdrant.url]).join(",");
  const others = [
    ...(qdrant === undefined || qdrant === present ? [] : ["Qdrant"]),
    ...(store === undefined || store === settings.store ? [] : ["store"]),
  ];
  if (others.length === 0) return;
  throw new DrError("USAGE", `${path} is there already, and names another ${others.join(" and another ")}`, {
    hint: "`init` changes no settings: edit the file, or name another one with --settings",
  });
}

interface Secret {
  readonly reference: SecretReference;
  readonly value: string;
  /** The file that it is to be kept in, when a person typed it. */
  readonly typedInto?: string;
}

async function findApiKey(request: InitRegionRequest, path: string, terminal: Terminal): Promise<Secret | undefined> {
  const { apiKeyFile, apiKeyInEnvironment, tools } = request;
  if (apiKeyFile !== undefined) {
    const text = await tools.files.read(apiKeyFile);
    if (text === undefined) throw new DrError("SETTING_INVALID", `there is no ${apiKeyFile}`, { hint: keyHint });
    const value = headerKey(text, `the key in ${apiKeyFile}`);
    if (value === "") throw new DrError("SETTING_INVALID", `${apiKeyFile} is empty`, { hint: keyHint });
    return { reference: { file: pathFrom(path, apiKeyFile) }, value };
  }
  if (apiKeyInEnvironment !== undefined && apiKeyInEnvironment !== "") {
    const value = headerKey(apiKeyInEnvironment, "the key in QDRANT_API_KEY");
    return { reference: { env: "QDRANT_API_KEY" }, value };
  }
  if (!terminal.isInteractive) return undefined;
  const typedInto = besideSettings(path, "qdrant-key");
  const reference = { file: basename(typedInto) };
  // A run before this one may have been killed since it was typed.
  const kept = await tools.files.read(typedInto);
  if (kept !== undefined) return { reference, value: headerKey(kept, `the key in ${typedInto}`) };
  const value = headerKey(await terminal.askSecret("Qdrant's API key; empty when it has none"), "the key");
  return value === "" ? undefined : { reference, value, typedInto };
}

/** Secrets that this makes are kept beside the settings, under their name. */
function besideSettings(path: string, ending: string): string {
  return join(dirname(path), `${basename(path).replace(/\.ya?ml$/, "")}.${ending}`);
}

const keyHint = "give a file that holds Qdrant's key alone, readable for its owner only";

/** Files beside the settings move with them. */
function pathFrom(settingsPath: string, file: string): string {
  const path = relative(dirname(settingsPath), resolve(file));
  return path.startsWith("..") ? resolve(file) : path;
}

interface Identity {
  readonly secret: string;
  readonly recipient: string;
  /** What was believed when its file was written. */
  readonly noted?: Trust | undefined;
  /** It is in its file already, as a run before this one left it or as people brought it. */
  readonly isKept: boolean;
}

/** Of a peer only the recipient of the offline identity is known. */
type OfflineIdentity = Identity | (Omit<Identity, "secret"> & { readonly secret: undefined });

interface Keys {
  readonly identity: Identity;
  readonly offline: OfflineIdentity;
  readonly operationalFile: string;
}

async function findKeys(request: InitRegionRequest, path: string): Promise<Keys> {
  const operationalFile = besideSettings(path, "key");
  const identity = await findIdentity(request.tools, operationalFile);
  const offline = await findIdentity(request.tools, request.offlineKeyFile);
  if (identity.recipient === offline.recipient) {
    throw new DrError("SETTING_INVALID", `${request.offlineKeyFile} holds the operational identity, too`, {
      hint: "name a file that is not there yet: an offline identity of its own is written to it",
    });
  }
  return { identity, offline, operationalFile };
}

interface Peer {
  readonly file: SettingsFile;
  readonly session: RegionSession;
}

async function openPeer(tools: InitTools, path: string): Promise<Peer> {
  const file = await tools.readSettings(resolve(path));
  if (file !== undefined) return { file, session: await tools.openSettings(file.path) };
  throw new DrError("USAGE", `there is no settings file ${path}`, {
    hint: "bring the settings file of the other region here, with the files of secrets beside it",
  });
}

/** Both regions open what either has stored. */
async function keysOfPeer({ tools }: InitRegionRequest, path: string, { file, session }: Peer): Promise<Keys> {
  const operationalFile = besideSettings(path, "key");
  const [operational = "", offline = ""] = file.settings.keys.recipients;
  const secret = session.region.keys.identity ?? "";
  const kept = await tools.files.read(operationalFile);
  if (kept !== undefined && identitiesIn(kept).join("\n") !== secret) {
    throw new DrError("SETTING_INVALID", `${operationalFile} holds another identity than the peer's`, {
      hint: "move it away: the regions of a pair have the same one",
    });
  }
  return {
    identity: { secret, recipient: operational, isKept: kept !== undefined },
    // Whoever has it opens this region, too: nothing is made, shown or written.
    offline: { secret: undefined, recipient: offline, isKept: true },
    operationalFile,
  };
}

/** Its secrets stay in the files that its own settings name; folders are as they are reached from there. */
function seenFromElsewhere({ path, settings }: SettingsFile): PeerAnswers {
  const { qdrant, region, s3, store } = settings;
  const absolute = (file: string) => resolve(dirname(path), file);
  const moved = (reference: SecretReference): SecretReference =>
    reference.file === undefined ? reference : { file: absolute(reference.file) };
  return {
    region,
    qdrant: qdrant.peers ?? [qdrant.url ?? ""],
    apiKey: qdrant.apiKey && moved(qdrant.apiKey),
    store: store.startsWith("s3://") ? store : absolute(store),
    s3: s3 && {
      ...s3,
      ...(s3.credentials === undefined
        ? {}
        : {
            credentials: {
              accessKeyId: moved(s3.credentials.accessKeyId),
              secretAccessKey: moved(s3.credentials.secretAccessKey),
            },
          }),
    },
  };
}

async function findIdentity({ files, identities }: InitTools, file: string | undefined): Promise<Identity> {
  const text = file === undefined ? undefined : await files.read(file);
  if (text === undefined) {
    const secret = await identities.make();
    return { secret, recipient: await identities.recipientOf(secret), isKept: false };
  }
  const secret = identityIn(text);
  if (secret !== undefined) {
    return { secret, recipient: await identities.recipientOf(secret), isKept: true, noted: trustIn(text) };
  }
  throw new DrError("SETTING_INVALID", `${file} is there already and holds no age identity`, {
    hint: "move it away, or put the identity there",
  });
}

interface SigningKey {
  readonly file: string;
  readonly secret: string;
  readonly publicKey: string;
  readonly isKept: boolean;
  /** What was believed when its file was written. */
  readonly noted: Trust | undefined;
}

async function findSigningKey({ files }: InitTools, file: string): Promise<SigningKey> {
  const kept = await files.read(file);
  const secret = kept === undefined ? newSigningKey() : signingKeyIn(kept);
  if (secret !== undefined) {
    const noted = kept === undefined ? undefined : trustIn(kept);
    return { file, secret, publicKey: publicKeyOf(secret), isKept: kept !== undefined, noted };
  }
  throw new DrError("SETTING_INVALID", `${file} is there already and holds no signing key`, {
    hint: "move it away: one of its own is written there",
  });
}

function signingKeyLines(region: string, { publicKey, secret }: SigningKey, trust: Trust): string[] {
  return [`# qdrant-dr: what ${region} signs with; its public key is ${publicKey}`, trustNote(trust), secret];
}

/** Beside a peer what it believes, with its own machine's key among that; alone this machine's and the offline identity's. */
function trustOf(
  region: string,
  { publicKey }: SigningKey,
  offline: OfflineIdentity,
  peer: Peer | undefined,
): RegionSettings["trust"] {
  if (peer !== undefined) {
    const { id, keys } = peer.file.settings.trust;
    const others = keys.filter(({ key }) => key !== publicKey);
    return { id, keys: [{ name: region, key: publicKey }, ...others] };
  }
  const ofOffline =
    offline.secret === undefined ? [] : [{ name: "offline", key: publicKeyOf(signingKeyFrom(offline.secret)) }];
  return { id: randomBytes(16).toString("hex"), keys: [{ name: region, key: publicKey }, ...ofOffline] };
}

/**
 * A store that holds records already was begun with other settings, which are lost: what those believed stands in the files of
 * keys, and the keys of this machine join it.
 */
async function trustOfStore(
  { stores }: RegionSession,
  trust: RegionSettings["trust"],
  keyFiles: readonly { readonly noted?: Trust | undefined }[],
): Promise<RegionSettings["trust"]> {
  const former = keyFiles.map(({ noted }) => noted).find((noted) => noted !== undefined);
  if (former === undefined || former.id === trust.id || !(await holdsEpochs(stores))) return trust;
  return joinTrust({ ...trust, id: former.id }, former);
}

/** A store that cannot be read, or whose folder is not made yet, is told of when it is tried out. */
async function holdsEpochs({ control }: RegionSession["stores"]): Promise<boolean> {
  try {
    return (await keysUnder(control, controlLayout.epochs)).length > 0;
  } catch {
    return false;
  }
}

async function holdsRecoveryPoints({ stores }: RegionSession): Promise<boolean> {
  for await (const _ of stores.repository.list(storeLayout.recoveryPoints)) return true;
  return false;
}

async function checkQdrant({ progress, run }: InitRegionRequest, { database, region }: RegionSession) {
  const version = await database.version();
  const warning = checkSupported(version);
  const collections = (
    await database.collections().catch((cause: unknown) => {
      if (!hasCode(cause, "ACCESS_DENIED")) throw cause;
      throw new DrError("ACCESS_DENIED", `Qdrant at ${region.qdrant.peers.join(",")} refuses the key, or wants one`, {
        hint: "give Qdrant's full key in QDRANT_API_KEY, or in a file with --api-key-file",
        cause,
      });
    })
  ).length;
  try {
    // A key that may write is allowed to take away an alias that nobody has.
    await database.deleteAlias(`qdrant-dr-${run}`);
  } catch (error) {
    if (!hasCode(error, "ACCESS_DENIED")) throw error;
    throw new DrError("ACCESS_DENIED", `the key of Qdrant at ${region.qdrant.peers.join(",")} may only read`, {
      hint: "give Qdrant's full key: captures make snapshots, and restores make collections",
      cause: error,
    });
  }
  progress({ step: "qdrant", detail: `Qdrant ${version} with ${collections} collections` });
  return { qdrantVersion: version, collections, warnings: warning === undefined ? [] : [warning] };
}

async function checkStore(
  { progress, run, tools }: InitRegionRequest,
  { region, stores }: RegionSession,
  peer: Peer | undefined,
) {
  for (const address of [region.repository, region.control]) await tools.prepareStore(address);
  const { failed } = await probeStore(stores.control, run);
  if (failed !== undefined) throw failed.problem;
  const newest = newestEpoch(await readEpochs(stores.control));
  if (newest === undefined && (await holdsEpochs(stores))) throw foreign();
  if (newest !== undefined && ![region.region, peer?.session.region.region].includes(newest.active)) {
    throw new DrError("EPOCH_CONFLICT", `the store belongs to a region that is called ${newest.active}`, {
      hint: `name another folder or prefix, or go on with it by \`--region ${newest.active}\``,
    });
  }
  progress({ step: "store", detail: "creates, reads back, lists, and never replaces" });
}

/** Its folder is made here alone: a gate that made it would take the place where a disk is not mounted for an empty witness. */
async function checkWitness({ progress, run, tools }: InitRegionRequest, session: RegionSession) {
  const { lease } = session.region.gate ?? {};
  const witness = session.witness();
  if (lease === undefined || witness === undefined) return;
  await tools.prepareStore(lease.witness);
  const { failed } = await probeStore(witness, run);
  if (failed !== undefined) throw failed.problem;
  progress({ step: "lease", detail: "its store creates, reads back, lists, and never replaces" });
}

/** What the store holds already has to open with the keys of the new settings. */
async function refuseOtherKeys(session: RegionSession): Promise<void> {
  try {
    const repository = await session.repository();
    await repository.keys.key(repository.description.key);
  } catch (error) {
    if (hasCode(error, "RECOVERY_POINT_NOT_FOUND")) return;
    if (hasCode(error, "NOT_AUTHENTIC")) throw foreign(error);
    if (!hasCode(error, "KEY_UNAVAILABLE")) throw error;
    throw new DrError("KEY_UNAVAILABLE", "the store holds recovery points that were made with other keys", {
      hint: "put the key files of the former settings beside the new ones before `init`, or name another folder or prefix",
      cause: error,
    });
  }
}

function foreign(cause?: unknown): DrError {
  return new DrError("KEY_UNAVAILABLE", "the store holds records that were signed with other keys", {
    hint: "go on with the former settings file, or put its key files beside the new one before `init`, with their line that begins with `# trust:`; or name another folder or prefix",
    cause,
  });
}

async function keepKeys(
  { offlineKeyFile, tools }: InitRegionRequest,
  { identity, offline, operationalFile }: Keys,
  trust: Trust,
  isInteractive: boolean,
): Promise<void> {
  const { files, terminal } = tools;
  if (!identity.isKept) await keepFile(files, operationalFile, keyLines(identity, "operational"));
  if (offline.secret === undefined) return;
  const offlineLines = [...keyLines(offline, "offline recovery"), trustNote(trust)];
  if (offlineKeyFile !== undefined) {
    if (!offline.isKept) await keepFile(files, offlineKeyFile, offlineLines);
    return;
  }
  terminal.show(
    [
      "",
      "The offline recovery identity. It opens every recovery point when this machine is lost, and is kept nowhere on it:",
      "store it elsewhere now (a password manager, paper), with the line below it. It is not shown again.",
      "",
      ...offlineLines,
      "",
    ].join("\n"),
  );
  if (isInteractive) await terminal.ask("Press Enter when you have stored it");
}

async function keepFile(files: PrivateFiles, file: string, lines: readonly string[]): Promise<void> {
  if ((await files.create(file, `${lines.join("\n")}\n`)) === "created") return;
  throw new DrError("SETTING_INVALID", `${file} was written by another run just now`, { hint: "run it again" });
}

function keyLines({ recipient, secret }: Identity, name: string): string[] {
  return [`# qdrant-dr: ${name} identity of ${recipient}`, secret];
}

async function claimFirstEpoch(
  { clock, run }: InitRegionRequest,
  { region, stores }: RegionSession,
  peer: RegionSession | undefined,
): Promise<number> {
  const controls = new Map([[region.region, stores.control]]);
  if (peer !== undefined) controls.set(peer.region.region, peer.stores.control);
  const known = (await Promise.all([...controls.values()].map((control) => readEpochs(control)))).flat();
  const { newest } = await initEstate({
    initialActive: known.find(({ epoch }) => epoch === 1)?.active ?? peer?.region.region ?? region.region,
    controls,
    run,
    now: clock.now(),
  });
  return newest.epoch;
}
